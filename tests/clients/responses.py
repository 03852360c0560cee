"""The official OpenAI SDK for Python and Responses, against an endpoint that serves the models of fake-provider.

Usage: responses.py BASE_URL [MODEL_PREFIX [native]]; see checks.py.
"""

import json

import openai
from pydantic import BaseModel

from checks import BROKEN, CITY, JSON, PNG, PNG_SEEN, REPORT, TEXT, WORDS, Retried, base_url, flaky, model, must_raise, native, run, weather

TOOLS = [{"type": "function", "name": "get_weather", "description": "The weather of a city.", "parameters": CITY, "strict": True}]
USER = [{"role": "user", "content": TEXT}]
PICTURE = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"}

client = openai.OpenAI(base_url=base_url, api_key="sk-client", max_retries=0, timeout=60)


class Weather(BaseModel):
    city: str
    degrees: int


def create(name, input=USER, **options):
    return client.responses.create(model=model(name), input=input, **options)


def finish(name, input=USER, **options):
    with client.responses.stream(model=model(name), input=input, **options) as stream:
        for _ in stream:
            pass
        return stream.get_final_response()


def loop(answer, name, **options):
    """Answers the calls of a model until it reports, and returns the numbers of calls and the report."""
    input, counts = list(USER), []
    while True:
        response = answer(name, input, tools=TOOLS, store=False, **options)
        assert response.status == "completed", response
        input += [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in response.output]
        calls = [item for item in response.output if item.type == "function_call"]
        if not calls:
            return counts, response.output_text
        counts.append(len(calls))
        for call in calls:
            output = weather(json.loads(call.arguments)["city"])
            input.append({"type": "function_call_output", "call_id": call.call_id, "output": output})


def whole():
    response = create("fake-echo", instructions="Be kind.")
    assert (response.output_text, response.status) == (TEXT, "completed"), response
    assert response.usage.output_tokens == WORDS, response.usage
    assert create("fake-echo", TEXT).output_text == TEXT
    cut = create("fake-length")
    assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens"), cut


def stream():
    with client.responses.stream(model=model("fake-echo"), input=USER) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        response = stream.get_final_response()
    assert len(deltas) == WORDS and "".join(deltas) == TEXT == response.output_text, deltas
    assert (response.status, response.usage.output_tokens) == ("completed", WORDS), response


def events():
    events = list(create("fake-tool", tools=TOOLS, stream=True))
    kinds = [event.type for event in events]
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed", kinds
    numbers = [event.sequence_number for event in events]
    assert numbers == list(range(len(events))), numbers
    done = next(event for event in events if event.type == "response.function_call_arguments.done")
    deltas = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    assert "".join(deltas) == done.arguments == events[-1].response.output[0].arguments, kinds


def reasoning():
    for options in [{}, {"reasoning": {"summary": "auto"}}]:
        response = finish("fake-reasoning", **options)
        assert response.output_text == TEXT, response
        if native:
            item = response.output[0]
            texts = item.summary if options else item.content
            assert (item.type, texts[0].text) == ("reasoning", "Let me think about that."), item
            assert item.encrypted_content, item


def cache():
    usage = finish("fake-cached").usage
    assert (usage.input_tokens, usage.input_tokens_details.cached_tokens) == (125, 90), usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens, usage


def tools():
    for answer in [create, finish]:
        assert loop(answer, "fake-loop-3") == ([1, 1, 1], REPORT)


def tools_with_reasoning():
    for answer in [create, finish]:
        include = ["reasoning.encrypted_content"]
        assert loop(answer, "fake-think-3", include=include, reasoning={"summary": "auto"}) == ([1, 1, 1], REPORT)


def parallel_tools():
    for answer in [create, finish]:
        assert loop(answer, "fake-parallel-3") == ([3], REPORT)


def stored_tools():
    """A loop that sends only what is new and refers to the stored response before."""
    response = create("fake-loop-3", tools=TOOLS)
    for _ in range(3):
        call = response.output[-1]
        output = {"type": "function_call_output", "call_id": call.call_id, "output": weather(json.loads(call.arguments)["city"])}
        response = create("fake-loop-3", [output], tools=TOOLS, previous_response_id=response.id)
    assert response.output_text == REPORT, response
    assert client.responses.retrieve(response.id).output_text == REPORT
    client.responses.delete(response.id)
    try:
        client.responses.retrieve(response.id)
    except openai.NotFoundError:
        return
    raise AssertionError("a deleted response was found")


def custom_tool():
    """The input of a custom tool is free text, for which the other APIs have no place."""
    if not native:
        return
    response = finish("fake-tool", tools=[{"type": "custom", "name": "get_weather"}])
    call = response.output[0]
    assert (call.type, call.name, call.input) == ("custom_tool_call", "get_weather", '{"city":"Oslo"}'), call


def image():
    parts = [{"type": "input_text", "text": "What is this?"}, PICTURE]
    assert create("fake-image", [{"role": "user", "content": parts}]).output_text == PNG_SEEN


def image_as_result():
    call = {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": '{"city":"Oslo"}'}
    output = {"type": "function_call_output", "call_id": "call_1", "output": [{"type": "input_text", "text": "seen"}, PICTURE]}
    assert create("fake-image", [*USER, call, output], tools=TOOLS).output_text == PNG_SEEN


def structured():
    response = client.responses.parse(model=model("fake-json"), input=USER, text_format=Weather)
    assert response.output_parsed.model_dump() == JSON, response


def forced_tool():
    response = create("fake-json", tools=TOOLS, tool_choice={"type": "function", "name": "get_weather"})
    call = response.output[0]
    assert (call.name, json.loads(call.arguments)) == ("get_weather", JSON), response


def abort():
    with create("fake-endless", stream=True) as endless:
        for _ in range(6):
            next(endless)


def retries():
    global client
    plain, client = client, client.with_options(max_retries=2)
    try:
        for answer in [create, finish]:
            with Retried():
                response = answer(flaky().removeprefix(model("")))
            assert response.output_text == TEXT, response
    finally:
        client = plain


def errors():
    for name, expected in [
        ("fake-400", openai.BadRequestError),
        ("fake-404", openai.NotFoundError),
        ("fake-429", openai.RateLimitError),
        ("fake-503", openai.InternalServerError),
    ]:
        for answer in [create, finish]:
            try:
                answer(name)
            except expected as error:
                assert error.body["message"], error.body
                continue
            raise AssertionError(f"{name} raised no {expected.__name__}")


def broken_streams():
    for name in [*BROKEN, "fake-bareerror-5"]:
        must_raise(name, lambda: finish(name))


run(
    whole, stream, events, reasoning, cache, tools, tools_with_reasoning, parallel_tools, stored_tools, custom_tool, image,
    image_as_result, structured, forced_tool, abort, retries, errors, broken_streams,
)

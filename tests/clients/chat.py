"""The official OpenAI SDK for Python and Chat Completions, against an endpoint that serves the models of fake-provider.

Usage: chat.py BASE_URL [MODEL_PREFIX [native]]; see checks.py.
"""

import json

import openai
from pydantic import BaseModel

from checks import BROKEN, CITY, JSON, PNG, PNG_SEEN, REPORT, TEXT, WORDS, Retried, base_url, flaky, model, must_raise, native, run, weather

FUNCTION = {"name": "get_weather", "description": "The weather of a city.", "parameters": CITY, "strict": True}
TOOLS = [{"type": "function", "function": FUNCTION}]
USER = [{"role": "user", "content": TEXT}]
PICTURE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}

client = openai.OpenAI(base_url=base_url, api_key="sk-client", max_retries=0, timeout=60)


class Weather(BaseModel):
    city: str
    degrees: int


def create(name, messages=USER, **options):
    return client.chat.completions.create(model=model(name), messages=messages, **options)


def finish(name, messages=USER, **options):
    with client.chat.completions.stream(model=model(name), messages=messages, **options) as stream:
        for _ in stream:
            pass
        return stream.get_final_completion()


def said(answer):
    return answer.choices[0].message.content


def turn(message):
    """Returns a message of the model as the next request has it."""
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.function.name, "arguments": call.function.arguments}}
        for call in message.tool_calls or []
    ]
    own = {"role": "assistant", "content": message.content, "tool_calls": calls, "reasoning_content": getattr(message, "reasoning_content", None)}
    return {name: value for name, value in own.items() if value}


def loop(answer, name):
    """Answers the calls of a model until it reports, and returns the numbers of calls and the report."""
    messages, counts = list(USER), []
    while True:
        choice = answer(name, messages, tools=TOOLS).choices[0]
        messages.append(turn(choice.message))
        calls = choice.message.tool_calls or []
        if not calls:
            assert choice.finish_reason == "stop", choice
            return counts, choice.message.content
        assert choice.finish_reason == "tool_calls", choice
        counts.append(len(calls))
        for call in calls:
            result = weather(json.loads(call.function.arguments)["city"])
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


def whole():
    answer = create("fake-echo", [{"role": "system", "content": "Be kind."}, *USER])
    assert (said(answer), answer.choices[0].finish_reason) == (TEXT, "stop"), answer
    assert answer.usage.completion_tokens == WORDS, answer.usage
    assert create("fake-length").choices[0].finish_reason == "length"


def stream():
    chunks = list(create("fake-echo", stream=True, stream_options={"include_usage": True}))
    words = [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]
    assert len(words) == WORDS and "".join(words) == TEXT, words
    assert chunks[-1].usage.completion_tokens == WORDS, chunks[-1]
    assert said(finish("fake-echo")) == TEXT


def tools_stream():
    name, arguments = "", ""
    for chunk in create("fake-tool", tools=TOOLS, stream=True):
        for call in chunk.choices[0].delta.tool_calls or []:
            name += call.function.name or ""
            arguments += call.function.arguments or ""
    assert (name, arguments) == ("get_weather", '{"city":"Oslo"}'), (name, arguments)


def reasoning():
    for answer in [create, finish]:
        message = answer("fake-reasoning").choices[0].message
        assert message.content == TEXT, message
        assert message.reasoning_content == "Let me think about that." or not native, message


def cache():
    usage = create("fake-cached").usage
    assert (usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens) == (125, 90), usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, usage


def tools():
    for answer in [create, finish]:
        assert loop(answer, "fake-loop-3") == ([1, 1, 1], REPORT)


def tools_with_reasoning():
    for answer in [create, finish]:
        assert loop(answer, "fake-think-3") == ([1, 1, 1], REPORT)


def parallel_tools():
    for answer in [create, finish]:
        assert loop(answer, "fake-parallel-3") == ([3], REPORT)


def two_choices():
    """The other APIs have one answer only, so that a translation refuses this."""
    if not native:
        return
    answer = create("fake-echo", n=2)
    assert [c.message.content for c in answer.choices] == [TEXT, TEXT], answer
    texts = ["", ""]
    for chunk in create("fake-echo", n=2, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == [TEXT, TEXT], texts


def image():
    parts = [{"type": "text", "text": "What is this?"}, PICTURE]
    assert said(create("fake-image", [{"role": "user", "content": parts}])) == PNG_SEEN


def large_prompt_with_image():
    """Bytes that no provider would take for an image pass unread where nothing is translated."""
    if not native:
        return
    image = "data:image/png;base64," + "iVBORw0KGgo" * 250_000
    text = "word " * 500_000
    parts = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": image}}]
    answer = said(create("fake-echo", [{"role": "user", "content": parts}]))
    assert answer == text, len(answer)


def structured():
    answer = client.chat.completions.parse(model=model("fake-json"), messages=USER, response_format=Weather)
    assert answer.choices[0].message.parsed.model_dump() == JSON, answer
    streamed = finish("fake-json", response_format=Weather)
    assert streamed.choices[0].message.parsed.model_dump() == JSON, streamed


def forced_tool():
    answer = create("fake-json", tools=TOOLS, tool_choice={"type": "function", "function": {"name": "get_weather"}})
    call = answer.choices[0].message.tool_calls[0].function
    assert (call.name, json.loads(call.arguments)) == ("get_weather", JSON), answer


def abort():
    with create("fake-endless", stream=True) as endless:
        for _ in range(3):
            next(endless)


def retries():
    global client
    plain, client = client, client.with_options(max_retries=2)
    try:
        for answer in [create, finish]:
            with Retried():
                completion = answer(flaky().removeprefix(model("")))
            assert said(completion) == TEXT, completion
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
    for name in BROKEN:
        must_raise(name, lambda: list(create(name, stream=True)))


def models():
    assert list(client.models.list()), "no models"


run(
    whole, stream, tools_stream, reasoning, cache, tools, tools_with_reasoning, parallel_tools, two_choices, image,
    large_prompt_with_image, structured, forced_tool, abort, retries, errors, broken_streams, models,
)

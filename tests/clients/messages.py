"""The official Anthropic SDK for Python against an endpoint that serves the models of fake-provider.

Usage: messages.py BASE_URL [MODEL_PREFIX [native]]; see checks.py. The SDK appends `/v1` itself.
"""

import anthropic
from pydantic import BaseModel

from checks import BROKEN, CITY, JSON, PNG, PNG_SEEN, REPORT, TEXT, WORDS, Retried, base_url, flaky, model, must_raise, native, run, weather

TOOLS = [{"name": "get_weather", "description": "The weather of a city.", "input_schema": CITY}]
USER = [{"role": "user", "content": TEXT}]
PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}

client = anthropic.Anthropic(base_url=base_url.removesuffix("/v1"), api_key="sk-client", max_retries=0, timeout=60)


class Weather(BaseModel):
    city: str
    degrees: int


def create(name, messages=USER, **options):
    return client.messages.create(model=model(name), messages=messages, max_tokens=1024, **options)


def streaming(name, messages=USER, **options):
    return client.messages.stream(model=model(name), messages=messages, max_tokens=1024, **options)


def finish(name, messages=USER, **options):
    with streaming(name, messages, **options) as stream:
        return stream.get_final_message()


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


def loop(answer, name):
    """Answers the calls of a model until it reports, and returns the numbers of calls and the report."""
    messages, counts = list(USER), []
    while True:
        message = answer(name, messages, tools=TOOLS)
        messages.append({"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in message.content]})
        calls = [block for block in message.content if block.type == "tool_use"]
        if not calls:
            assert message.stop_reason == "end_turn", message
            return counts, text_of(message)
        assert message.stop_reason == "tool_use", message
        counts.append(len(calls))
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": weather(call.input["city"])} for call in calls]
        messages.append({"role": "user", "content": results})


def whole():
    message = create("fake-echo")
    assert (text_of(message), message.stop_reason, message.role) == (TEXT, "end_turn", "assistant"), message
    assert message.usage.output_tokens == WORDS, message.usage
    assert create("fake-length").stop_reason == "max_tokens"


def stream():
    with streaming("fake-echo") as stream:
        words = list(stream.text_stream)
        message = stream.get_final_message()
    assert len(words) == WORDS and "".join(words) == TEXT == text_of(message), words
    assert (message.stop_reason, message.usage.output_tokens) == ("end_turn", WORDS), message


def events():
    kinds = [event.type for event in create("fake-tool", tools=TOOLS, stream=True)]
    assert kinds[0] == "message_start" and kinds[-2:] == ["message_delta", "message_stop"], kinds
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 1, kinds


def thinking():
    message = finish("fake-reasoning", thinking={"type": "adaptive"})
    kinds = [block.type for block in message.content]
    assert text_of(message) == TEXT, message
    if native:
        assert kinds == ["thinking", "text"], message
        assert message.content[0].thinking == "Let me think about that." and message.content[0].signature, message


def cache():
    usage = finish("fake-cached").usage
    assert (usage.input_tokens, usage.cache_read_input_tokens) == (10, 90), usage
    assert usage.cache_creation_input_tokens == 25, usage
    if native:
        assert usage.cache_creation.ephemeral_1h_input_tokens == 5, usage


def tools():
    for answer in [create, finish]:
        assert loop(answer, "fake-loop-3") == ([1, 1, 1], REPORT)


def tools_with_thinking():
    for answer in [create, finish]:
        assert loop(answer, "fake-think-3") == ([1, 1, 1], REPORT)


def parallel_tools():
    for answer in [create, finish]:
        assert loop(answer, "fake-parallel-3") == ([3], REPORT)


def image():
    message = create("fake-image", [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, PICTURE]}])
    assert text_of(message) == PNG_SEEN, message


def image_as_result():
    call = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "seen"}, PICTURE]}
    messages = [*USER, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    assert text_of(create("fake-image", messages, tools=TOOLS)) == PNG_SEEN


def structured():
    message = client.messages.parse(model=model("fake-json"), messages=USER, max_tokens=1024, output_format=Weather)
    assert message.parsed_output.model_dump() == JSON, message


def forced_tool():
    message = create("fake-json", tools=TOOLS, tool_choice={"type": "tool", "name": "get_weather"})
    assert (message.content[0].name, message.content[0].input) == ("get_weather", JSON), message


def count_tokens():
    count = client.messages.count_tokens(model=model("fake-echo"), messages=USER, tools=TOOLS)
    assert count.input_tokens > 0, count


def abort():
    with create("fake-endless", stream=True) as endless:
        for _ in range(5):
            next(endless)


def retries():
    for answer in [create, finish]:
        with Retried():
            message = answer_with_retries(answer)
        assert text_of(message) == TEXT, message


def answer_with_retries(answer):
    global client
    plain, client = client, client.with_options(max_retries=2)
    try:
        return answer(flaky().removeprefix(model("")))
    finally:
        client = plain


def errors():
    for name, expected, kind in [
        ("fake-400", anthropic.BadRequestError, "invalid_request_error"),
        ("fake-404", anthropic.NotFoundError, "not_found_error"),
        ("fake-429", anthropic.RateLimitError, "rate_limit_error"),
        ("fake-500", anthropic.InternalServerError, "api_error"),
        ("fake-529", anthropic.APIStatusError, "overloaded_error"),
    ]:
        for answer in [create, finish]:
            try:
                answer(name)
            except expected as error:
                assert error.body["type"] == "error" and error.body["error"]["message"], error.body
                assert error.body["error"]["type"] == kind or not native, error.body
                continue
            raise AssertionError(f"{name} raised no {expected.__name__}")


def broken_streams():
    for name in BROKEN:
        must_raise(name, lambda: finish(name))


def models():
    assert list(client.models.list()), "no models"


run(
    whole, stream, events, thinking, cache, tools, tools_with_thinking, parallel_tools, image, image_as_result, structured,
    forced_tool, count_tokens, abort, retries, errors, broken_streams, models,
)

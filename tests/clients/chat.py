"""The official Python SDK against an endpoint that serves the models of fake-provider.

Usage: chat.py BASE_URL [MODEL_PREFIX]. Prints one line for each check; the exit status is 1 if one failed.
"""

import sys
import traceback

import openai

TEXT = "The quick brown fox jumps over the lazy dog."
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]
USER = [{"role": "user", "content": TEXT}]

base_url, prefix = sys.argv[1], (sys.argv[2:] or [""])[0]
client = openai.OpenAI(base_url=base_url, api_key="sk-client", max_retries=0, timeout=60)
chat = client.chat.completions


def model(name):
    return prefix + name


def whole():
    answer = chat.create(model=model("fake-echo"), messages=USER)
    assert answer.choices[0].message.content == TEXT, answer
    assert answer.choices[0].finish_reason == "stop", answer
    assert answer.usage.completion_tokens == 9, answer


def stream():
    chunks = list(chat.create(model=model("fake-echo"), messages=USER, stream=True, stream_options={"include_usage": True}))
    words = [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]
    assert len(words) == 9 and "".join(words) == TEXT, words
    assert chunks[-1].usage.completion_tokens == 9, chunks[-1]


def tools():
    answer = chat.create(model=model("fake-tool"), messages=USER, tools=TOOLS)
    call = answer.choices[0].message.tool_calls[0]
    assert (call.function.name, call.function.arguments) == ("get_weather", '{"city":"Oslo"}'), answer


def tools_stream():
    name, arguments = "", ""
    for chunk in chat.create(model=model("fake-tool"), messages=USER, tools=TOOLS, stream=True):
        for call in chunk.choices[0].delta.tool_calls or []:
            name += call.function.name or ""
            arguments += call.function.arguments or ""
    assert (name, arguments) == ("get_weather", '{"city":"Oslo"}'), (name, arguments)


def two_choices():
    answer = chat.create(model=model("fake-echo"), messages=USER, n=2)
    assert [c.message.content for c in answer.choices] == [TEXT, TEXT], answer
    texts = ["", ""]
    for chunk in chat.create(model=model("fake-echo"), messages=USER, n=2, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == [TEXT, TEXT], texts


def abort():
    with chat.create(model=model("fake-endless"), messages=USER, stream=True) as endless:
        for _ in range(3):
            next(endless)


def large_prompt_with_image():
    image = "data:image/png;base64," + "iVBORw0KGgo" * 250_000
    text = "word " * 500_000
    parts = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": image}}]
    answer = chat.create(model=model("fake-echo"), messages=[{"role": "user", "content": parts}])
    assert answer.choices[0].message.content == text, len(answer.choices[0].message.content)


def errors():
    for name, expected in [
        ("fake-400", openai.BadRequestError),
        ("fake-404", openai.NotFoundError),
        ("fake-429", openai.RateLimitError),
        ("fake-503", openai.InternalServerError),
    ]:
        try:
            chat.create(model=model(name), messages=USER)
        except expected as error:
            assert error.body["message"], error.body
            continue
        raise AssertionError(f"{name} raised no {expected.__name__}")


def broken_streams():
    for name in ["fake-reset-3", "fake-close-3", "fake-error-3"]:
        try:
            list(chat.create(model=model(name), messages=USER, stream=True))
        except Exception as error:
            assert not isinstance(error, AssertionError), error
            continue
        raise AssertionError(f"{name} looked like a complete answer")


def models():
    assert list(client.models.list()), "no models"


failed = False
for check in [whole, stream, tools, tools_stream, two_choices, abort, large_prompt_with_image, errors, broken_streams, models]:
    try:
        check()
        print("ok", check.__name__, flush=True)
    except Exception:
        failed = True
        print("FAILED", check.__name__, flush=True)
        traceback.print_exc()
sys.exit(failed)

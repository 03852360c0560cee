"""LangChain's clients of OpenAI (Chat Completions and Responses) and Anthropic, against an endpoint that serves the models
of fake-provider.

Usage: langchain_clients.py BASE_URL [MODEL_PREFIX]; see checks.py.
"""

import os

os.environ["LANGCHAIN_TRACING_V2"] = "false"

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from checks import BROKEN, JSON, PNG, PNG_SEEN, REPORT, TEXT, WORDS, Retried, base_url, flaky, model, must_raise, run, weather


class Weather(BaseModel):
    """The weather."""

    city: str
    degrees: int


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return weather(city)


def chat(name, max_retries=0, **options):
    return ChatOpenAI(model=name, base_url=base_url, api_key="sk-client", max_retries=max_retries, timeout=60, stream_usage=True, **options)


def responses(name, max_retries=0):
    return chat(name, max_retries, use_responses_api=True)


def messages(name, max_retries=0):
    url = base_url.removesuffix("/v1")
    return ChatAnthropic(model=name, base_url=url, api_key="sk-client", max_retries=max_retries, timeout=60, max_tokens=1024)


def whole(client, question):
    return client.invoke(question)


def streamed(client, question):
    chunks = list(client.stream(question))
    message = chunks[0]
    for chunk in chunks[1:]:
        message += chunk
    return message


def loop(answer, client):
    """Answers the calls of a model until it reports, and returns the numbers of calls and the report."""
    history, counts = [HumanMessage(TEXT)], []
    while True:
        message = answer(client.bind_tools([get_weather]), history)
        history.append(message)
        if not message.tool_calls:
            return counts, message.text
        counts.append(len(message.tool_calls))
        history += [ToolMessage(weather(call["args"]["city"]), tool_call_id=call["id"]) for call in message.tool_calls]


def checks_of(api, make):
    def text():
        message = whole(make(model("fake-echo")), TEXT)
        assert (message.text, message.usage_metadata["output_tokens"]) == (TEXT, WORDS), message

    def stream():
        words = [chunk.text for chunk in make(model("fake-echo")).stream(TEXT) if chunk.text]
        assert (len(words), "".join(words)) == (WORDS, TEXT), words
        assert streamed(make(model("fake-echo")), TEXT).usage_metadata["output_tokens"] == WORDS

    def tools():
        for answer in [whole, streamed]:
            for name, expected in [("fake-loop-3", [1, 1, 1]), ("fake-think-3", [1, 1, 1]), ("fake-parallel-3", [3])]:
                assert loop(answer, make(model(name))) == (expected, REPORT), (name, answer.__name__)

    def image():
        parts = [{"type": "text", "text": "What is this?"}, {"type": "image", "base64": PNG, "mime_type": "image/png"}]
        assert whole(make(model("fake-image")), [HumanMessage(content_blocks=parts)]).text == PNG_SEEN

    def structured():
        for method in ["function_calling", "json_schema"]:
            answer = make(model("fake-json")).with_structured_output(Weather, method=method).invoke(TEXT)
            assert answer.model_dump() == JSON, (method, answer)

    def abort():
        stream = make(model("fake-endless")).stream(TEXT)
        for _ in range(6):
            next(stream)
        stream.close()

    def retries():
        for answer in [whole, streamed]:
            with Retried():
                message = answer(make(flaky(), 2), TEXT)
            assert message.text == TEXT, message

    def errors():
        for status in [400, 404, 429, 503]:
            for answer in [whole, streamed]:
                try:
                    answer(make(model(f"fake-{status}")), TEXT)
                except Exception as error:
                    assert getattr(error, "status_code", None) == status, repr(error)
                    continue
                raise AssertionError(f"{status} raised nothing")

    def broken_streams():
        for name in BROKEN:
            must_raise(name, lambda: streamed(make(model(name)), TEXT))

    checks = [text, stream, tools, image, structured, abort, retries, errors, broken_streams]
    for check in checks:
        check.__name__ = f"{api} {check.__name__}"
    return checks


run(*checks_of("chat", chat), *checks_of("responses", responses), *checks_of("messages", messages))

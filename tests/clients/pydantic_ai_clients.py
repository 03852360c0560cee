"""Pydantic AI with Chat Completions, Responses and Messages, against an endpoint that serves the models of fake-provider.

Usage: pydantic_ai_clients.py BASE_URL [MODEL_PREFIX]; see checks.py.
"""

import base64
import functools

from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

from checks import BROKEN, JSON, PNG, PNG_SEEN, REPORT, TEXT, WORDS, Retried, base_url, flaky, is_break, model, run, weather


class Weather(BaseModel):
    city: str
    degrees: int


def get_weather(city: str) -> str:
    """The weather of a city."""
    return weather(city)


@functools.cache
def openai_provider(max_retries):
    client = AsyncOpenAI(base_url=base_url, api_key="sk-client", max_retries=max_retries, timeout=60)
    return OpenAIProvider(openai_client=client)


def chat(name, max_retries=0):
    return OpenAIChatModel(name, provider=openai_provider(max_retries))


def responses(name, max_retries=0):
    return OpenAIResponsesModel(name, provider=openai_provider(max_retries))


@functools.cache
def anthropic_provider(max_retries):
    url = base_url.removesuffix("/v1")
    client = AsyncAnthropic(base_url=url, api_key="sk-client", max_retries=max_retries, timeout=60)
    return AnthropicProvider(anthropic_client=client)


def messages(name, max_retries=0):
    return AnthropicModel(name, provider=anthropic_provider(max_retries))


async def whole(agent, question):
    return await agent.run(question)


class Streamed:
    def __init__(self, output, history, usage):
        self.output, self.history, self.usage = output, history, usage

    def all_messages(self):
        return self.history


async def streamed(agent, question):
    async with agent.run_stream(question) as result:
        deltas = [delta async for delta in result.stream_text(delta=True, debounce_by=None)]
        return Streamed("".join(deltas), result.all_messages(), result.usage)


def calls(result):
    parts = [[part for part in message.parts if isinstance(part, ToolCallPart)] for message in result.all_messages()]
    return [len(part) for part in parts if part]


def checks_of(api, make):
    async def text():
        for answer in [whole, streamed]:
            result = await answer(Agent(make(model("fake-echo"))), TEXT)
            assert (result.output, result.usage.output_tokens) == (TEXT, WORDS), result

    async def tools():
        for answer in [whole, streamed]:
            for name, expected in [("fake-loop-3", [1, 1, 1]), ("fake-think-3", [1, 1, 1]), ("fake-parallel-3", [3])]:
                result = await answer(Agent(make(model(name)), tools=[get_weather]), TEXT)
                assert (calls(result), result.output) == (expected, REPORT), (name, result)

    async def image():
        picture = BinaryContent(base64.b64decode(PNG), media_type="image/png")
        result = await Agent(make(model("fake-image"))).run(["What is this?", picture])
        assert result.output == PNG_SEEN, result

    async def structured():
        result = await Agent(make(model("fake-json")), output_type=Weather).run(TEXT)
        assert result.output.model_dump() == JSON, result

    async def abort():
        async with Agent(make(model("fake-endless"))).run_stream(TEXT) as result:
            seen = 0
            async for _ in result.stream_text(delta=True, debounce_by=None):
                seen += 1
                if seen == 5:
                    break
        assert seen == 5

    async def retries():
        for answer in [whole, streamed]:
            with Retried():
                result = await answer(Agent(make(flaky(), 2)), TEXT)
            assert result.output == TEXT, result

    async def errors():
        for status in [400, 404, 429, 503]:
            for answer in [whole, streamed]:
                try:
                    await answer(Agent(make(model(f"fake-{status}"))), TEXT)
                except ModelHTTPError as error:
                    assert error.status_code == status, repr(error)
                    continue
                raise AssertionError(f"{status} raised nothing")

    async def broken_streams():
        for name in BROKEN:
            try:
                result = await streamed(Agent(make(model(name))), TEXT)
            except Exception as error:
                is_break(error)
                continue
            raise AssertionError(f"{name} looked like a complete answer: {result.output!r}")

    checks = [text, tools, image, structured, abort, retries, errors, broken_streams]
    for check in checks:
        check.__name__ = f"{api} {check.__name__}"
    return checks


run(*checks_of("chat", chat), *checks_of("responses", responses), *checks_of("messages", messages))

"""The official Python SDK against qwen-proxy, with fake-qwen behind it.

Usage: qwen.py BASE_URL [MODEL_PREFIX]. Prints one line for each check; the exit status is 1 if one failed.
"""

import json
import sys
import traceback

import openai

TURNS = 20
NAMES = ["bash", "edit", "glob", "grep", "list", "read", "task", "todoread", "todowrite", "webfetch", "write"]
SCHEMA = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "description": "Any text"},
        "code": {"type": "string"},
        "count": {"type": "integer"},
        "flag": {"type": "boolean"},
        "items": {"type": "array", "items": {"type": "string"}},
        "options": {"type": "object", "additionalProperties": True},
    },
    "required": ["text", "code", "count", "flag", "items", "options"],
}
TOOLS = [{"type": "function", "function": {"name": n, "description": f"Does {n}", "parameters": SCHEMA}} for n in NAMES]

base_url, prefix = sys.argv[1], (sys.argv[2:] or [""])[0]
client = openai.OpenAI(base_url=base_url, api_key="sk-client", max_retries=0, timeout=20)
chat = client.chat.completions


def calls(turn):
    """Yields the one to three calls of a turn, with arguments that are easily corrupted."""
    for index in range(1 + turn % 3):
        name = NAMES[(turn * 3 + index) % len(NAMES)]
        yield name, {
            "text": f'<p>turn {turn}</p> & "quotes"\n<{name}>inside</{name}>, not the end </text> of it',
            "code": "007",
            "count": turn,
            "flag": turn % 2 == 0,
            "items": ["a", "b, c"],
            "options": {"depth": {"of": [1, 2.5, None]}},
        }


def plan():
    """Returns the prompt that makes fake-qwen call these tools turn by turn, and repeat the results after each turn."""
    turns = []
    for turn in range(TURNS):
        lines = [f"call {name} {json.dumps(arguments)}" for name, arguments in calls(turn)]
        turns.append("\n".join(lines if turn == 0 else ["repeat", *lines]))
    return "\nthen\n".join([*turns, "repeat\nsay all done"])


def whole(**options):
    answer = chat.create(model=f"{prefix}qwen3-max", **options)
    assert answer.usage.completion_tokens > 0 and answer.usage.prompt_tokens > 0, answer.usage
    return answer.choices[0]


def streamed(**options):
    with chat.stream(model=f"{prefix}qwen3-max", **options) as stream:
        return stream.get_final_completion().choices[0]


def loop(ask):
    messages = [{"role": "system", "content": "You are a coding agent."}, {"role": "user", "content": plan()}]
    told = []
    for turn in range(TURNS + 1):
        choice = ask(messages=messages, tools=TOOLS)
        message = choice.message
        for output in told:
            assert (output or "completed successfully") in message.content, (turn, output, message.content)
        messages.append(message.model_dump(include={"role", "content", "tool_calls"}, exclude_none=True))
        if turn == TURNS:
            assert choice.finish_reason == "stop" and message.content.endswith("all done"), choice
            return
        assert choice.finish_reason == "tool_calls", choice
        got = [(call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls]
        assert got == list(calls(turn)), (turn, got)
        # The first call of a turn has no output.
        told = [f"output {turn}.{index}" if index else "" for index in range(len(got))]
        for call, content in zip(message.tool_calls, told):
            messages.append({"role": "tool", "tool_call_id": call.id, "content": content})


def tool_loop():
    loop(whole)


def tool_loop_stream():
    loop(streamed)


def tool_loop_mixed():
    asks = [whole, streamed] * TURNS
    loop(lambda **options: asks.pop()(**options))


def recall():
    asks, messages = [streamed, whole, streamed, whole, whole], []

    def said(ask, content):
        messages.append({"role": "user", "content": content})
        messages.append({"role": "assistant", "content": ask(messages=messages).message.content})
        return messages[-1]["content"]

    for turn, ask in enumerate(asks):
        answer = said(ask, f"remember fact{turn}={turn * 7}")
        assert answer == f"noted fact{turn}", answer
    for turn, ask in enumerate(asks):
        answer = said(ask, f"recall fact{turn}")
        assert answer == str(turn * 7), (turn, answer)


def thoughts():
    message = whole(messages=[{"role": "user", "content": "think let me see\nsay yes"}]).message
    assert (message.reasoning_content, message.content) == ("let me see", "yes"), message


def errors():
    for name, expected in [
        ("fake-503", openai.InternalServerError),
        ("fake-429", openai.RateLimitError),
    ]:
        try:
            chat.create(model=prefix + name, messages=[{"role": "user", "content": "hello"}])
        except expected as error:
            assert error.body["message"], error.body
            continue
        raise AssertionError(f"{name} raised no {expected.__name__}")


def broken_streams():
    for name in ["fake-reset-3", "fake-close-3", "fake-error-3"]:
        try:
            list(chat.create(model=prefix + name, messages=[{"role": "user", "content": "a b c d e f"}], stream=True))
        except Exception as error:
            assert not isinstance(error, AssertionError), error
            continue
        raise AssertionError(f"{name} looked like a complete answer")


def models():
    ids = [model.id for model in client.models.list()]
    assert any(model.endswith("qwen3-max") for model in ids), ids


failed = False
# Errors come last: too many requests put the login into its back-off period.
for check in [tool_loop, tool_loop_stream, tool_loop_mixed, recall, thoughts, broken_streams, models, errors]:
    try:
        check()
        print("ok", check.__name__, flush=True)
    except Exception:
        failed = True
        print("FAILED", check.__name__, flush=True)
        traceback.print_exc()
sys.exit(failed)

"""What the Python scripts have in common: their arguments, the questions, and the runner of their checks.

Arguments: BASE_URL [MODEL_PREFIX [native]]. With `native`, the provider speaks the API of the script, so that what a
translation cannot carry is checked, too. Prints one line for each check; the exit status is 1 if one failed.
"""

import asyncio
import inspect
import sys
import time
import traceback
import uuid

TEXT = "The quick brown fox jumps over the lazy dog."
WORDS = 9
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
PNG_SEEN = "image/png 69"
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
REPORT = "Oslo: 7 degrees; Rome: 7 degrees; Lima: 7 degrees"
JSON = {"city": "Oslo", "degrees": 7}

base_url, prefix = sys.argv[1], (sys.argv[2:] or [""])[0]
native = sys.argv[3:4] == ["native"]


def model(name):
    return prefix + name


def flaky():
    """A model that refuses its first call with 429 and a Retry-After of 1 s."""
    return model(f"fake-flaky-{uuid.uuid4().hex}")


def weather(city):
    return f"{city}: 7 degrees"


class Retried:
    """Checks that the block took at least the second of the Retry-After."""

    def __enter__(self):
        self.begun = time.monotonic()

    def __exit__(self, kind, *_):
        assert kind or time.monotonic() - self.begun >= 1, "Retry-After was not obeyed"


# Many clients take the clean end of an unfinished answer for its end, so a gateway must not pass it.
BROKEN = ["fake-reset-5", "fake-close-5", "fake-error-5", *(["fake-end-5"] if prefix else [])]


def is_break(error):
    """Checks that an error is that of a broken answer, not of this script or of an unknown route or model."""
    assert not isinstance(error, AssertionError), error
    assert getattr(error, "status_code", None) not in (400, 404), error


def must_raise(name, action):
    """Checks that a broken answer raises an error."""
    try:
        answer = action()
    except Exception as error:
        return is_break(error)
    raise AssertionError(f"{name} looked like a complete answer: {answer!r}")


def run(*checks):
    failed = False
    loop = asyncio.new_event_loop()
    for check in checks:
        try:
            result = check()
            if inspect.iscoroutine(result):
                loop.run_until_complete(result)
            print("ok", check.__name__, flush=True)
        except Exception:
            failed = True
            print("FAILED", check.__name__, flush=True)
            traceback.print_exc()
    sys.exit(failed)

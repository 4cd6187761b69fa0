"""Somebody's code can raise, and no more."""

from __future__ import annotations

import pickle
import signal
import sys
import threading

import pytest

from nestbench.sim.user_code import UserError, UserExit, in_words, sendable, user_code


class Odd(BaseException):
    """What nobody catches."""


@pytest.mark.parametrize("error", [SystemExit(0), SystemExit("text"), Odd("x"), GeneratorExit()])
def test_ends_become_errors(error: BaseException) -> None:
    """They say what was raised."""
    with pytest.raises(UserExit, match=type(error).__name__), user_code():
        raise error


def test_ordinary_errors_pass() -> None:
    """As they are."""
    with pytest.raises(ZeroDivisionError), user_code():
        1 / 0  # noqa: B018


def test_ctrl_c_passes_where_it_is_listened_to() -> None:
    """In a worker, which ignores it, only user code can have raised it."""
    # Not as it was: a shell starts what it runs in the background with SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), user_code():
            raise KeyboardInterrupt
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with pytest.raises(UserExit, match="KeyboardInterrupt"), user_code():
            raise KeyboardInterrupt
    finally:
        signal.signal(signal.SIGINT, before)


def test_what_it_returns() -> None:
    """Nothing else changes."""
    with user_code():
        found = sys.version
    assert found == sys.version


class TwoParts(Exception):
    """Its class takes two arguments, its `args` are one: no process can make it again."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(f"{what} in {where}")


class Holding(Exception):
    """It holds what can't be pickled."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()


class Leaving(Exception):
    """To make it again ends the process."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return sys.exit, ("gone",)


class Speechless(TwoParts):
    """It has no text either."""

    def __str__(self) -> str:
        raise SystemExit


class Local:
    """A namespace, as a function is."""

    class Hidden(Exception):
        """A class that another module of the same name lacks."""


Local.Hidden.__qualname__ = "Elsewhere"

UNSENDABLE = (
    TwoParts("nothing", "here"),
    Holding("nothing in here"),
    Leaving("nothing in here"),
    Local.Hidden("nothing in here"),
    Speechless("nothing", "here"),
)


@pytest.mark.parametrize("error", UNSENDABLE, ids=lambda error: type(error).__name__)
def test_what_cannot_be_sent_is_its_words(error: Exception) -> None:
    """The class that failed and what it said, as far as it says anything."""
    sent = pickle.loads(pickle.dumps(sendable(error)))
    assert type(sent) is UserError
    assert in_words(sent) == str(sent) == in_words(error)
    assert str(sent).startswith(type(error).__name__)
    assert isinstance(error, Speechless) or str(sent).endswith(": nothing in here")


@pytest.mark.parametrize(
    "error", [ValueError("x"), OSError(2, "x"), UnicodeDecodeError("a", b"b", 0, 1, "c")]
)
def test_what_can_be_sent_is_itself(error: Exception) -> None:
    """Its class decides what is made of it."""
    assert sendable(error) is error

"""Somebody's code can raise, and no more."""

from __future__ import annotations

import signal
import sys

import pytest

from nestbench.sim.user_code import UserExit, user_code


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
    with pytest.raises(KeyboardInterrupt), user_code():
        raise KeyboardInterrupt
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(UserExit, match="KeyboardInterrupt"), user_code():
            raise KeyboardInterrupt
    finally:
        signal.signal(signal.SIGINT, before)


def test_what_it_returns() -> None:
    """Nothing else changes."""
    with user_code():
        found = sys.version
    assert found == sys.version

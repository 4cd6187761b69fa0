"""Code that isn't ours: methods, populations and plugin files of users, which may end a process as well as raise."""

from __future__ import annotations

import pickle
import signal
from collections.abc import Iterator
from contextlib import contextmanager


class UserExit(RuntimeError):
    """A user's code tried to end the process, or raised what no handler of ordinary errors sees."""


class UserError(RuntimeError):
    """A user's exception that can't go from one process to another; its text says what it was."""


@contextmanager
def user_code() -> Iterator[None]:
    """Run somebody's code so that all it can do is raise an ordinary exception.

    ``sys.exit(0)`` in a method would otherwise end a worker, or the whole run, with exit code 0 and nothing stored. A
    real Ctrl-C passes: where it is ours to handle, the process listens to it.
    """
    try:
        yield
    except Exception:
        raise
    except KeyboardInterrupt as error:
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            raise
        raise UserExit("KeyboardInterrupt") from error
    except BaseException as error:
        raise UserExit(f"{type(error).__name__}: {error}") from error


def sendable(error: Exception) -> Exception:
    """Return an exception as another process can have it: itself if it survives pickling, else its words.

    Exceptions are unpickled by calling their class with `args`, which fails for a class of several parameters that
    hands on one text. Nobody would see it here: the process that reads it fails, and with it, under joblib, its pool.
    """
    try:
        with user_code():
            same = type(pickle.loads(pickle.dumps(error))) is type(error)
    except Exception:
        same = False
    return error if same else UserError(in_words(error))


def in_words(error: BaseException) -> str:
    """Return an exception's class and text; the class alone where its text can't be made."""
    if isinstance(error, UserError):
        return str(error)
    try:
        with user_code():
            # Its text is made by a user's code, too.
            return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__

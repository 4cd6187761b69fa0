"""Code that isn't ours: methods, populations and plugin files of users, which may end a process as well as raise."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class UserExit(RuntimeError):
    """A user's code tried to end the process, or raised what no handler of ordinary errors sees."""


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

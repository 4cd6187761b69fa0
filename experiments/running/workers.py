"""Worker processes of this machine: they begin before anything can stop or orphan them unseen.

A worker imports for seconds before its first task. A Ctrl-C in that time, which a terminal sends to all of a run's
processes, would end it with a traceback, and so would the end of its parent by either signal before the parent has
written what it reads; a run killed by -9 would leave it waiting for ever: it holds both ends of the pipe that it reads.
So it is started with both signals held back, and looks for its parent first of all.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from typing import Any

from joblib._parallel_backends import LokyBackend
from threadpoolctl import ThreadpoolController


class OwnWorkers(LokyBackend):  # type: ignore[misc]
    """joblib's processes, begun by `begin`."""

    def configure(self, *arguments: Any, **options: Any) -> Any:
        """Make or take over the pool, which replaces workers that compilation made grow: that's no news."""
        warnings.filterwarnings("ignore", "A worker stopped while some jobs were given", UserWarning)
        with held_back():
            return super().configure(*arguments, initializer=begin, initargs=(os.getpid(),), **options)

    def submit(self, *arguments: Any, **options: Any) -> Any:
        """Hand a task over; workers that aren't there yet start here."""
        with held_back():
            return super().submit(*arguments, **options)

    def apply_async(self, *arguments: Any, **options: Any) -> Any:
        """Do the same under its name in earlier versions of joblib."""
        with held_back():
            return super().apply_async(*arguments, **options)


@contextmanager
def held_back() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back for this thread, and for threads and processes that it starts meanwhile."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def begin(home: int) -> None:
    """In a new worker of process `home`: ignore Ctrl-C, which is its to handle, and end when it has ended."""
    if hasattr(os, "getppid") and os.name != "nt":
        # Orphaned while it imported: the thread below would take the new parent for the right one otherwise.
        if os.getppid() != home:
            os._exit(1)
        threading.Thread(target=_end_with, args=(home,), daemon=True).start()
    ignore_interrupts()
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})


def ignore_interrupts(home: int = 0) -> None:
    """Leave Ctrl-C to process `home`, if this is another one and the thread one that may say so."""
    if os.getpid() != home and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _end_with(parent: int) -> None:
    """End this process when its parent is gone: killed by -9, it tells nobody.

    Linux's parent-death signal is no help: it comes when the *thread* that started a worker ends.
    """
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def one_thread() -> AbstractContextManager[object]:
    """Hold inner thread pools to one thread: a worker is one core's worth."""
    held: AbstractContextManager[object] = _pools(len(sys.modules)).limit(limits=1)
    return held


@lru_cache(maxsize=1)
def _pools(_: int) -> ThreadpoolController:
    # To find them takes milliseconds a task: looked for again only where something was imported since.
    return ThreadpoolController()

"""Forked processes that share what this one has in memory: data, compiled kernels, a user's code. For Linux.

A process begun anew takes 2 s of processor time to import and as much again to load the kernels of a score of methods;
a fork has them. Each is told through a pipe what its next work is, and answers through another. When this process
ends, however it does, its end of the first is closed, which ends them.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import pickle
import select
import signal
import struct
import sys
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from itertools import islice
from typing import NoReturn, TypeVar

from nestbench.experiments.running.guarding import opened, packed
from nestbench.experiments.running.work import TaskError
from nestbench.experiments.running.workers import begin, held_back
from nestbench.sim.user_code import sendable

T = TypeVar("T")
W = TypeVar("W")
FORKS = sys.platform == "linux"
"""Whether forks are safe here. Elsewhere they aren't: macOS's own libraries may abort in the child of a process that
has threads."""
LENGTH = struct.Struct("<q")
"""Before a work or an answer: how many bytes it has."""
LOOK = 5.0
"""Seconds without an answer after which the forks are looked at: a pipe that a child of theirs holds open doesn't tell
that they died."""


class Died(TaskError, BrokenExecutor):
    """A fork ended without an answer."""

    # An error is made again of its `args` in the process that it is sent to.
    def __init__(
        self, text: str = "a process died while it computed; is there memory enough? Fewer workers take less"
    ) -> None:
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class Fork:
    """A child, and the ends of its pipes that are ours."""

    process: int
    telling: int
    hearing: int

    def tell(self, work: object) -> None:
        """Tell the child to do a work.

        Raises
        ------
        Died
            It died before.
        """
        try:
            _send(self.telling, pickle.dumps(work, protocol=pickle.HIGHEST_PROTOCOL))
        except BrokenPipeError:
            raise Died from None

    def answer(self) -> object:
        """Return what the child answers, or raise what it raised.

        Raises
        ------
        Died
            It died.
        """
        data = _receive(self.hearing)
        if data is None:
            raise Died
        done, value = opened(data)
        if not done:
            raise value
        return value

    def ended(self) -> bool:
        """Whether the child is dead, whatever its pipe says."""
        return os.waitid(os.P_PID, self.process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def end(self) -> None:
        """End the child, whatever it does."""
        for ours in (self.telling, self.hearing):
            os.close(ours)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)


def forked(do: Callable[[W], T], works: Iterable[W], workers: int) -> Generator[T, None, None]:
    """Yield what is made of each work, in any order, by so many forks of this process.

    Works are asked for one by one, as forks are free for them; they can be pickled, `do` need not.

    Raises
    ------
    Died
        A fork ended without an answer; the others are ended, too.
    """
    left = iter(works)
    forks: list[Fork] = []
    try:
        for work in islice(left, workers):
            # A signal between the fork and what it begins with would end the child in the parent's clean-up.
            with held_back():
                forks.append(_fork(do, forks))
            forks[-1].tell(work)
        yield from _answers(forks, left)
    finally:
        for fork in forks:
            fork.end()


def _answers(forks: Sequence[Fork], left: Iterator[object]) -> Iterator[T]:
    """Yield answers as they come, and keep the forks that gave them busy."""
    busy = {fork.hearing: fork for fork in forks}
    while busy:
        heard = select.select(list(busy), [], [], LOOK)[0]
        if not heard and any(fork.ended() for fork in busy.values()):
            raise Died
        for pipe in heard:
            fork = busy[pipe]
            answer = fork.answer()
            following = next(left, None)
            if following is None:
                del busy[pipe]
            else:
                fork.tell(following)
            yield answer  # type: ignore[misc]


def _fork(do: Callable[[W], T], before: Sequence[Fork]) -> Fork:
    """Return a child that waits for works."""
    told, telling = os.pipe()
    hearing, answering = os.pipe()
    home = os.getpid()
    with warnings.catch_warnings():
        # Python warns of a process with threads: theirs are locks that no child of ours asks for.
        warnings.simplefilter("ignore", DeprecationWarning)
        process = os.fork()
    if process == 0:
        # What is the parent's: while a child has it open, another doesn't see that the parent is gone.
        for ours in (telling, hearing, *(end for fork in before for end in (fork.telling, fork.hearing))):
            os.close(ours)
        _serve(do, told, answering, home)
    os.close(told)
    os.close(answering)
    return Fork(process, telling, hearing)


def _serve(do: Callable[[W], T], told: int, answering: int, home: int) -> NoReturn:
    """In the child: answer until nobody asks, and end without any clean-up of the parent's."""
    try:
        # The parent's handler raises, which would make a fit that fails of what is to end the process.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        begin(home)
        faulthandler.disable()
        # Looking for garbage among the parent's objects would copy all the memory that they share.
        gc.freeze()
        while (work := _receive(told)) is not None:
            try:
                answer: tuple[bool, object] = (True, do(pickle.loads(work)))
            except Exception as error:
                answer = (False, sendable(error))
            _send(answering, packed(answer))
    finally:
        # Without exit handlers: they are the parent's, and would run twice.
        os._exit(0)


def _send(pipe: int, data: bytes) -> None:
    """Write the length of some bytes, and these."""
    with os.fdopen(os.dup(pipe), "wb") as file:
        file.write(LENGTH.pack(len(data)) + data)


def _receive(pipe: int) -> bytes | None:
    """Return the next bytes that were sent; None where the pipe ends before."""
    head = _read(pipe, LENGTH.size)
    return None if head is None else _read(pipe, LENGTH.unpack(head)[0])


def _read(pipe: int, length: int) -> bytes | None:
    """Return so many bytes of a pipe; None where it ends before."""
    parts = bytearray()
    while len(parts) < length:
        part = os.read(pipe, min(length - len(parts), 1 << 20))
        if not part:
            return None
        parts += part
    return bytes(parts)

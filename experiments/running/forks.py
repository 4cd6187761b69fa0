"""Forked processes that share what this one has in memory: data, compiled kernels, a user's code. For Linux.

A process begun anew takes 2 s of processor time to import and as much again to load the kernels of a score of methods;
a fork has them. Each is told through a pipe which of the works is next, and answers through another. When this process
ends, however it does, its end of the first is closed, which ends them.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import pickle
import select
import signal
import struct
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NoReturn, TypeVar

from nestbench.experiments.running.work import TaskError
from nestbench.experiments.running.workers import begin, held_back
from nestbench.sim.user_code import sendable

T = TypeVar("T")
W = TypeVar("W")
NUMBER = struct.Struct("<q")
"""Before an answer its length, as a task its number."""


@dataclass(frozen=True, slots=True)
class Fork:
    """A child, and the ends of its pipes that are ours."""

    process: int
    telling: int
    hearing: int

    def tell(self, number: int) -> None:
        """Tell the child to do a work."""
        os.write(self.telling, NUMBER.pack(number))

    def answer(self) -> object:
        """Return what the child answers, or raise what it raised.

        Raises
        ------
        TaskError
            The child died.
        """
        head = _read(self.hearing, NUMBER.size)
        data = None if head is None else _read(self.hearing, NUMBER.unpack(head)[0])
        if data is None:
            raise TaskError(
                "a process died while it computed; is there memory enough? Fewer workers take less"
            )
        done, value = pickle.loads(data)
        if not done:
            raise value
        return value

    def end(self) -> None:
        """End the child, whatever it does."""
        for ours in (self.telling, self.hearing):
            os.close(ours)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)


def forked(do: Callable[[W], T], works: Sequence[W], workers: int) -> Generator[T, None, None]:
    """Yield what is made of each work, in any order, by so many forks of this process."""
    left = iter(range(len(works)))
    forks: list[Fork] = []
    try:
        for number in islice(left, workers):
            # A signal between the fork and what it begins with would end the child in the parent's clean-up.
            with held_back():
                forks.append(_fork(do, works, forks))
            forks[-1].tell(number)
        yield from _answers(forks, left)
    finally:
        for fork in forks:
            fork.end()


def _answers(forks: Sequence[Fork], left: Iterator[int]) -> Iterator[T]:
    """Yield answers as they come, and keep the forks that gave them busy."""
    busy = {fork.hearing: fork for fork in forks}
    while busy:
        for heard in select.select(list(busy), [], [])[0]:
            fork = busy[heard]
            answer = fork.answer()
            following = next(left, None)
            if following is None:
                del busy[heard]
            else:
                fork.tell(following)
            yield answer  # type: ignore[misc]


def _fork(do: Callable[[W], T], works: Sequence[W], before: Sequence[Fork]) -> Fork:
    """Return a child that waits for the numbers of works."""
    told, telling = os.pipe()
    hearing, answering = os.pipe()
    home = os.getpid()
    process = os.fork()
    if process == 0:
        # What is the parent's: while a child has it open, another doesn't see that the parent is gone.
        for ours in (telling, hearing, *(end for fork in before for end in (fork.telling, fork.hearing))):
            os.close(ours)
        _serve(do, works, told, answering, home)
    os.close(told)
    os.close(answering)
    return Fork(process, telling, hearing)


def _serve(do: Callable[[W], T], works: Sequence[W], told: int, answering: int, home: int) -> NoReturn:
    """In the child: answer until nobody asks, and end without any clean-up of the parent's."""
    try:
        begin(home)
        faulthandler.disable()
        while (number := _read(told, NUMBER.size)) is not None:
            try:
                answer: tuple[bool, object] = (True, do(works[NUMBER.unpack(number)[0]]))
            except Exception as error:
                answer = (False, sendable(error))
            data = pickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL)
            with os.fdopen(os.dup(answering), "wb") as pipe:
                pipe.write(NUMBER.pack(len(data)) + data)
    finally:
        # Without exit handlers: they are the parent's, and would run twice.
        os._exit(0)


def _read(source: int, length: int) -> bytes | None:
    """Return so many bytes of a pipe; None where it ends before."""
    parts = bytearray()
    while len(parts) < length:
        part = os.read(source, length - len(parts))
        if not part:
            return None
        parts += part
    return bytes(parts)

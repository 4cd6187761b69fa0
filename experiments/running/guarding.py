"""Fits in a child process each: what crashes, hangs or eats memory there becomes a row here.

Used when limits are set (`fit_timeout`, `fit_memory`), and for tasks that were under way when workers died twice. The
child is a fork, so it costs milliseconds and starts with the data at hand; its numbers are those of an unguarded fit.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.estimators.estimator import Estimator
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Batch
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model
from nestbench.sim.user_code import UserError, in_words, sendable, user_code


@dataclass(frozen=True, slots=True)
class Limits:
    """What a fit may take: wall seconds, and megabytes beyond what the process has; None is no limit."""

    seconds: float | None = None
    megabytes: int | None = None

    def __bool__(self) -> bool:
        return self.seconds is not None or self.megabytes is not None


NO_LIMITS = Limits()
STATM = Path("/proc/self/statm")


@dataclass(frozen=True, slots=True)
class Lost:
    """A child that ended without an answer."""

    status: FitStatus
    message: str


def fit_guarded(estimator: Estimator, batch: Batch, model: Model, engine: str, limits: Limits) -> Estimates:
    """Fit every replication of a batch in child processes; those whose child is lost become rows that say so.

    A reference engine gets one replication a child, since a limit is for one fit; a batched engine the whole batch, and
    halves of it when that child is lost.

    Parameters
    ----------
    estimator : Estimator
    batch : Batch
    model : Model
    engine : str
        ``auto``, ``reference`` or ``batched``.
    limits : Limits
        For each fit; a batched engine has its number of fits times as long.

    Raises
    ------
    InvalidInput
        A system that can't fork, or has no way to see how much memory a process has.
    """
    if not hasattr(os, "fork"):
        raise InvalidInput("fit_timeout and fit_memory need a system that can fork; leave them out here")
    if limits.megabytes is not None and not STATM.exists():
        raise InvalidInput(
            f"fit_memory needs Linux, where {STATM} tells what a process has; leave it out here"
        )
    whole = estimator.engine_name(engine) == "batched" or batch.size == 1
    if whole:
        seconds = limits.seconds * batch.size if limits.seconds is not None else None
        answer = in_child(lambda: estimator.fit(batch, model, engine), Limits(seconds, limits.megabytes))
        if not isinstance(answer, Lost):
            kept: Estimates = answer
            return kept
        if batch.size == 1:
            return blank(batch, model, _with_limit(answer, limits))
    # Halves, and halves of these: one bad fit of a thousand is found in twenty children, not a thousand.
    cuts = [0, batch.size // 2, batch.size] if whole else list(range(batch.size + 1))
    pieces = [batch.take(range(start, stop)) for start, stop in pairwise(cuts)]
    return Estimates.concat([fit_guarded(estimator, piece, model, engine, limits) for piece in pieces])


def blank(batch: Batch, model: Model, lost: Lost) -> Estimates:
    """Return the rows of fits without an answer: every term of the model, all missing."""
    terms = batch.once(design_of, model).terms
    return Estimates.unusable(terms, batch.replications, lost.status, lost.message)


def in_child(function: Callable[[], Any], limits: Limits) -> Any:
    """Return what a function returns in a forked child, or `Lost`; an exception in the child is raised here.

    A fork has the batch, the compiled kernels and the user's code in memory already: nothing is pickled on the way in.
    On the way out the answer is, through a pipe that is read to its end before the child is waited for; otherwise a
    child with much to say would wait for a reader for ever.

    Parameters
    ----------
    function : callable without arguments
    limits : Limits
        The clock is kept here, the memory limit is set by the child for itself.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _answer(function, writing, limits)
    # The parent's own end: while it is open, a reader never sees that the child has ended.
    os.close(writing)
    data = None
    try:
        data = _receive(reading, limits.seconds)
    finally:
        os.close(reading)
        if data is None:
            # Not SIGTERM: a fit that hangs in compiled code runs no handler.
            os.kill(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if data is None:
        return Lost(FitStatus.TIMEOUT, "took too long")
    if not data:
        return Lost(FitStatus.FAILED, f"the process died while fitting ({_cause(code)})")
    done, value = opened(data)
    if done:
        return value
    if isinstance(value, MemoryError):
        return Lost(FitStatus.FAILED, "needed too much memory")
    raise value


def _answer(function: Callable[[], Any], writing: int, limits: Limits) -> NoReturn:
    """In the child: do it, send (True, value) or (False, exception), and end without any clean-up of the parent's."""
    # Ctrl-C reaches the whole group; who stops is the parent's to decide.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A crash here becomes a row: a dump on the parent's terminal would look like a crash of the run.
    faulthandler.disable()
    try:
        _limit_memory(limits.megabytes)
        with user_code():
            answer: tuple[bool, Any] = (True, function())
    except Exception as error:
        answer = (False, sendable(error))
    try:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(packed(answer))
    finally:
        # Without exit handlers: they are the parent's, and would run twice.
        os._exit(0)


def packed(answer: tuple[bool, Any]) -> bytes:
    """Return an answer as bytes; an error that says so where it has none."""
    # Whole before a byte is written: half an answer would look like a child that died.
    try:
        with user_code():
            return pickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        return pickle.dumps((False, UserError(f"an answer that can't be sent ({in_words(error)})")))


def opened(data: bytes) -> tuple[bool, Any]:
    """Return an answer of its bytes; classes of a user's decide what that does."""
    try:
        with user_code():
            answer: tuple[bool, Any] = pickle.loads(data)
            return answer
    except Exception as error:
        return False, UserError(f"an answer that can't be read ({in_words(error)})")


def _receive(reading: int, seconds: float | None) -> bytes | None:
    """Return all a child sends until it ends (nothing if it died), or None when time is up."""
    deadline = None if seconds is None else time.monotonic() + seconds
    parts: list[bytes] = []
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if select.select([reading], [], [], left)[0]:
            part = os.read(reading, 1 << 20)
            if not part:
                return b"".join(parts)
            parts.append(part)
        elif deadline is not None and time.monotonic() >= deadline:
            return None


def _limit_memory(megabytes: int | None) -> None:
    """Limit the address space of this process to what it has and so many megabytes more.

    Address space and not resident memory: the former is what systems let a process limit for itself.
    """
    if megabytes is None:
        return
    import resource

    now = int(STATM.read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    limit, hard = now + megabytes * 2**20, resource.getrlimit(resource.RLIMIT_AS)[1]
    # Batch systems set a hard limit, which nobody may raise.
    resource.setrlimit(
        resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard)
    )


def _cause(code: int) -> str:
    """Return what ended a child, in words: a signal or its exit code."""
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _with_limit(lost: Lost, limits: Limits) -> Lost:
    """Return a lost child with the limit it ran into in its message."""
    if lost.status is FitStatus.TIMEOUT:
        return Lost(lost.status, f"took longer than {limits.seconds:g} s")
    if "memory" in lost.message:
        return Lost(lost.status, f"needed more than {limits.megabytes} MB")
    return lost

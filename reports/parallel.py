"""One function over every condition of a run: in this process, or for long runs in several that each read their
conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import TypeVar
from uuid import uuid4

import joblib

from nestbench.experiments.results import Results
from nestbench.experiments.running.backends import pool
from nestbench.experiments.running.execute import cores
from nestbench.experiments.running.forks import FORKS, forked

T = TypeVar("T")

LONG = 200_000
"""Fits from which on processes are worth their start."""

A_CONDITION = 2_000
"""Fits that take as long as what a condition takes however few it has: its theory, its part of the page."""


def over_cells(
    results: Results, work: Callable[[Results, int], T], workers: int | None = None
) -> Iterator[T]:
    """Return ``work(results, cell)`` condition by condition, in order, as they come; `work` can be pickled, its answers
    too.

    `workers` are processes (default: one per core); they are used for stored runs as long as `LONG` fits or longer.
    The answers don't depend on them. Conditions with the same columns are done one after another
    (`Cell.columns_key`).

    Parameters
    ----------
    results : Results
    work : (results, cell) -> T
    workers : int, optional
        Processes, by default one a core; a short run is read in this one.
    """
    cells = _by_columns(results)
    # Runs without an opener are in memory: to send their rows costs more than the work.
    jobs = min(workers or cores(), len(cells))
    opener = results.opener()
    if jobs < 2 or opener is None or _length(results) < LONG:
        return _in_order(_done(results, work, cells))
    # Several chunks a worker, for conditions differ in size.
    step = max(1, len(cells) // (8 * jobs))
    chunks = [cells[i : i + step] for i in range(0, len(cells), step)]
    if not FORKS:
        return _in_order(chain.from_iterable(_elsewhere(opener, work, chunks, jobs)))
    return _in_order(
        chain.from_iterable(forked(lambda chunk: list(_done(results, work, chunk)), chunks, jobs))
    )


def _done(
    results: Results, work: Callable[[Results, int], T], cells: Iterable[int]
) -> Iterator[tuple[int, T]]:
    """Yield some conditions with what is made of them."""
    return ((cell, work(results, cell)) for cell in cells)


def _elsewhere(
    opener: Callable[[], Results], work: Callable[[Results, int], T], chunks: Iterable[list[int]], jobs: int
) -> Iterator[list[tuple[int, T]]]:
    """Return what processes begun anew make of some chunks of conditions; they start at once."""
    # The call starts the processes, inside the context; its answers are read after it, as the caller asks for them.
    with pool(jobs):
        parallel = joblib.Parallel(n_jobs=jobs, return_as="generator", batch_size=1)
        do = partial(_in_process, uuid4().hex, opener, work)
        answers: Iterator[list[tuple[int, T]]] = parallel(joblib.delayed(do)(chunk) for chunk in chunks)
    return answers


def _by_columns(results: Results) -> list[int]:
    """Return the conditions with those of the same columns beside one another, in the order of the first of them."""
    groups: dict[str, list[int]] = {}
    for number, cell in enumerate(results.experiment.cells):
        groups.setdefault(cell.columns_key or str(number), []).append(number)
    return list(chain.from_iterable(groups.values()))


def _in_order(answers: Iterable[tuple[int, T]]) -> Iterator[T]:
    """Yield the answers of conditions in the order of their numbers, each as soon as those before it are there."""
    waiting: dict[int, T] = {}
    due = 0
    for cell, answer in answers:
        waiting[cell] = answer
        while due in waiting:
            yield waiting.pop(due)
            due += 1


_opened: list[tuple[str, Results]] = []
"""In a process of a pool: the run that the last call was about."""


def _in_process(
    call: str, opener: Callable[[], Results], work: Callable[[Results, int], T], cells: Sequence[int]
) -> list[tuple[int, T]]:
    """Do some conditions in a process of their own, which opens the run for itself: once a call, for a run may have
    grown until the next one."""
    if not _opened or _opened[0][0] != call:
        _opened[:] = [(call, opener())]
    return list(_done(_opened[0][1], work, cells))


def _length(results: Results) -> int:
    """Return how long a run is in fits: what decides whether processes are worth their start."""
    fitted = results.extent().fitted
    return A_CONDITION * len(fitted) + sum(sum(by_method.values()) for by_method in fitted)

"""Estimates of a condition as a mapping that reads a method's files when it is asked for.

A condition of a long run doesn't fit into memory with all its methods; most readers want one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Protocol, TypeVar

import numpy as np

from nestbench.estimators.estimates import Estimates
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.plan import Task
from nestbench.experiments.storing import encoding, journal

T = TypeVar("T")


class Shelf(Protocol):
    """What is asked of a store: its methods, a condition's finished tasks, and what their files hold."""

    @property
    def experiment(self) -> Experiment:
        """The experiment as run."""

    def finished(self, cell: int) -> list[journal.Entry]:
        """Finished tasks of a condition, by replication."""

    def read(self, entry: journal.Entry, folder: str, decode: Callable[[bytes], T]) -> T:
        """What a task's file in one of the run's folders holds."""


class CellEstimates(Mapping[str, Estimates]):
    """Estimates of a condition, or of some of its replications, by method label, each read when it is asked for."""

    def __init__(self, store: Shelf, cell: int, within: range | None = None) -> None:
        self._store = store
        self._within = within
        self._entries = [entry for entry in store.finished(cell) if touches(within, entry.task)]
        present = sorted({i for entry in self._entries for i in entry.task.estimators})
        self._positions = {store.experiment.estimators[i].label: i for i in present}

    def __getitem__(self, label: str) -> Estimates:
        chosen = self._positions[label]
        return Estimates.concat(
            [self._decoded(entry, chosen) for entry in self._entries if chosen in entry.task.estimators]
        )

    def _decoded(self, entry: journal.Entry, chosen: int) -> Estimates:
        """Return what a task has on a method, less the replications that weren't asked for."""
        position = entry.task.estimators.index(chosen)
        estimates = self._store.read(entry, "fits", partial(encoding.decode_estimates, position=position))
        if self._within is None or covers(self._within, entry.task):
            return estimates
        return estimates.take(np.isin(estimates.replications, self._within))

    def __iter__(self) -> Iterator[str]:
        return iter(self._positions)

    def __len__(self) -> int:
        return len(self._positions)


def touches(within: range | None, task: Task) -> bool:
    """Whether a task has any of some replications (None: all)."""
    return within is None or (task.start < within.stop and within.start < task.stop)


def covers(within: range | None, task: Task) -> bool:
    """Whether all of a task's are among some replications (None: all)."""
    return within is None or (within.start <= task.start and task.stop <= within.stop)

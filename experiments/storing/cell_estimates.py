"""Estimates of a condition as a mapping that reads a method's files when it is asked for.

A condition of a long run doesn't fit into memory with all its methods; most readers want one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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
    """Estimates of a condition, or of some of its replications or names, by method label, read when asked for."""

    def __init__(
        self, store: Shelf, cell: int, within: range | None = None, names: Sequence[str] | None = None
    ) -> None:
        self._store = store
        self._within, self._names = within, names
        self._entries = [entry for entry in store.finished(cell) if touches(within, entry.task)]
        # In the experiment's order, whatever the order in which tasks ended.
        present = sorted({i for entry in self._entries for i in entry.task.estimators})
        self._positions = {store.experiment.estimators[i].label: i for i in present}

    def __getitem__(self, label: str) -> Estimates:
        decode = partial(encoding.decode_estimates, names=self._names)
        return Estimates.concat(
            [self._within_range(entry, estimates) for entry, estimates in self._decoded(label, decode)]
        )

    def names(self) -> dict[str, tuple[str, ...]]:
        """Return the terms and quantities that each method has in any file, in order of first appearance."""
        found: dict[str, dict[str, None]] = {label: {} for label in self}
        for entry in self._entries:
            # A file is read once for all of its methods.
            decode = partial(encoding.decode_names, methods=len(entry.task.estimators))
            by_method = self._store.read(entry, "fits", decode)
            for number, names in zip(entry.task.estimators, by_method, strict=True):
                found[self._store.experiment.estimators[number].label].update(dict.fromkeys(names))
        return {label: tuple(names) for label, names in found.items()}

    def _decoded(self, label: str, decode: Callable[..., T]) -> Iterator[tuple[journal.Entry, T]]:
        number = self._positions[label]
        for entry in self._entries:
            if number in entry.task.estimators:
                position = entry.task.estimators.index(number)
                yield entry, self._store.read(entry, "fits", partial(decode, position=position))

    def _within_range(self, entry: journal.Entry, estimates: Estimates) -> Estimates:
        """Return what a task has on a method, less the replications that weren't asked for."""
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

"""Precision instead of a count: conditions are doubled until the Monte Carlo errors asked for are reached.

The sizes of the rounds are fixed in advance (n, 2n, 4n, ... up to a maximum), and whether a condition goes on depends
on its stored estimates alone, so neither speed nor workers nor an interruption changes what is run. Only `max_time`,
looked at between rounds, does by its nature.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.plan import Round
from nestbench.experiments.running.backends import LOCAL, Backend
from nestbench.experiments.running.execute import execute
from nestbench.experiments.running.progress import Progress
from nestbench.experiments.storing.store import Store
from nestbench.sim.counted import plural


class Judge(Protocol):
    """Knows measures and their Monte Carlo errors.

    A protocol, because measures belong to reports, which stand above experiments: whoever starts a run hands one down.
    """

    def check(self, experiment: Experiment) -> None:
        """Refuse targets for measures that aren't."""

    def errors(self, store: Store, cell: int) -> Mapping[str, float]:
        """Return the largest Monte Carlo error in a condition of each measure with a target."""


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a condition came: its replications, and by measure the largest error and the target."""

    cell: int
    replications: int
    errors: Mapping[str, tuple[float, float]]

    @property
    def done(self) -> bool:
        """Whether every target is met."""
        return all(error <= target for error, target in self.errors.values())


def refine(
    store: Store, judge: Judge, workers: int | None, progress: Progress, backend: Backend = LOCAL
) -> list[Reached]:
    """Run a store, or the conditions of a part, round by round until each has its precision, its maximum, or time is
    up.

    A round is written to the manifest before it is run: an interrupted run goes on in the round where it was. Doubling
    a condition at most doubles what a fixed number of replications would have cost.

    Parameters
    ----------
    store : Store
    judge : Judge
    workers : int, optional
    progress : Progress
    backend : Backend

    Returns
    -------
    list of Reached
        A condition each: its replications and, by measure, error and target.
    """
    precision = store.experiment.precision
    assert precision is not None
    started = time.monotonic()
    while True:
        execute(store, workers, progress, backend)
        last, standing = store.rounds[-1], judged(store, judge)
        open_cells = {reached.cell for reached in standing if not reached.done}
        sizes = tuple(
            max(n, min(2 * n, precision.max_replications)) if cell in open_cells else n
            for cell, n in enumerate(last.replications)
        )
        late = precision.max_time is not None and time.monotonic() - started > precision.max_time
        # Time is looked at between rounds alone: within one, what is run must not depend on it.
        if sizes == last.replications or late:
            remember(store, standing)
            return standing
        progress.note(f"precision: more replications for {plural(len(open_cells), 'condition')}")
        store.extend(Round(sizes, last.reference, last.audit))


def judged(store: Store, judge: Judge) -> list[Reached]:
    """Return how far each condition of a store came."""
    cells = sorted({task.cell for task in store.tasks})
    return [_reached(store, judge, cell, store.rounds[-1]) for cell in cells]


def remember(store: Store, standing: Sequence[Reached]) -> None:
    """Keep in a store, in words, what precision was reached."""
    store.remember_precision([_words(reached) for reached in standing])


def _reached(store: Store, judge: Judge, cell: int, last: Round) -> Reached:
    """Return how far one condition came: the largest error over methods and terms decides for each measure."""
    precision = store.experiment.precision
    assert precision is not None
    errors = judge.errors(store, cell)
    pairs = {name: (errors[name], target) for name, target in precision.targets.items() if name in errors}
    return Reached(cell, last.replications[cell], pairs)


def _words(reached: Reached) -> str:
    """Return what was reached in one condition, as the run keeps it."""
    parts = [
        f"{name} {error:.2g} ({'reached' if error <= target else 'not reached'}: {target:g})"
        for name, (error, target) in reached.errors.items()
    ]
    return (
        f"condition {reached.cell}, {reached.replications} replications: largest MCSE of {', '.join(parts)}"
    )

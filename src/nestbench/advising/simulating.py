"""Fits of every scenario's null data sets, of one term: draws and fits as in an ordinary run, without its files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt

from nestbench.estimators.estimates import ESTIMATE, LOWER, P_VALUE, UPPER, Estimates
from nestbench.experiments.drawing import held
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.plan import Task
from nestbench.experiments.running.backends import LOCAL, processes_start
from nestbench.experiments.running.execute import cores, mapped
from nestbench.experiments.running.forks import FORKS
from nestbench.experiments.running.work import Work, fit_all
from nestbench.experiments.running.workers import ignore_interrupts, one_thread
from nestbench.own_data.bar import Step
from nestbench.sim.cells.cell import Cell
from nestbench.sim.laws.fixed_design import FixedDesign
from nestbench.sim.observed.batch import Floats

T = TypeVar("T")
W = TypeVar("W")
NUMBERS = 20_000_000
"""Numbers of all data sets of a task."""
LONGEST = 500
"""Data sets of a task at most."""
TASKS = 8
"""Tasks a worker and scenario at least, so that progress is seen and the last ones end together."""


KEPT = (LOWER, UPPER, P_VALUE, ESTIMATE)
"""What is kept of a fit as it is: fields of `Draws`."""
SILENCE = 1.0
"""Seconds between two reports of progress."""


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """One method's answers for the term on the data sets of one scenario.

    Attributes
    ----------
    lower, upper, p_value : float64 [R]
        NaN where the fit is not usable.
    estimate : float64 [R]
    found : float64 [R]
        Whether the interval excludes 0 when the planted effect is in the data, 1 or 0; NaN where it isn't usable then.
    """

    lower: Floats
    upper: Floats
    p_value: Floats
    estimate: Floats
    found: Floats

    @property
    def usable(self) -> npt.NDArray[np.bool_]:
        """Which data sets have an interval [R]."""
        return ~(np.isnan(self.lower) | np.isnan(self.upper))


Answers = Mapping[str, Draws]
"""Label of a method -> its draws."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of work, the term that is kept of it, and the effect that is planted."""

    work: Work
    term: str
    planted: float


def simulate(
    experiment: Experiment,
    cells: Sequence[int],
    term: str,
    planted: float,
    limits: Mapping[str, int],
    workers: int | None,
    step: Step,
) -> list[Answers]:
    """Return the methods' answers for a term, scenario by scenario; `limits` bound the data sets of single methods."""
    tasks = tasks_of(experiment, cells, limits)
    found: dict[int, dict[str, list[Draws]]] = {cell: {} for cell in cells}
    parts: list[tuple[Task, dict[str, Draws]]] = []
    step(0, len(tasks), "simulating")
    known: dict[object, bytes] = {}
    works = (Part(Work.of(experiment, task, known=known), term, planted) for task in tasks)
    step = sparing(step)
    for done, part in enumerate(spread_out(_perform, works, len(tasks), workers), 1):
        parts.append(part)
        if done < len(tasks):
            step(done, len(tasks), "simulating")
    # Tasks end in any order: sorted, the answers don't depend on the workers.
    for task, answers in sorted(parts, key=lambda part: (part[0].cell, part[0].start)):
        for label, draws in answers.items():
            found[task.cell].setdefault(label, []).append(draws)
    return [{label: _joined(draws) for label, draws in found[cell].items()} for cell in cells]


def sparing(step: Step) -> Step:
    """Return a step that is silent for `SILENCE` after it was heard."""
    said = time.monotonic()

    def spared(done: int, of: int, label: str) -> None:
        nonlocal said
        if time.monotonic() - said > SILENCE:
            said = time.monotonic()
            step(done, of, label)

    return spared


def spread_out(do: Callable[[W], T], works: Iterator[W], count: int, workers: int | None) -> Iterator[T]:
    """Yield what some works come to, in any order, from so many processes (default: one a core)."""
    workers = min(workers or cores(), count)
    yield from mapped(do, works, workers if FORKS or processes_start() else 1, LOCAL)


def tasks_of(experiment: Experiment, cells: Sequence[int], limits: Mapping[str, int]) -> list[Task]:
    """Return the tasks, those with slow methods first."""
    tasks = []
    most = experiment.replications
    bounds = sorted({min(most, limits.get(e.name, most), experiment.limit(e)) for e in experiment.estimators})
    for low, high in zip([0, *bounds], bounds, strict=False):
        chosen = tuple(
            i
            for i, e in enumerate(experiment.estimators)
            if min(limits.get(e.name, most), experiment.limit(e)) >= high
        )
        fitted = [experiment.estimators[i] for i in chosen]
        for cell in cells:
            numbers = held(experiment.cells[cell], fitted, experiment.engine)
            size = int(np.clip(NUMBERS // numbers, 1, min(LONGEST, -(-(high - low) // TASKS))))
            tasks += [Task(cell, start, min(start + size, high), chosen) for start in range(low, high, size)]
    return tasks


def _perform(part: Part) -> tuple[Task, dict[str, Draws]]:
    """Do a task in a worker, and keep of it what is asked."""
    work = part.work
    ignore_interrupts(work.home)
    cell, estimators = work.open()
    estimators = tuple(e.for_term(part.term) for e in estimators)
    numbers = range(work.task.start, work.task.stop)
    with one_thread():
        fits = fit_all(cell, work.seed, numbers, estimators, work.engine)
        own = tuple(e for e in estimators if e.reads_null)
        moved = fit_all(_planted(cell, part), work.seed, numbers, own, work.engine) if own else {}
    return work.task, {
        label: draws_of(found, part.term, part.planted, moved.get(label)) for label, found in fits.items()
    }


def _planted(cell: Cell, part: Part) -> Cell:
    """Return the condition with the effect in the outcome."""
    law = cast(FixedDesign, cell.population)
    return replace(cell, population=replace(law, effects={**law.effects, part.term: part.planted}))


def draws_of(found: Estimates, term: str, planted: float = 0.0, moved: Estimates | None = None) -> Draws:
    """Return one term's answers.

    Nestbench's own methods are equivariant: of y + x c estimate and interval are those of y plus c, the rest stays
    (`Estimator.reads_null`; tests/estimators/test_null.py holds each of them to it). So the planted effect needs
    neither a draw nor a fit. Of others `moved` are the fits with the effect in the data.
    """
    kept = {name: _values(found, term, name) for name in KEPT}
    shift = planted if moved is None else 0.0
    of = found if moved is None else moved
    lower, upper = (_values(of, term, name) + shift for name in (LOWER, UPPER))
    excluded = np.where(np.isnan(lower) | np.isnan(upper), np.nan, (lower > 0) | (upper < 0))
    return Draws(**kept, found=excluded)


def _values(found: Estimates, term: str, name: str) -> Floats:
    """Return a column of one term [R], NaN where it isn't usable."""
    if term not in found.terms:
        return np.full(found.size, np.nan)
    k = found.terms.index(term)
    return np.where(found.usable[:, k], getattr(found, name)[:, k], np.nan)


def _joined(parts: Sequence[Draws]) -> Draws:
    names = [field.name for field in fields(Draws)]
    return Draws(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

"""Fits of every scenario's null data sets, of one term: draws and fits as in an ordinary run, without its files."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nestbench.estimators.estimates import ESTIMATE, LOWER, P_VALUE, UPPER, Estimates
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.plan import Task
from nestbench.experiments.running import warming
from nestbench.experiments.running.backends import LOCAL, processes_start
from nestbench.experiments.running.execute import cores, mapped
from nestbench.experiments.running.work import Work, fit_all
from nestbench.experiments.running.workers import ignore_interrupts
from nestbench.own_data.bar import Step
from nestbench.sim.observed.batch import Floats

NUMBERS = 2_000_000
"""Numbers of the outcome and the columns that a worker holds at once."""
TASKS = 8
"""Tasks a worker and scenario at least, so that progress is seen and the last ones end together."""


KEPT = (LOWER, UPPER, P_VALUE, ESTIMATE)
"""What is kept of a fit, in the order of `Draws`."""
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
    """

    lower: Floats
    upper: Floats
    p_value: Floats
    estimate: Floats

    @property
    def usable(self) -> npt.NDArray[np.bool_]:
        """Which data sets have an interval [R]."""
        return ~(np.isnan(self.lower) | np.isnan(self.upper))


Answers = Mapping[str, Draws]
"""Label of a method -> its draws."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of work and the term that is kept of it."""

    work: Work
    term: str


def simulate(
    experiment: Experiment,
    cells: Sequence[int],
    term: str,
    limits: Mapping[str, int],
    workers: int | None,
    step: Step,
) -> list[Answers]:
    """Return the methods' answers for a term, scenario by scenario; `limits` bound the data sets of single methods."""
    tasks = tasks_of(experiment, cells, limits)
    workers = min(workers or cores(), len(tasks))
    workers = workers if processes_start() else 1
    if warming.needed(experiment):
        step(0, len(tasks), "compiling, once for this version")
        warming.compile_kernels(experiment)
    found: dict[int, dict[str, list[Draws]]] = {cell: {} for cell in cells}
    parts: list[tuple[Task, dict[str, Draws]]] = []
    step(0, len(tasks), "simulating")
    works = (Part(Work.of(experiment, task), term) for task in tasks)
    said = time.monotonic()
    for done, part in enumerate(mapped(_perform, works, workers, LOCAL), 1):
        parts.append(part)
        if done < len(tasks) and time.monotonic() - said > SILENCE:
            said = time.monotonic()
            step(done, len(tasks), "simulating")
    # Tasks end in any order: sorted, the answers don't depend on the workers.
    for task, answers in sorted(parts, key=lambda part: (part[0].cell, part[0].start)):
        for label, draws in answers.items():
            found[task.cell].setdefault(label, []).append(draws)
    return [{label: _joined(draws) for label, draws in found[cell].items()} for cell in cells]


def tasks_of(experiment: Experiment, cells: Sequence[int], limits: Mapping[str, int]) -> list[Task]:
    """Return the tasks, those with slow methods first."""
    tasks = []
    rows = experiment.cells[cells[0]].draw(experiment.seed, range(1)).rows
    step = int(np.clip(NUMBERS // (rows * (3 + len(experiment.cells[0].found.terms))), 1, 500))
    most = experiment.replications
    bounds = sorted({min(most, limits.get(e.name, most), experiment.limit(e)) for e in experiment.estimators})
    for low, high in zip([0, *bounds], bounds, strict=False):
        chosen = tuple(
            i
            for i, e in enumerate(experiment.estimators)
            if min(limits.get(e.name, most), experiment.limit(e)) >= high
        )
        size = step if low else max(1, min(step, -(-(high - low) // TASKS)))
        for cell in cells:
            tasks += [Task(cell, start, min(start + size, high), chosen) for start in range(low, high, size)]
    return tasks


def _perform(part: Part) -> tuple[Task, dict[str, Draws]]:
    """Do a task in a worker, and keep of it what is asked."""
    work = part.work
    ignore_interrupts(work.home)
    cell, estimators = work.open()
    numbers = range(work.task.start, work.task.stop)
    fits = fit_all(cell, work.seed, numbers, estimators, work.engine)
    return work.task, {label: draws_of(found, part.term) for label, found in fits.items()}


def draws_of(found: Estimates, term: str) -> Draws:
    """Return one term's answers."""
    if term not in found.terms:
        return Draws(*(np.full(found.size, np.nan) for _ in range(4)))
    k = found.terms.index(term)
    usable = found.usable[:, k]
    return Draws(*(np.where(usable, getattr(found, n)[:, k], np.nan) for n in KEPT))


def _joined(parts: Sequence[Draws]) -> Draws:
    return Draws(*(np.concatenate([getattr(p, n) for p in parts]) for n in KEPT))

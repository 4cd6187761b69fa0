"""What a run will cost, from a short calibration: seconds and bytes by condition.

A few data sets are drawn and fitted here and now, for prices by the book would be wrong on another machine and for
methods that this package has never seen. The forecast is for a person who decides whether to start; a run itself
doesn't use it.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nestbench.estimators.equivalence.agreement import audited
from nestbench.estimators.estimates import STORED_COLUMNS, Estimates, FitStatus
from nestbench.estimators.estimator import Estimator
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.plan import Round, Task, audited_replications, plan, refuse_too_many, rows_of
from nestbench.experiments.running import checking
from nestbench.experiments.running.oracle import with_truth
from nestbench.experiments.storing import encoding
from nestbench.sim.cells.cell import Cell

PROBES = 3
"""Conditions that are timed; the others are taken to cost what the timed one nearest in size does."""

SECONDS = 0.03
"""How long one method is timed in one condition."""

FIRST = 1.0
"""Seconds from which even the first fit is timing enough: imports and compiled code take less."""

BYTES = 7.0
"""Bytes a stored number takes at most."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one method costs in one condition.

    Attributes
    ----------
    seconds : float
        Of a fit, on one core.
    other : float
        Of a fit with the other engine, for audits; 0 where none is made.
    size : float
        Bytes stored a fit.
    trouble : str
        What all fits that were timed say, of none of which every term is estimated; "" where one is fine.
    """

    seconds: float
    other: float
    size: float
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The plan of an experiment with its cost.

    Attributes
    ----------
    tasks : tuple of Task
    seconds : float64 [tasks]
        Of each task on one core.
    size : float
        Bytes of the store.
    troubles : tuple of (int, str, tuple of str)
        Of conditions that were timed: what methods say of all their fits, and which methods.
    """

    tasks: tuple[Task, ...]
    seconds: tuple[float, ...]
    size: float
    troubles: tuple[tuple[int, str, tuple[str, ...]], ...] = ()

    @property
    def fits(self) -> int:
        """Number of fits, audits aside."""
        return sum(task.fits for task in self.tasks if not task.audit)

    def cell_seconds(self, cell: int) -> float:
        """Return the seconds of a condition's tasks on one core."""
        return sum(s for task, s in zip(self.tasks, self.seconds, strict=True) if task.cell == cell)

    def wall(self, workers: int) -> float:
        """Return the seconds until the last task is done by some workers, each taking the next task when free.

        Tasks are long beside what handing them out costs, so the list schedule is what happens.
        """
        free = np.zeros(min(workers, max(1, len(self.tasks))))
        for seconds in self.seconds:
            free[int(free.argmin())] += seconds
        return float(free.max())


def forecast(experiment: Experiment) -> Forecast:
    """Return the plan of an experiment and what it will cost on this machine, by fitting a few data sets.

    Parameters
    ----------
    experiment : Experiment

    Raises
    ------
    InvalidInput
        What a run would refuse as well: too many tasks, a model that the population has no columns for.
    """
    refuse_too_many(experiment)
    checking.check_models(experiment)
    probes = _probes(experiment.cells)
    costs = {
        i: [_cost(experiment, i, e) for e in with_truth(experiment.estimators, experiment.cells[i])]
        for i in probes
    }
    nearest = {
        i: min(probes, key=lambda j: abs(np.log(rows_of(experiment.cells[j]) / rows_of(cell))))
        for i, cell in enumerate(experiment.cells)
    }
    tasks = plan(experiment)
    seconds, size = [], 0.0
    for task in tasks:
        prices = [costs[nearest[task.cell]][i] for i in task.estimators]
        replications = task.stop - task.start
        each = [c.seconds + c.other if task.audit else c.seconds for c in prices]
        seconds.append(replications * sum(each))
        # A file's own bytes beside its rows.
        size += 2000 + (0 if task.audit else replications * sum(c.size for c in prices))
    return Forecast(tasks, tuple(seconds), size, tuple(_troubles(experiment, costs)))


def slurm_script(source: str, shards: int, wall_seconds: float, folder: str) -> str:
    """Return an array script for SLURM that runs every part of an experiment, and what to type afterwards.

    Parameters
    ----------
    source : str
        Catalogue name or TOML file, as it would be typed.
    shards : int
    wall_seconds : float
        Of one part, as forecast; the script asks for three times as much.
    folder : str
        Where the parts go.
    """
    where = shlex.quote(folder)
    minutes = max(10, int(np.ceil(3 * wall_seconds / 60)))
    return f"""\
#!/bin/sh
#SBATCH --job-name=nestbench
#SBATCH --array=1-{shards}
#SBATCH --cpus-per-task=1
#SBATCH --time={minutes // 60:02d}:{minutes % 60:02d}:00
#SBATCH --mem=2G
# A part that was killed goes on where it was: submit the script again. When all parts are done:
#   nestbench merge {where}/part-* -o {where}/run
nestbench run {source} --shard "$SLURM_ARRAY_TASK_ID/{shards}" --workers 1 -o {where}/part-"$SLURM_ARRAY_TASK_ID"
"""


def _probes(cells: Sequence[Cell]) -> list[int]:
    """Return conditions spread over the range of sizes."""
    # Stable: the same conditions are timed every time.
    order = np.argsort([rows_of(cell) for cell in cells], kind="stable")
    return sorted({int(order[round(i)]) for i in np.linspace(0, len(cells) - 1, min(PROBES, len(cells)))})


def _cost(experiment: Experiment, cell: int, estimator: Estimator) -> Cost:
    """Time a method in a condition, and with its other engine if audits will use that too."""
    condition = experiment.cells[cell]
    engine = estimator.engine_name(experiment.engine)
    seconds, fits = _timed(experiment, condition, estimator, engine)
    # Not where no audit is made: of very large data sets the other engine could be too slow, or too large, to be timed.
    twice = (
        audited(estimator)
        and estimator.batched is not None
        and audited_replications(condition, Round.of(experiment), cell) > 0
    )
    other = "reference" if engine == "batched" else "batched"
    again = _timed(experiment, condition, estimator, other)[0] if twice else 0.0
    return Cost(seconds, again, _bytes_of_a_fit(fits), _trouble(fits))


def _troubles(
    experiment: Experiment, costs: Mapping[int, Sequence[Cost]]
) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Yield conditions with what methods say of all fits there, and which methods."""
    for cell, prices in costs.items():
        told = list(zip(experiment.estimators, prices, strict=True))
        for text in dict.fromkeys(cost.trouble for _, cost in told if cost.trouble):
            yield cell, text, tuple(method.label for method, cost in told if cost.trouble == text)


def _trouble(fits: Estimates) -> str:
    """Return what all fits say, of none of which every term is estimated; "" else."""
    texts = set(fits.texts())
    return texts.pop() if len(texts) == 1 and (fits.status >= FitStatus.SINGULAR).all() else ""


def _bytes_of_a_fit(fits: Estimates) -> float:
    """Return the bytes stored a fit: what more fits added to a file, or a rule where only few were made to be timed."""
    few = 2
    if fits.size < 6 * few:
        return BYTES * len(STORED_COLUMNS) * len(fits.terms)
    sizes = [len(encoding.encode_estimates({"x": fits.take(slice(n))})) for n in (few, fits.size)]
    return max(0.0, sizes[1] - sizes[0]) / (fits.size - few)


def _timed(experiment: Experiment, cell: Cell, estimator: Estimator, engine: str) -> tuple[float, Estimates]:
    """Return the seconds of a fit, drawing included, and the fits: of batches that grow until they take long enough.

    A slow fit is made once; what the first one pays for (imports, compiled code) isn't counted where others follow.
    """
    replications = 1
    while True:
        started = time.perf_counter()
        fits = estimator.fit(cell.draw(experiment.seed, range(replications)), cell.model, engine)
        took = time.perf_counter() - started
        if took >= (SECONDS if replications > 1 else FIRST) or replications >= 1024:
            return took / replications, fits
        replications *= 4 if took < SECONDS / 8 else 2

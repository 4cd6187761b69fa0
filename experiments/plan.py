"""The plan: which replications of which condition are fitted by what, cut into tasks. A pure function of its inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from nestbench.estimators.equivalence.agreement import audited
from nestbench.estimators.estimator import Agreement, Estimator
from nestbench.experiments.drawing import strata_of_cell
from nestbench.experiments.experiment import Experiment
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.data_size import data_size
from nestbench.sim.cells.kept_law import KeptLaw
from nestbench.sim.errors import InvalidInput

TASK_SECONDS = 2.0
"""What a task should take: long against the cost of sending it, short against the patience of who stops a run."""

FIRST_CUTS = (1, 2, 5, 10, 20, 50)
"""Where the first slow replications of a run are cut: nobody knows what they cost, and a run should soon show life."""

TASK_NUMBERS = 3_000_000
"""Bound on the numbers a task returns (8 bytes each)."""


MOST_AUDITED = 200_000
"""Students of a data set up to which audits complete them: one of MixedLM's order takes some seconds and 200 MB."""

MOST_TASKS = 1_000_000
"""Bound on the tasks of a run: each is a file, and a line of the journal."""


@dataclass(frozen=True, slots=True)
class Task:
    """Replications ``start .. stop - 1`` of a condition for some methods (positions in the experiment's tuple).

    `audit` tasks fit them with both engines and return how the two compare; the others return estimates.
    """

    cell: int
    start: int
    stop: int
    estimators: tuple[int, ...]
    audit: bool = False

    @property
    def key(self) -> str:
        """Name of the task within its run."""
        kind = "audit" if self.audit else "fits"
        # Of one width: files sort by replication.
        return f"{kind}/c{self.cell:05d}/{self.start:09d}-{self.stop:09d}"

    @property
    def fits(self) -> int:
        """Number of fits."""
        return (self.stop - self.start) * len(self.estimators)


@dataclass(frozen=True, slots=True)
class Round:
    """How far a run goes: replications of each condition, the bound for slow methods, audited replications.

    A run has one round, and one more each time it is extended.
    """

    replications: tuple[int, ...]
    reference: int
    audit: int

    @classmethod
    def of(cls, experiment: Experiment) -> Round:
        """Return the round an experiment asks for."""
        cells = len(experiment.cells)
        return cls((experiment.replications,) * cells, experiment.reference_replications, experiment.audit)

    @classmethod
    def nothing(cls, experiment: Experiment) -> Round:
        """Return the round before the first."""
        return cls((0,) * len(experiment.cells), 0, 0)

    def joined(self, other: Round) -> Round:
        """Return the round that goes as far as both."""
        replications = tuple(max(pair) for pair in zip(self.replications, other.replications, strict=True))
        return Round(replications, max(self.reference, other.reference), max(self.audit, other.audit))


def plan(
    experiment: Experiment, rounds: Sequence[Round] | None = None, block: int | None = None
) -> tuple[Task, ...]:
    """Return the tasks of an experiment, in the order they should be started.

    Parameters
    ----------
    experiment : Experiment
    rounds : sequence of Round
        How far it goes, round by round (default: one, as the experiment says). Tasks of a round only add to those
        before, so extending a run redoes nothing.
    block : int
        Replications per task, instead of as many as take about `TASK_SECONDS`.
    """
    tasks: list[Task] = []
    before = Round.nothing(experiment)
    for reach in rounds or (Round.of(experiment),):
        for cell in range(len(experiment.cells)):
            tasks.extend(_fits(experiment, cell, before, reach, block))
            tasks.extend(_audits(experiment, cell, before, reach))
        before = before.joined(reach)
    return tuple(tasks)


def refuse_too_many(experiment: Experiment, block: int | None = None) -> None:
    """Refuse an experiment of more tasks than a run can have, before any is made.

    Raises
    ------
    InvalidInput
        More than `MOST_TASKS`.
    """
    # No task has less than a replication: costs needn't be guessed.
    if len(experiment.cells) * experiment.replications <= MOST_TASKS:
        return
    tasks = 0.0
    for cell in experiment.cells:
        sizes = [block or block_size(cell, [e], experiment.engine) for e in experiment.estimators]
        tasks += max(experiment.limit(e) / size for e, size in zip(experiment.estimators, sizes, strict=True))
    if tasks > MOST_TASKS:
        raise InvalidInput(
            f"expected a run of at most {MOST_TASKS} tasks, got about {tasks:.2g} ({len(experiment.cells)} conditions "
            f"x {experiment.replications} replications); ask for fewer replications, or split the study"
        )


def limit(experiment: Experiment, estimator: Estimator, cell: int, reach: Round) -> int:
    """Return how many replications of a condition a method fits by the end of a round (`Experiment.limit`); of results
    read from a table, how many it has there.

    Parameters
    ----------
    experiment : Experiment
    estimator : Estimator
    cell : int
    reach : Round
    """
    law = experiment.cells[cell].population
    if isinstance(law, KeptLaw) and law.brought:
        return min(law.count_of(estimator.label), reach.replications[cell])
    return experiment.limit(estimator, reach.replications[cell], reach.reference)


def _fits(
    experiment: Experiment, cell: int, before: Round, reach: Round, block: int | None
) -> Iterator[Task]:
    spans = [
        (limit(experiment, e, cell, before), limit(experiment, e, cell, reach)) for e in experiment.estimators
    ]
    cuts = sorted({cut for span in spans for cut in span})
    for first, last in pairwise(cuts):
        active = tuple(i for i, (start, stop) in enumerate(spans) if start <= first and last <= stop)
        if active:
            methods = [experiment.estimators[i] for i in active]
            size = block or block_size(experiment.cells[cell], methods, experiment.engine)
            # By number, not by what the first fits took: where tasks are cut must be the same when a run is resumed.
            slow = any(e.engine_name(experiment.engine) == "reference" for e in methods)
            early = FIRST_CUTS if slow and cell == 0 and not block else ()
            yield from (Task(cell, *ends, active) for ends in _blocks(first, last, size, early))


def to_audit(experiment: Experiment, reach: Round) -> int:
    """Return how many data sets, over all conditions, both engines fit by the end of a round."""
    if not with_both_engines(experiment):
        return 0
    return sum(audited_replications(cell, reach, i) for i, cell in enumerate(experiment.cells))


def audited_replications(cell: Cell, reach: Round, index: int) -> int:
    """Return how many data sets of a condition both engines fit by the end of a round.

    None where statistics are drawn of more than `MOST_AUDITED` students: completing them would be all the work of a
    run that needs none of them.

    Parameters
    ----------
    cell : Cell
    reach : Round
    index : int
        The condition's place in the experiment.
    """
    size = data_size(cell.population, cell.layout)
    return 0 if size.statistics and size.rows > MOST_AUDITED else min(reach.audit, reach.replications[index])


def with_both_engines(experiment: Experiment) -> tuple[int, ...]:
    """Return the places of the methods whose engines are held against one another."""
    return tuple(
        i
        for i, e in enumerate(experiment.estimators)
        if audited(e) and e.agreement is not Agreement.UNDER_STUDY
    )


def _audits(experiment: Experiment, cell: int, before: Round, reach: Round) -> Iterator[Task]:
    first, last = (audited_replications(experiment.cells[cell], r, cell) for r in (before, reach))
    both = with_both_engines(experiment)
    if both and experiment.engine != "reference":
        methods = [experiment.estimators[i] for i in both]
        # Both engines fit, and the slow one decides how long that takes.
        size = block_size(experiment.cells[cell], methods, "reference")
        yield from (Task(cell, *ends, both, audit=True) for ends in _blocks(first, last, size))


def _blocks(first: int, last: int, size: int, early: Sequence[int] = ()) -> Iterable[tuple[int, int]]:
    """Cut at multiples of `size`, and at the `early` replications before the first of them."""
    # At multiples, not from `first` on: a run that was extended is cut as one that was as long at once.
    cuts = {first, *range((first // size + 1) * size, last, size), last}
    cuts |= {cut for cut in early if first < cut < min(size, last)}
    return pairwise(sorted(cuts)) if last > first else ()


def block_size(cell: Cell, estimators: Sequence[Estimator], engine: str) -> int:
    """Return the replications of a task: 1, 2 or 5 times a power of ten, from rough costs of a fit.

    The costs decide only where tasks are cut, never a number.

    Large enough that handing out a task costs nothing beside it, small enough that an interruption loses
    seconds.

    Parameters
    ----------
    cell : Cell
    estimators : sequence of Estimator
    engine : str
    """
    seconds = replication_seconds(cell, estimators, engine)
    numbers = 60 * len(estimators)
    size = max(1, min(int(TASK_SECONDS / seconds), TASK_NUMBERS // numbers))
    power: int = 10 ** (len(str(size)) - 1)
    return next(step * power for step in (5, 2, 1) if step * power <= size)


def replication_seconds(cell: Cell, estimators: Sequence[Estimator], engine: str) -> float:
    """Return a rough cost of drawing a data set and fitting it, in seconds: the guess behind block sizes."""
    return drawing_seconds(cell) + sum(fit_seconds(cell, e, engine) for e in estimators)


def drawing_seconds(cell: Cell) -> float:
    """Return a rough cost of drawing a data set, in seconds."""
    return 3e-5 + 4e-8 * (6 * strata_of_cell(cell) or _rows_to_cut_by(cell))


def fit_seconds(cell: Cell, estimator: Estimator, engine: str) -> float:
    """Return a rough cost of a fit, in seconds; of MixedLM's order for methods that aren't batched."""
    return 2e-2 + 1e-4 * _rows_to_cut_by(cell) if estimator.engine_name(engine) == "reference" else 3e-5


def rows_of(cell: Cell) -> int:
    """Return the rows that a condition's data sets are expected to have."""
    return data_size(cell.population, cell.layout).rows


def _rows_to_cut_by(cell: Cell) -> int:
    """Return the rows that a task's cost is guessed from.

    Where data sets are drawn row by row, those of the layout, wrong though they are on a fixed design: tasks of stored
    runs are found by where they were cut.
    """
    size = data_size(cell.population, cell.layout)
    return size.rows if size.statistics else int(cell.layout.sizes().sum())

"""How far a stored run has come, by its journal: nothing is read but the list of finished tasks."""

from __future__ import annotations

from collections.abc import Iterable

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.plan import Round, limit, to_audit
from nestbench.experiments.results import Extent
from nestbench.experiments.storing.journal import Entry


def extent_of(
    experiment: Experiment, reach: Round, entries: Iterable[Entry], part: tuple[int, int] | None
) -> Extent:
    """Return how many data sets of each condition every method has; a part of a run is held against the whole of
    it.

    Parameters
    ----------
    experiment : Experiment
    reach : Round
        How far the run was asked to go, last.
    entries : iterable of Entry
        Its journal.
    part : (index, count) or None
    """
    estimators = experiment.estimators
    asked = [
        {e.label: limit(experiment, e, cell, reach) for e in estimators}
        for cell in range(len(experiment.cells))
    ]
    fitted = [dict.fromkeys(counts, 0) for counts in asked]
    done = 0
    for task in (entry.task for entry in entries):
        if task.audit:
            done += task.stop - task.start
            continue
        for i in task.estimators:
            fitted[task.cell][estimators[i].label] += task.stop - task.start
    return Extent(tuple(asked), tuple(fitted), part, (to_audit(experiment, reach), done))

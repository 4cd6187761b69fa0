"""Audits: some replications of each condition are fitted with both engines and compared.

Optimisers under study (`Agreement.UNDER_STUDY`) need no second fit: each of their stored fits is compared with the
exact maximum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from nestbench.estimators.equivalence.agreement import audited, compare, reached
from nestbench.estimators.estimates import Estimates
from nestbench.estimators.estimator import Agreement, Estimator
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.plan import Task
from nestbench.experiments.running.oracle import with_truth
from nestbench.experiments.storing.audits import gather
from nestbench.sim.cells.cell import Cell


def audit(cell: Cell, seed: int, task: Task, estimators: Sequence[Estimator]) -> list[Mapping[str, Any]]:
    """Return one row (`AUDIT_COLUMNS`) per method: how its engines agree on the replications of a task.

    Parameters
    ----------
    cell : Cell
    seed : int
    task : Task
    estimators : sequence of Estimator
        Those of the task that have two engines.
    """
    batch = cell.draw(seed, range(task.start, task.stop))
    return [{"cell": task.cell, "estimator": e.label, **compare(e, batch, cell.model)} for e in estimators]


def against_optimum(
    cell: Cell, seed: int, task: Task, estimators: Sequence[Estimator], fits: Mapping[str, Estimates]
) -> list[Mapping[str, Any]]:
    """Return one row per method under study in a task: how its fits compare with the exact maximum.

    Only the exact fit is made, the one that `reml-*` share; the stored log-likelihoods are compared with its maximum.
    """
    under_study = [e.label for e in estimators if e.agreement is Agreement.UNDER_STUDY]
    if not under_study:
        return []
    batch = cell.draw(seed, range(task.start, task.stop))
    return [
        {"cell": task.cell, "estimator": label, **reached(fits[label], batch, cell.model)}
        for label in under_study
    ]


def audit_run(experiment: Experiment, replications: int) -> pd.DataFrame:
    """Return fresh audits of every condition of an experiment, in this process."""
    both = tuple(i for i, e in enumerate(experiment.estimators) if audited(e))
    methods = [experiment.estimators[i] for i in both]
    rows = [
        row
        for i, cell in enumerate(experiment.cells)
        for row in audit(
            cell, experiment.seed, Task(i, 0, replications, both, audit=True), with_truth(methods, cell)
        )
    ]
    return gather([pd.DataFrame(rows)]) if rows else gather([])

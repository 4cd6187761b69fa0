"""Estimates of two engines on one batch: a fast engine leaves irregular data sets to the careful one."""

from __future__ import annotations

from nestbench.estimators.estimates import Estimates
from nestbench.estimators.estimator import Engine, Options
from nestbench.sim.observed.batch import Batch, Ints
from nestbench.sim.observed.model import Model


def leave_to(
    reference: Engine, estimates: Estimates, rows: Ints, batch: Batch, model: Model, options: Options
) -> Estimates:
    """Return `estimates` with its fits `rows` made by another engine."""
    if not len(rows):
        return estimates
    return estimates.put(rows, reference(batch.take(rows), model, options))

"""Estimates of two engines on one batch: a fast engine leaves irregular data sets to the careful one."""

from __future__ import annotations

from nestbench.estimators.estimates import Estimates
from nestbench.estimators.estimator import Engine, Options
from nestbench.sim.observed.batch import Batch, Ints
from nestbench.sim.observed.model import Model


def leave_to(
    reference: Engine, estimates: Estimates, rows: Ints, batch: Batch, model: Model, options: Options
) -> Estimates:
    """Return `estimates` with its fits `rows` made by another engine.

    Replications are independent, so a batch may be cut here: a row is the same whether its neighbours were hard or
    easy.

    Parameters
    ----------
    reference : Engine
    estimates : Estimates
    rows : int64 [k]
        Positions of the fits to replace; none is the usual case, and costs nothing.
    batch, model, options
        What `estimates` were made from.
    """
    if not len(rows):
        return estimates
    return estimates.put(rows, reference(batch.take(rows), model, options))

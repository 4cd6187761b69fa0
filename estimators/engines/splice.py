"""Estimates of two engines on one batch: a fast engine leaves irregular data sets to the careful one.

Those whose columns depend on one another it first tries without these (`dependent`).
"""

from __future__ import annotations

from nestbench.estimators.engines.dependent import Fast, fitted_in_parts
from nestbench.estimators.estimates import Estimates
from nestbench.estimators.estimator import Engine, Options
from nestbench.sim.observed.batch import Batch, Ints
from nestbench.sim.observed.model import Model


def with_careful(fast: Fast, careful: Engine, in_parts: bool = True) -> Engine:
    """Return the engine that fits fast, data sets with dependent columns without these, and leaves the rest.

    Parameters
    ----------
    fast : Fast
        What it makes of a data set must follow from the batch, the model and the options it is given: it is called
        again with fewer columns.
    careful : Engine
        Answers for what is left.
    in_parts : bool
        Whether data sets with dependent columns are tried without these: not by a method that has words of its own for
        terms it doesn't have, which would be told of fewer.
    """

    def engine(batch: Batch, model: Model, options: Options) -> Estimates:
        estimates, left = fast(batch, model, options)
        if in_parts:
            estimates, left = fitted_in_parts(fast, estimates, left, batch, model, options)
        return leave_to(careful, estimates, left, batch, model, options)

    return engine


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

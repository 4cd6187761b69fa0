"""School moments by definition: one replication, one school after the other, in NumPy."""

from __future__ import annotations

import numpy as np

from nestbench.estimators.moments.school_moments import SchoolMoments
from nestbench.sim.observed.batch import Batch
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model


def columns_of(batch: Batch, model: Model) -> np.ndarray:
    """W = [1, X without its intercept, Z not in X, y] as rows of columns [d, N], neither shifted nor scaled."""
    design = design_of(batch, model)
    rows = {"Intercept": np.ones(batch.rows)}
    rows |= dict(zip(design.random_terms, design.random(batch), strict=True))
    rows |= dict(zip(design.terms, design.fixed(batch), strict=True))
    names = ["Intercept", *[t for t in design.terms if t != "Intercept"]]
    names += [t for t in design.random_terms if t not in names]
    return np.vstack([*[rows[name] for name in names], design.outcome(batch)])


def cross_products(batch: Batch, model: Model, moments: SchoolMoments) -> np.ndarray:
    """W_g'W_g of ``(w - pivot) * scale`` [S, d, d], at the pivot and scale of some moments."""
    w = columns_of(batch, model)
    out = []
    for r in range(batch.size):
        sample = batch.replication(r)
        v = (w[:, sample.rows] - moments.pivot[r][:, None]) * moments.scale[r][:, None]
        stops = np.cumsum(sample.school_sizes)
        out += [part @ part.T for part in np.split(v, stops[:-1], axis=1)]
    return np.array(out)

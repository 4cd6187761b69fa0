"""An independent check of every likelihood method: is another point of a coarse grid of variance parameters better?

Two engines that search alike stop alike. A grid doesn't search: it evaluates the likelihood at SDs from none to huge,
relative to the residual SD, and at correlations from -.95 to .95, and a fit below any of its points isn't the maximum.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np

from nestbench.estimators.engines.mixed_fit import intercept_fits, loglik, slope_fits
from nestbench.estimators.engines.mixed_textbook import criterion_at
from nestbench.estimators.engines.random_part import random_part_of
from nestbench.estimators.engines.reference import CannotFit
from nestbench.estimators.estimator import Estimator
from nestbench.estimators.methods import nested
from nestbench.estimators.methods.mundlak import widened
from nestbench.estimators.moments.school_moments import moments_of
from nestbench.sim.observed.batch import Batch, Floats, Ints
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model

INTERCEPT = (0.0, *np.geomspace(1e-3, 1e3, 25))
POINTS = {1: 25, 2: 9}
"""Levels of each SD by the number of random effects, OTHERS where there are more."""
OTHERS = 4
CORRELATIONS = (-0.95, -0.5, 0.0, 0.5, 0.95)
CLASSES = (0.0, 0.1, 0.5, 2.0, 10.0)

RESTRICTED: Mapping[str, bool] = {
    "reml-z": True,
    "ml-z": False,
    "reml-bw": True,
    "reml-satt": True,
    "reml-kr": True,
    "reml-cr2": True,
    "mundlak-z": True,
    "mundlak-satt": True,
    "mundlak-kr": True,
    "nested-z": True,
    "nested-satt": True,
}
"""Methods that maximise a likelihood, and whether it is the restricted one; those under study are held to `reml-z`."""


def highest_on_grid(estimator: Estimator, batch: Batch, model: Model) -> Floats:
    """Return the highest log-likelihood on the grid [R]; -inf where there is none to compare with.

    Data that are left to the reference engines (nearly collinear, not finite) have no likelihood from cross-products.

    Parameters
    ----------
    estimator : Estimator
        Says which likelihood: restricted or not.
    batch : Batch
    model : Model
    """
    best = np.full(batch.size, -np.inf)
    if estimator.name not in RESTRICTED:
        return best
    if estimator.name.startswith("nested"):
        return np.array([_classes(batch, r, model) for r in range(batch.size)])
    restricted, covariance = RESTRICTED[estimator.name], str(estimator.options.get("covariance", "full"))
    if not estimator.name.startswith("mundlak"):
        return _schools(batch, model, restricted, covariance == "diagonal")
    for rows, wide, wide_model in batch.once(widened, model):
        best[rows] = _schools(wide, wide_model, restricted, covariance == "diagonal")
    return best


def _schools(batch: Batch, model: Model, restricted: bool, diagonal: bool) -> Floats:
    moments, best = batch.once(moments_of, model), np.full(batch.size, -np.inf)
    if batch.once(design_of, model).random_terms == ("Intercept",):
        fits = (intercept_fits(moments, restricted, np.full(batch.size, theta)) for theta in INTERCEPT)
    else:
        part = random_part_of(moments, diagonal)
        top = 30.0 / float(part.unit.min(initial=1.0))
        points = _thetas(part.rows, part.cols, top)
        fits = (slope_fits(moments, part, restricted, np.tile(point, (batch.size, 1))) for point in points)
    for fit in fits:
        best = np.fmax(best, loglik(moments, fit, restricted))
    return np.where(moments.regular, best, -np.inf)


def _thetas(rows: Ints, cols: Ints, top: float) -> list[Floats]:
    """Return the entries of Lambda at each point; correlations of a pair, none of more effects."""
    diagonal = np.flatnonzero(rows == cols)
    count = POINTS.get(len(diagonal), OTHERS)
    levels = (0.0, *np.geomspace(0.03, top, count))
    pair = len(diagonal) == 2 and len(rows) == 3
    thetas = []
    for *sds, correlation in itertools.product(*(levels for _ in diagonal), CORRELATIONS if pair else (0.0,)):
        theta = np.zeros(len(rows))
        theta[diagonal] = sds
        if pair:
            theta[1:] = theta[2] * np.array([correlation, np.sqrt(1.0 - correlation**2)])
        thetas.append(theta)
    return thetas


def _classes(batch: Batch, index: int, model: Model) -> float:
    """Return the highest log-likelihood of classes in schools on the grid, by the textbook."""
    try:
        written = nested.textbook_of_classes(batch, index, model)
    except CannotFit:
        return -np.inf
    points = itertools.product(CLASSES, CLASSES)
    return max(-0.5 * criterion_at(written, np.array(point)) for point in points)

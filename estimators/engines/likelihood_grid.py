"""An independent check of every likelihood method: is another point of a coarse grid of variance parameters better?

Two engines that search alike stop alike. A grid doesn't search: it evaluates the likelihood at SDs from none to huge,
relative to the residual SD, and at correlations from -.95 to .95, and a fit below any of its points isn't the maximum.
"""

from __future__ import annotations

import itertools

import numpy as np

from nestbench.estimators.engines.mixed_fit import intercept_fits, loglik, slope_fits
from nestbench.estimators.engines.random_part import random_part_of
from nestbench.estimators.estimator import OnGrid, Options
from nestbench.estimators.moments.school_moments import moments_of
from nestbench.sim.observed.batch import Batch, Floats, Ints
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model

INTERCEPT = (0.0, *np.geomspace(1e-3, 1e3, 25))
POINTS = {1: 25, 2: 9}
"""Levels of each SD by the number of random effects, OTHERS where there are more."""
OTHERS = 4
CORRELATIONS = (-0.95, -0.5, 0.0, 0.5, 0.95)


def on_grid(restricted: bool) -> OnGrid:
    """Return the highest log-likelihood, restricted or not, that schools' cross-products have on the grid [R].

    -inf for data that are left to the reference engines (nearly collinear, not finite).
    """

    def highest(batch: Batch, model: Model, options: Options) -> Floats:
        return _schools(batch, model, restricted, options["covariance"] == "diagonal")

    return highest


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
        # fmax, since a point without a fit is NaN and says nothing of the others.
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

"""Random effects of panels by Swamy and Arora (1972): exact values by plain formulas.

With within residuals e of N observations and between residuals u of G school means, n_j students, p columns of X of
which k vary within schools and b between them (ranks):

    s2 = e'e / (N - G - k),   t2 = max(0, u'u / (G - b) - s2 / H),   H = G / sum 1/n_j,
    theta_j = 1 - sqrt(s2 / (n_j t2 + s2)),   y - theta_j ybar_j on X - theta_j Xbar_j,   t(N - p).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nestbench.estimators.engines.reference import DataSet, matrices_of
from nestbench.estimators.estimates import ESTIMATE, STD_ERROR
from nestbench.league.package import Setting, with_tests
from nestbench.sim.observed.batch import Floats

RANK = 1e-9
"""Share of a column's size below which a direction isn't there."""


def random_effects(values: dict[str, Any], setting: Setting) -> dict[str, Any]:
    """Return the exact values of random effects; NaN where X has no full rank, or schools are too few."""
    data = setting.batch.once(matrices_of, setting.model).of(setting.batch.replication(0), {})
    terms = data.terms
    beta, errors, variance = _fit(data, setting.terms)
    found = {
        **values,
        ESTIMATE: dict(zip(terms, beta, strict=True)),
        STD_ERROR: dict(zip(terms, errors, strict=True)),
        "variance": variance,
    }
    df = dict.fromkeys(terms, float(len(data.y) - len(terms)))
    return with_tests(found, df, setting.model.level)


def _fit(data: DataSet, rank: int) -> tuple[list[float], list[float], dict[str, float]]:
    """Return coefficients, standard errors and variances."""
    (n, p), g = data.x.shape, data.schools
    nothing = [math.nan] * p, [math.nan] * p, {"school": math.nan, "residual": math.nan}
    if rank < p:
        return nothing
    # Columns in units of their own, about their means: the formulas are the same in any.
    scale = np.where(np.ptp(data.x, axis=0) > 0, data.x.std(axis=0), 1.0)
    centre = np.where(np.ptp(data.x, axis=0) > 0, data.x.mean(axis=0), 0.0)
    x, y = (data.x - centre) / scale, data.y
    sizes = np.bincount(data.groups).astype(np.float64)
    xbar, ybar = _means(x, data.groups, sizes), _means(y[:, None], data.groups, sizes)[:, 0]
    within, k = _residual(x - xbar[data.groups], y - ybar[data.groups])
    between, b = _residual(xbar, ybar)
    if n - g - k <= 0 or g - b <= 0:
        return nothing
    s2 = float(within @ within) / (n - g - k)
    t2 = max(0.0, float(between @ between) / (g - b) - s2 * float(np.mean(1.0 / sizes)))
    theta = 1.0 - np.sqrt(s2 / (sizes * t2 + s2))
    xs, ys = x - (theta[:, None] * xbar)[data.groups], y - (theta * ybar)[data.groups]
    q, r = np.linalg.qr(xs)
    back = np.linalg.inv(r)
    coefficient, residual = back @ (q.T @ ys), ys - q @ (q.T @ ys)
    scaled = math.sqrt(float(residual @ residual) / (n - p)) * back
    to_named = _to_named(centre, scale, data.intercept)
    errors = np.sqrt(((to_named @ scaled) ** 2).sum(axis=1))
    return list(to_named @ coefficient), list(errors), {"school": t2, "residual": s2}


def _means(columns: Floats, groups: Any, sizes: Floats) -> Floats:
    """Return the means of each school [G, k]."""
    sums = [np.bincount(groups, column) for column in columns.T]
    return np.stack(sums, axis=1) / sizes[:, None]


def _residual(x: Floats, y: Floats) -> tuple[Floats, int]:
    """Return what least squares leaves of y, of X of any rank, and that rank."""
    u, size, _ = np.linalg.svd(x, full_matrices=False)
    # Columns are in units of their own: what is smaller is what rounding leaves of a mean taken off itself.
    basis = u[:, size > RANK * math.sqrt(len(x))]
    return y - basis @ (basis.T @ y), basis.shape[1]


def _to_named(centre: Floats, scale: Floats, intercept: int | None) -> Floats:
    """Return what takes coefficients of scaled and centred columns to those of the columns themselves [p, p]."""
    back = np.diag(1.0 / scale)
    if intercept is not None:
        back[intercept] -= centre / scale
    return back

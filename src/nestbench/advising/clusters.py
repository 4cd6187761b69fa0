"""How a term's information is spread over the schools: numbers of the design alone.

With x~ the residuals of the term's column on the other columns, its least-squares coefficient is sum x~ y / sum x~^2:
what a school contributes is decided by its part of x~.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from nestbench.advising.analysis import residuals_of
from nestbench.sim.observed.batch import Floats, Ints

PIECE = 10_000
"""Schools whose cross-products are in memory at once."""
MOST_VALUES = 6
"""A column of more values is not counted value by value."""


def partial_column(x: Floats, k: int) -> Floats:
    """Return x~ [n], column k of x [p, n] less what the other columns explain of it."""
    return residuals_of(np.delete(x, k, axis=0), x[k])


def partial_leverage(partial: Floats, offsets: Ints) -> Floats:
    """Return each school's share of sum x~^2 [G]; their mean is 1 / G.

    Source: MacKinnon, Nielsen & Webb (2023), Journal of Econometrics 232:272 (section on partial leverage).
    """
    squares = np.add.reduceat(partial**2, offsets[:-1])
    return np.asarray(squares / squares.sum())


def effective_clusters(partial: Floats, offsets: Ints, rho: float) -> float:
    """Return G* = G / (1 + cv^2), cv the coefficient of variation over schools of the variance each contributes.

    A school contributes x~_g' [(1 - rho) I + rho 1 1'] x~_g to the variance of the coefficient.

    Source: Carter, Schnepel & Steigerwald (2017), Review of Economics and Statistics 99:698.

    Parameters
    ----------
    partial : float64 [n]
        The term's column less what the others explain of it.
    offsets : int64 [G + 1]
        First row of each school.
    rho : float
        Intraclass correlation of the errors.
    """
    squares = np.add.reduceat(partial**2, offsets[:-1])
    sums = np.add.reduceat(partial, offsets[:-1])
    part = (1.0 - rho) * squares + rho * sums**2
    mean = part.mean()
    return float(len(part) / (1.0 + ((part / mean - 1.0) ** 2).mean()))


def between_share(values: Floats, offsets: Ints) -> float:
    """Return the share of a column's sum of squares about its mean that lies between schools."""
    sizes = np.diff(offsets)
    means = np.add.reduceat(values, offsets[:-1]) / sizes
    total = ((values - values.mean()) ** 2).sum()
    return float((sizes * (means - values.mean()) ** 2).sum() / total) if total > 0 else 1.0


def carriers(values: Floats, offsets: Ints) -> dict[float, int]:
    """Return how many schools have each value of a column; nothing for a column of many values."""
    found = np.unique(values)
    if len(found) > MOST_VALUES:
        return {}
    return {
        float(value): int((np.add.reduceat((values == value).astype(np.int64), offsets[:-1]) > 0).sum())
        for value in found
    }


def shifts(x: Floats, k: int, residuals: Floats, offsets: Ints) -> Floats:
    """Return what the coefficient of column k changes by when a school is left out [G], NaN where it can't be had.

    ``b_(g) - b = -(X'X - X_g'X_g)^-1 X_g'e_g``: a function of X and the residuals, not of the coefficient.

    Parameters
    ----------
    x : float64 [p, n]
    k : int
        Row of x that the coefficient is of.
    residuals : float64 [n]
        Of least squares on all schools.
    offsets : int64 [G + 1]
        First row of each school.
    """
    # So that the condition number doesn't depend on units.
    scale = np.sqrt((x**2).mean(axis=1))
    scale[scale == 0] = 1.0
    z = (x / scale[:, None]).T
    total, found = z.T @ z, np.full(len(offsets) - 1, np.nan)
    for first in range(0, len(found), PIECE):
        parts = [slice(a, b) for a, b in pairwise(offsets[first : first + PIECE + 1])]
        rest = total - np.stack([z[part].T @ z[part] for part in parts])
        scores = np.stack([z[part].T @ residuals[part] for part in parts])
        # A school that holds a term alone can't be left out: the term would be gone.
        known = np.flatnonzero(np.linalg.cond(rest) < 1e12)
        moved = np.linalg.solve(rest[known], scores[known][..., None])
        found[first + known] = -moved[:, k, 0] / scale[k]
    return found

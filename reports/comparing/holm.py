"""Many comparisons at once: Holm's method as one limit for single p-values, and t in place of the normal."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from nestbench.sim.observed.batch import Floats

ALPHA = 0.05
"""Chance of one false claim or more among all comparisons of a kind."""


def limit(p_values: npt.ArrayLike, alpha: float = ALPHA) -> float:
    """Return the largest p-value that Holm's method (1979) rejects among these, as a limit: ``alpha / (m - k)``.

    k is the number of rejections: ``p_(i) <= alpha / (m - i + 1)`` for i = 1, ..., k, and the next is above
    ``alpha / (m - k)``. So a p-value of the family is rejected if and only if it is at most the limit. NaN counts
    as no comparison.
    """
    p = np.sort(np.asarray(p_values, dtype=np.float64).ravel())
    p = p[~np.isnan(p)]
    steps = alpha / np.arange(len(p), 0, -1)
    kept = np.flatnonzero(p > steps)
    return float(steps[kept[0]]) if len(kept) else alpha


def t_p_values(value: npt.ArrayLike, mcse: npt.ArrayLike, n: npt.ArrayLike) -> Floats:
    """Return two-sided p-values of ``value / mcse`` against t with n - 1 degrees of freedom.

    An error of 0 gives 0, or 1 where the value is 0 too (no comparison can be surer); a missing one gives 1.

    Parameters
    ----------
    value, mcse : array of float
    n : array of int
        The Monte Carlo error is estimated, too: t with n - 1 degrees of freedom.
    """
    v, e, size = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (value, mcse, n)))
    with np.errstate(divide="ignore", invalid="ignore"):
        # Of one replication there is no error either, and the p-value is 1 below.
        p = 2.0 * special.stdtr(np.maximum(size - 1.0, 1.0), -np.abs(v / e))
    p = np.where(e == 0, np.where(v == 0, 1.0, 0.0), p)
    return np.asarray(np.where(np.isnan(p), 1.0, p), dtype=np.float64)


def spread_error(value: npt.ArrayLike, mcse: npt.ArrayLike, n: npt.ArrayLike) -> Floats:
    """Return the error for a t test of a value proportional to an empirical SE: at least ``value / sqrt(2 (n - 1))``.

    That is the error of normal estimates. Few estimates that happen to lie evenly have a small spread and a small MCSE
    at once: by MCSE alone t tests at 0.025 % reject 3.4 times as often as they should with 20 right estimates.
    """
    v, size = np.asarray(value, dtype=np.float64), np.asarray(n, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.maximum(mcse, np.abs(v) / np.sqrt(2.0 * (size - 1.0))), dtype=np.float64)


def t_quantile(n: npt.ArrayLike, level: float = 0.95) -> Floats:
    """Return the two-sided quantile of t with n - 1 degrees of freedom; infinite below two replications."""
    size = np.asarray(n, dtype=np.float64)
    return np.where(size > 1, special.stdtrit(np.maximum(size - 1.0, 1.0), 0.5 * (1.0 + level)), np.inf)

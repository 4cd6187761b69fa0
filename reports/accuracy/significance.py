"""The tests behind `nestbench check`: exact for shares, MCSE-based for the rest, Holm over all of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

from nestbench.sim.batch import Floats


def share_p(hits0: npt.ArrayLike, n0: npt.ArrayLike, hits1: npt.ArrayLike, n1: npt.ArrayLike) -> Floats:
    """Return two-sided p-values of Fisher's exact test: twice the smaller hypergeometric tail, at most 1.

    Given all hits, ``hits1 ~ Hypergeometric(n0 + n1, hits0 + hits1, n1)`` under equal shares. Doubling the
    smaller tail keeps the level whatever the shares are (Yates 1984). Shapes broadcast.
    """
    a, m, b, n = (np.asarray(v, dtype=np.int64) for v in (hits0, n0, hits1, n1))
    lower = stats.hypergeom.cdf(b, m + n, a + b, n)
    upper = stats.hypergeom.sf(b - 1, m + n, a + b, n)
    return np.asarray(np.minimum(1.0, 2.0 * np.minimum(lower, upper)))


def paired_share_p(gained: int, lost: int) -> float:
    """Return the exact McNemar p-value: of ``gained + lost`` changed replications, each way is equally likely.

    Two-sided, twice the smaller binomial(gained + lost, 1/2) tail.
    """
    changed = gained + lost
    if not changed:
        return 1.0
    return float(min(1.0, 2.0 * stats.binom.cdf(min(gained, lost), changed, 0.5)))


def difference_p(delta: npt.ArrayLike, spread: npt.ArrayLike, df: npt.ArrayLike) -> Floats:
    """Return two-sided p-values of ``delta / spread`` against t(df).

    A spread of 0 means no Monte Carlo error: p is 0, or 1 where nothing differs beyond rounding (1e-12). NaN
    (no MCSE, too few replications) gives 1: nothing is claimed.
    """
    d, s, f = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (delta, spread, df)))
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2.0 * stats.t.sf(np.abs(d / s), np.maximum(f, 1.0))
    p = np.where(s == 0, np.where(np.abs(d) > 1e-12, 0.0, 1.0), p)
    return np.asarray(np.where(np.isnan(p), 1.0, p), dtype=np.float64)


def holm(p_values: npt.ArrayLike) -> Floats:
    """Return Holm's adjusted p-values (Holm 1979): ``max_{j <= i} min(1, (m - j + 1) p_(j))``, in the order given.

    Rejecting where they are at most alpha keeps the chance of any false rejection at or below alpha, whatever
    the dependence between the tests.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    steps = np.minimum(1.0, p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(steps) if len(p) else steps
    return adjusted

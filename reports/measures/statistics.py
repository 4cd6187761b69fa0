"""What measures are made of: values per replication and statistics; `Draws.once` shares both.

Shapes: [k, n] for values per replication, [k] for statistics.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from nestbench.reports.measures.draws import Bools, Draws
from nestbench.sim.observed.batch import Floats, Ints
from nestbench.sim.observed.model import rejected

Z95 = 1.959963984540054
APART = 1.3
"""How far from a quantile its error is read, in standard deviations of its rank: farther, the density changes in
between; nearer, the two values say little."""
FEWEST = 6
"""Replications from which on order statistics say something of a quantile's error."""

Values = Callable[[Draws], Floats] | Callable[[Draws], Bools]


def error(d: Draws) -> Floats:
    """d_i = t_i - th_i."""
    return d.estimate - d.truth


def bias(d: Draws) -> Floats:
    """Mean d."""
    mean: Floats = d.once(error).mean(axis=-1)
    return mean


def mean_estimate(d: Draws) -> Floats:
    """Mean t."""
    return np.asarray(d.estimate.mean(axis=-1))


def deviation(d: Draws) -> Floats:
    """t_i - mean t."""
    return d.estimate - d.once(mean_estimate)[:, None]


def variance(d: Draws) -> Floats:
    """S2, with divisor K - 1; NaN for one replication."""
    x = d.once(deviation)
    # Without the array of squares that (x * x).sum would make: 8 MB a term for a million replications.
    return np.einsum("kn,kn->k", x, x) / d.n * (d.n / (d.n - 1)) if d.n > 1 else np.full(len(x), np.nan)


def spread_influence(d: Draws) -> Floats:
    """(w_i - S2) / S2: relative influence values of S2."""
    s2 = d.once(variance)[:, None]
    return (
        (d.n / (d.n - 1) * d.once(deviation) ** 2 - s2) / s2 if d.n > 1 else np.full_like(d.estimate, np.nan)
    )


def square(d: Draws) -> Floats:
    """v_i = s_i^2."""
    return d.std_error**2


def model_variance(d: Draws) -> Floats:
    """V = mean v_i."""
    mean: Floats = d.once(square).mean(axis=-1)
    return mean


def model_influence(d: Draws) -> Floats:
    """(v_i - V) / V: relative influence values of V."""
    v = d.once(model_variance)[:, None]
    return (d.once(square) - v) / v


def squared_error(d: Draws) -> Floats:
    """d_i^2."""
    return d.once(error) ** 2


def mean_squared_error(d: Draws) -> Floats:
    """Mean d_i^2."""
    mean: Floats = d.once(squared_error).mean(axis=-1)
    return mean


def covers(d: Draws) -> Bools:
    """l_i <= th_i <= u_i, closed."""
    return (d.lower <= d.truth) & (d.truth <= d.upper)


def covers_mean(d: Draws) -> Bools:
    """l_i <= mean t <= u_i: bias taken out (with a truth that varies, th_i + bias in place of mean t)."""
    # The mean alone where the truth is one: bias-eliminated coverage is known too where the truth is not.
    target = d.truth + d.once(bias)[:, None] if d.truth.shape[1] > 1 else d.once(mean_estimate)[:, None]
    return (d.lower <= target) & (target <= d.upper)


def rejects(d: Draws) -> Bools:
    """p_i <= alpha, ties included."""
    return rejected(d.p_value, d.level)


def width(d: Draws) -> Floats:
    """u_i - l_i."""
    return d.upper - d.lower


def interval_score(d: Draws) -> Floats:
    """(u - l) + 2/alpha (l - th)+ + 2/alpha (th - u)+ (Gneiting & Raftery 2007)."""
    low, high = np.maximum(d.lower - d.truth, 0.0), np.maximum(d.truth - d.upper, 0.0)
    return d.once(width) + (2.0 / d.alpha) * (low + high)


def wrong_sign(d: Draws) -> Bools:
    """sign (t_i - b0) != sign (th_i - b0)."""
    wrong: Bools = np.sign(d.estimate - d.null) != np.sign(d.truth - d.null)
    return wrong


def attempts(d: Draws) -> Ints:
    """N: all attempted fits."""
    return np.full(len(d.terms), d.attempted, dtype=np.int64)


def significant(d: Draws) -> Ints:
    """Number of replications with p_i <= alpha."""
    # From the mean, which others need too; a mean of truth values times n is whole but for rounding.
    count: Ints = np.rint(d.once(mean(rejects)) * d.n).astype(np.int64)
    return count


@cache
def mean(values: Values) -> Callable[[Draws], Floats]:
    """Return the statistic of a mean."""

    def value(d: Draws) -> Floats:
        """Return the mean over replications [k]."""
        return np.asarray(d.once(values).mean(axis=-1), dtype=np.float64)

    return value


@cache
def average(values: Values) -> Callable[[Draws], Floats]:
    """Return the value function of a mean."""
    return lambda d: d.once(mean(values))


@cache
def centred(values: Values) -> Callable[[Draws], Floats]:
    """Return the influence function of a mean: x_i - mean x."""

    def influence(d: Draws) -> Floats:
        """x_i - mean x, x the values averaged."""
        return np.asarray(d.once(values), dtype=np.float64) - d.once(mean(values))[:, None]

    return influence


@cache
def binomial(share: Callable[[Draws], Floats]) -> Callable[[Draws], Floats]:
    """Return the MCSE function of a share of all attempted fits."""

    def mcse(d: Draws) -> Floats:
        """sqrt(share (1 - share) / N)."""
        value = share(d)
        return np.sqrt(value * (1.0 - value) / d.attempted)

    return mcse


def quantile_ranks(n: int, q: float = 0.5) -> tuple[int, int]:
    """Return the ranks, from 0, of two values some `APART` standard deviations of a rank below and above a quantile's.

    A sample quantile's rank among n has SD sqrt(n q (1 - q)).
    """
    centre, half = q * (n - 1), APART * np.sqrt(n * q * (1.0 - q))
    return max(int(np.floor(centre - half + 0.5)), 0), min(int(np.ceil(centre + half - 0.5)), n - 1)


def quantile_mcse(low: Floats, high: Floats, n: int, q: float = 0.5) -> Floats:
    """Return the MCSE of a quantile from the values at `quantile_ranks`: (x_hi - x_lo) sqrt(q (1-q) (n+1) / (m (m+1))).

    With m = hi - lo and values uniform nearby, x_hi - x_lo is beta distributed with mean square proportional to
    m (m + 1) / ((n + 1) (n + 2)), and the quantile has variance q (1 - q) / (n + 2): the mean square of the MCSE is the
    variance. NaN for fewer than `FEWEST`.

    Parameters
    ----------
    low, high : array of float
        Values at the ranks, of the same shape.
    n : int
        Replications.
    q : float
        Which quantile.
    """
    if n < FEWEST:
        return np.full(np.shape(low), np.nan)
    first, last = quantile_ranks(n, q)
    m = last - first
    return np.asarray((high - low) * np.sqrt(q * (1.0 - q) * (n + 1) / (m * (m + 1))))


def middle_ranks(n: int) -> tuple[int, int]:
    """Return the ranks, from 0, of the one or two values in the middle."""
    return (n - 1) // 2, n // 2


def order_statistic_mcse(values: Floats, q: float = 0.5) -> Floats:
    """Return the MCSE of a quantile of values [..., n]; see `quantile_mcse`."""
    n = values.shape[-1]
    low, high = quantile_ranks(n, q)
    ordered = np.partition(values, (low, high), axis=-1)
    return quantile_mcse(ordered[..., low], ordered[..., high], n, q)


@cache
def ordered(
    values: Callable[[Any], Floats], ranks: Callable[[int], tuple[int, int]]
) -> Callable[[Any], Floats]:
    """Return the statistic: two values in ascending order [k, 2], at the ranks (from 0) that `ranks` gives for n; NaN
    for none."""

    def around(d: Any) -> Floats:
        """Return the two order statistics around the quantile [k, 2]."""
        at = d.once(values)
        if not at.shape[-1]:
            return np.full((len(at), 2), np.nan)
        low, high = ranks(at.shape[-1])
        return np.asarray(np.partition(at, (low, high), axis=-1)[..., [low, high]], dtype=np.float64)

    return around


@cache
def median(values: Callable[[Draws], Floats]) -> Callable[[Draws], Floats]:
    """Return the value function of a median."""
    middle = ordered(values, middle_ranks)
    return lambda d: np.asarray(d.once(middle).mean(axis=-1))


@cache
def median_mcse(values: Callable[[Draws], Floats]) -> Callable[[Draws], Floats]:
    """Return the MCSE function of a median."""
    around = ordered(values, quantile_ranks)

    def mcse(d: Draws) -> Floats:
        """(x_(hi) - x_(lo)) sqrt((K + 1) / (4 m (m + 1))), m = hi - lo: ranks .65 sqrt(K) either side of the middle."""
        low, high = d.once(around).T
        return quantile_mcse(low, high, d.n)

    return mcse


def relative_error(d: Draws) -> Floats:
    """d_i / th_i."""
    return d.once(error) / d.truth

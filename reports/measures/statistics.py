"""What measures are made of: functions of `Draws`, shared through `Draws.once`.

Shapes: [k, n] for values per replication, [k] for numbers per term.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nestbench.reports.measures.draws import Bools, Draws
from nestbench.sim.batch import Floats, Ints

Z95 = 1.959963984540054

Values = Callable[[Draws], Floats] | Callable[[Draws], Bools]


def error(d: Draws) -> Floats:
    """d_i = t_i - th_i."""
    return d.estimate - d.truth


def bias(d: Draws) -> Floats:
    """Mean d."""
    found: Floats = d.once(error).mean(axis=-1)
    return found


def deviation(d: Draws) -> Floats:
    """t_i - mean t."""
    found: Floats = d.estimate - d.estimate.mean(axis=-1, keepdims=True)
    return found


def variance(d: Draws) -> Floats:
    """S2, with divisor K - 1; NaN for one replication."""
    x = d.once(deviation)
    return np.einsum("kn,kn->k", x, x) / (d.n - 1) if d.n > 1 else np.full(len(x), np.nan)


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
    found: Floats = d.once(square).mean(axis=-1)
    return found


def model_influence(d: Draws) -> Floats:
    """(v_i - V) / V: relative influence values of V."""
    v = d.once(model_variance)[:, None]
    return (d.once(square) - v) / v


def squared_error(d: Draws) -> Floats:
    """d_i^2."""
    return d.once(error) ** 2


def mean_squared_error(d: Draws) -> Floats:
    """Mean d_i^2."""
    found: Floats = d.once(squared_error).mean(axis=-1)
    return found


def covers(d: Draws) -> Bools:
    """l_i <= th_i <= u_i, closed."""
    return (d.lower <= d.truth) & (d.truth <= d.upper)


def covers_mean(d: Draws) -> Bools:
    """l_i <= mean t <= u_i: bias taken out (with a truth that varies, th_i + bias in place of mean t)."""
    target = d.truth + bias(d)[:, None] if d.truth.shape[1] > 1 else d.estimate.mean(axis=-1, keepdims=True)
    return (d.lower <= target) & (target <= d.upper)


def rejects(d: Draws) -> Bools:
    """p_i <= alpha."""
    return d.p_value <= d.alpha


def width(d: Draws) -> Floats:
    """u_i - l_i."""
    return d.upper - d.lower


def interval_score(d: Draws) -> Floats:
    """(u - l) + 2/alpha (l - th)+ + 2/alpha (th - u)+ (Gneiting & Raftery 2007)."""
    low, high = np.maximum(d.lower - d.truth, 0.0), np.maximum(d.truth - d.upper, 0.0)
    return d.once(width) + (2.0 / d.alpha) * (low + high)


def wrong_sign(d: Draws) -> Bools:
    """sign t_i != sign th_i."""
    found: Bools = np.sign(d.estimate) != np.sign(d.truth)
    return found


def attempts(d: Draws) -> Ints:
    """N: all attempted fits."""
    return np.full(len(d.terms), d.attempted, dtype=np.int64)


def significant(d: Draws) -> Ints:
    """Number of replications with p_i <= alpha."""
    found: Ints = d.once(rejects).sum(axis=-1)
    return found


def centred(values: Values) -> Callable[[Draws], Floats]:
    """Return the influence function of a mean: x_i - mean x."""

    def influence(d: Draws) -> Floats:
        x = np.asarray(d.once(values), dtype=np.float64)
        found: Floats = x - x.mean(axis=-1, keepdims=True)
        return found

    return influence


def mean(values: Values) -> Callable[[Draws], Floats]:
    """Return the value function of a mean."""

    def value(d: Draws) -> Floats:
        return np.asarray(d.once(values).mean(axis=-1), dtype=np.float64)

    return value


def binomial(share: Floats, n: Ints | int) -> Floats:
    """sqrt(share (1 - share) / n)."""
    return np.sqrt(share * (1.0 - share) / n)


def order_statistic_mcse(values: Floats, q: float = 0.5) -> Floats:
    """Return (x_(hi) - x_(lo)) / (2 * 1.96), ranks qK -+ 1.96 sqrt(K q (1-q)): MCSE of a quantile."""
    n = values.shape[-1]
    half = Z95 * np.sqrt(n * q * (1.0 - q))
    low = max(int(np.floor(q * n - half)) - 1, 0)
    high = min(int(np.ceil(q * n + half)), n - 1)
    if n < 6:
        return np.full(values.shape[:-1], np.nan)
    ordered = np.partition(values, (low, high), axis=-1)
    return np.asarray((ordered[..., high] - ordered[..., low]) / (2.0 * Z95))


def median(values: Callable[[Draws], Floats]) -> Callable[[Draws], Floats]:
    """Return the value function of a median."""
    return lambda d: np.asarray(np.median(d.once(values), axis=-1))


def median_mcse(values: Callable[[Draws], Floats]) -> Callable[[Draws], Floats]:
    """Return the MCSE function of a median."""
    return lambda d: order_statistic_mcse(d.once(values))


def relative_error(d: Draws) -> Floats:
    """d_i / th_i."""
    return d.once(error) / d.truth

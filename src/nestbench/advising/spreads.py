"""Do variances depend on a term, or differ between schools? Estimates and tests from within-school residuals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from nestbench.sim.observed.batch import Floats, Ints

SHOWN = 0.10
"""p-value below which a spread is taken from the data into a scenario."""
LARGEST = 4.0
"""Bound on a log variance ratio."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A log variance ratio with its test; NaN where the data can't tell."""

    value: float
    p_value: float

    @property
    def shown(self) -> bool:
        """Whether the data show it."""
        return bool(self.p_value < SHOWN)


NOTHING = Spread(float("nan"), float("nan"))


def school_variances(within: Floats, offsets: Ints) -> tuple[Floats, Floats]:
    """Return residual variances of the schools [G] about their means, and their df n_g - 1."""
    df = np.diff(offsets) - 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.add.reduceat(within**2, offsets[:-1]) / df, df


def _log_variances(within: Floats, offsets: Ints) -> tuple[Floats, Floats, Ints]:
    """Return unbiased log variances, sampling variances (of normal data times what the tails add), and whose they
    are.

    log s^2 of chi2_d / d has mean digamma(d/2) - log(d/2) and variance trigamma(d/2).
    """
    s2, df = school_variances(within, offsets)
    # The log of a variance with 1 df varies without much saying: trigamma(1/2) is 4.9.
    good = np.flatnonzero((df >= 2) & (s2 > 0))
    half = df[good] / 2.0
    tails = max(1.0, (kurtosis(within, offsets) + 2.0) / 2.0)
    values = np.log(s2[good]) - (special.digamma(half) - np.log(half))
    return values, special.polygamma(1, half) * tails, good


def residual_spread(z: Floats, within: Floats, offsets: Ints, constant: bool) -> Spread:
    """Return h in Var(e) ~ exp(h z).

    For z constant in schools: the schools' log variances on z, weighted, t on their number less 2. Else one
    Newton-like estimate from e^2 on z, with errors by school.

    Parameters
    ----------
    z : float64 [n]
        The term, standardised.
    within : float64 [n]
        Residuals of the regression with school dummies.
    offsets : int64 [G + 1]
        First row of each school.
    constant : bool
        Whether z is constant in schools.
    """
    if constant:
        values, errors, good = _log_variances(within, offsets)
        return _slope(values, z[offsets[:-1]][good], errors)
    return _within_slope(z, within, offsets)


def _slope(values: Floats, x: Floats, errors: Floats) -> Spread:
    if len(values) < 4 or not np.ptp(x) > 0:
        return NOTHING
    weight = 1.0 / errors
    centred = x - (weight * x).sum() / weight.sum()
    sxx = (weight * centred**2).sum()
    slope = (weight * centred * values).sum() / sxx
    rest = values - (weight * values).sum() / weight.sum() - slope * centred
    scale = (weight * rest**2).sum() / (len(values) - 2)
    # A scale under 1 is luck: log variances can't scatter less than sampling makes them.
    p = 2.0 * stats.t.sf(abs(slope) / np.sqrt(max(scale, 1.0) / sxx), len(values) - 2)
    return Spread(float(np.clip(slope, -LARGEST, LARGEST)), float(p))


def _within_slope(z: Floats, within: Floats, offsets: Ints) -> Spread:
    schools, h = len(offsets) - 1, 0.0
    if schools < 4 or not np.ptp(z) > 0:
        return NOTHING
    for _ in range(50):
        weight = np.exp(h * z)
        ratio = within**2 / weight
        # Whatever the level of the variance is: only how it goes with z is asked.
        ratio /= ratio.mean()
        centred = z - z.mean()
        step = float((centred * ratio).sum() / (centred**2 * ratio).sum())
        h = float(np.clip(h + step, -LARGEST, LARGEST))
        if abs(step) < 1e-10:
            break
    # The test is of the score at h = 0, which needs no estimate of h.
    ratio = within**2 / within.var()
    score = np.add.reduceat((z - z.mean()) * (ratio - 1.0), offsets[:-1])
    statistic = score.sum() / np.sqrt((score**2).sum() * schools / (schools - 1.0))
    return Spread(h, float(2.0 * stats.t.sf(abs(statistic), schools - 1)))


def school_spread(z: Floats, means: Floats, sampling: Floats) -> Spread:
    """Return the log ratio per unit of z of the variances of school effects, for z of two values.

    Parameters
    ----------
    z, means, sampling : float64 [G]
        The term, the schools' mean residuals, and the variance that students alone give these.
    """
    levels = np.unique(np.round(z, 9))
    if len(levels) != 2:
        return NOTHING
    arms = [np.abs(z - level) < 1e-6 for level in levels]
    counts = [int(arm.sum()) for arm in arms]
    if min(counts) < 3:
        return NOTHING
    total = [float(means[arm].var(ddof=1)) for arm in arms]
    if not min(total) > 0:
        return NOTHING
    f = total[1] / total[0]
    # Of all that makes means vary, students' errors included: the test needs nothing estimated.
    tail = min(stats.f.sf(f, counts[1] - 1, counts[0] - 1), stats.f.cdf(f, counts[1] - 1, counts[0] - 1))
    # Less what students' errors add to a mean; never 0 or below, for a log is taken.
    own = [max(v - float(sampling[arm].mean()), 0.05 * v) for v, arm in zip(total, arms, strict=True)]
    h = np.log(own[1] / own[0]) / (levels[1] - levels[0])
    return Spread(float(np.clip(h, -LARGEST, LARGEST)), float(min(1.0, 2.0 * tail)))


def between_schools(within: Floats, offsets: Ints) -> Spread:
    """Return the coefficient of variation over schools of the residual variance (of a lognormal), and the test of 0.

    Cochran's Q of the schools' log variances, and DerSimonian and Laird's estimate of what they vary beyond sampling.
    """
    values, errors, _ = _log_variances(within, offsets)
    if len(values) < 4:
        return NOTHING
    weight = 1.0 / errors
    mean = (weight * values).sum() / weight.sum()
    q, df = float((weight * (values - mean) ** 2).sum()), len(values) - 1
    excess = max(0.0, (q - df) / (weight.sum() - (weight**2).sum() / weight.sum()))
    return Spread(float(np.sqrt(np.expm1(min(excess, 3.0)))), float(stats.chi2.sf(q, df)))


def kurtosis(within: Floats, offsets: Ints) -> float:
    """Return the excess kurtosis of residuals, each school's divided by its own standard deviation."""
    s2, df = school_variances(within, offsets)
    # Divided by the SD of n students none is beyond (n - 1) / sqrt(n): few can't show tails.
    good = (df >= 9) & (s2 > 0)
    rows = np.repeat(good, np.diff(offsets))
    # All residuals, where schools are small: tails mixed with differences between schools, but something.
    if rows.sum() < 40:
        return float(((within / within.std()) ** 4).mean() - 3.0)
    scaled = within[rows] / np.sqrt(np.repeat(s2[good], np.diff(offsets)[good]))
    return float((scaled**4).mean() / (scaled**2).mean() ** 2 - 3.0)


def skewness(within: Floats) -> float:
    """Return the skewness of residuals."""
    return float((within**3).mean() / (within**2).mean() ** 1.5)

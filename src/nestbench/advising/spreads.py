"""Do variances depend on a term, or differ between schools? Estimates and tests from within-school residuals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from nestbench.sim.observed.batch import Floats, Ints

SHOWN = 0.10
"""p-value below which a spread is taken from the data into a scenario."""
USUAL = 1.5
"""SD of true log ratios of two arms' variances: two thirds are within a factor of 4.5."""
LARGEST = 4.0
"""Bound on a log variance ratio."""
SMALLEST = 0.05
"""Least share of the variance of means that is the schools' own: a log is taken of it."""


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


@dataclass(frozen=True, slots=True)
class Arms:
    """The schools' mean residuals in the two arms of a term.

    Attributes
    ----------
    counts : (int, int)
    totals, sampling : (float, float)
        Variances of the means, and what students' errors add to them.
    gap : float
        Distance of the arms in z.
    """

    counts: tuple[int, int]
    totals: tuple[float, float]
    sampling: tuple[float, float]
    gap: float

    @property
    def ratio(self) -> float:
        """F, the second arm's variance over the first's."""
        return self.totals[1] / self.totals[0]

    @property
    def df(self) -> tuple[int, int]:
        """Of F."""
        return self.counts[1] - 1, self.counts[0] - 1

    def log_ratio(self, ratio: float) -> float:
        """Return the log ratio per unit of z of the schools' own variances, where that of the means is `ratio`."""
        totals = (self.totals[0], ratio * self.totals[0])
        # Less what students' errors add to a mean.
        own = [max(v - s, SMALLEST * v) for v, s in zip(totals, self.sampling, strict=True)]
        return float(np.clip(np.log(own[1] / own[0]), -LARGEST, LARGEST) / self.gap)


def arms_of(z: Floats, means: Floats, sampling: Floats) -> Arms | None:
    """Return the arms of a term of two values, or None where there are no two of two schools and more.

    Parameters
    ----------
    z, means, sampling : float64 [G]
        The term, the schools' mean residuals, and the variance that students alone give these.
    """
    levels = np.unique(np.round(z, 9))
    if len(levels) != 2:
        return None
    low, high = (np.abs(z - level) < 1e-6 for level in levels)
    counts = (int(low.sum()), int(high.sum()))
    if min(counts) < 2:
        return None
    totals = (float(means[low].var(ddof=1)), float(means[high].var(ddof=1)))
    own = (float(sampling[low].mean()), float(sampling[high].mean()))
    return Arms(counts, totals, own, float(levels[1] - levels[0])) if min(totals) > 0 else None


def school_spread(arms: Arms | None) -> Spread:
    """Return the log ratio per unit of z of the variances of school effects, and the F test of equal ones.

    The ratio is shrunk: ``log F`` varies by ``trigamma(d1 / 2) + trigamma(d2 / 2)`` about the true log ratio, which is
    taken to vary by `USUAL`^2 about 0 over designs. Of 5 and 3 schools an F that is significant at 1 % is above 26: as
    it is it would make a scenario in which no method holds.
    """
    if arms is None or min(arms.counts) < 3:
        return NOTHING
    # Of all that makes means vary, students' errors included: the test needs nothing estimated.
    tail = min(stats.f.sf(arms.ratio, *arms.df), stats.f.cdf(arms.ratio, *arms.df))
    noise = float(sum(special.polygamma(1, 0.5 * df) for df in arms.df))
    shrunk = arms.log_ratio(arms.ratio) * USUAL**2 / (USUAL**2 + noise)
    return Spread(shrunk, float(min(1.0, 2.0 * tail)))


def school_far(arms: Arms | None, level: float) -> float:
    """Return the log ratio per unit of z at that end of its interval at which the schools of the rarer value vary more
    than the others: there a common variance is too small. 0 where they don't even at that end, NaN where nothing is
    known.

    The interval is that of the log ratio given F, true ones taken to vary by `USUAL`^2 about 0 over designs. By F alone
    two schools of 30 could vary 250 times as much as the others where F is 1: with that 8 times, and nearly 4 times
    whatever F is.
    """
    if arms is None:
        return float("nan")
    ends = [_end(arms, rare, 0.5 * (1.0 + level)) for rare in (0, 1)]
    rare = int(np.argmax(ends)) if arms.counts[0] == arms.counts[1] else int(np.argmin(arms.counts))
    far = float(np.clip(ends[rare], 0.0, LARGEST)) / arms.gap
    return far if rare == 1 else -far


def _end(arms: Arms, rare: int, share: float) -> float:
    """Return the log ratio of the schools' own variances, arm `rare` over the other, that is larger than the true one
    with a posterior probability of `share`."""
    other = 1 - rare
    total = arms.totals[other]
    own = max(total - arms.sampling[other], SMALLEST * total)
    logs = np.linspace(-2.0 * LARGEST, 2.0 * LARGEST, 2001)
    # What the ratio of the means' variances would be: students' errors are in both.
    expected = (own * np.exp(logs) + arms.sampling[rare]) / (own + arms.sampling[other])
    df = (arms.counts[rare] - 1, arms.counts[other] - 1)
    density = stats.f.logpdf(arms.totals[rare] / total / expected, *df) - np.log(expected)
    density -= 0.5 * (logs / USUAL) ** 2
    below = np.cumsum(np.exp(density - density.max()))
    return float(np.interp(share * below[-1], below, logs))


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

"""What simulated intervals say of a design: power, type I error, the effect found with a given power; by numbers alone.

Every method here is equivariant: where the effect grows by d, estimate and limits move by d. So the limits of one set
of data sets, less the true value, give the answer for every effect: ::

    power(d) = P(L + d > 0) + P(U + d < 0),      type I error = power(0).

Where the errors are normal with a known covariance, the noise of the generalised least squares estimate in its own
standard errors, z, is a standard normal in every data set, whatever the columns are. Data sets are then weighted so
that z is spread over `STRATA` equally likely intervals as it is in truth (poststratification): what is left of the
Monte Carlo error is the part that z doesn't explain. Of the variance of a power of 80 % it leaves about a half with 10
schools, an eighth with 75: as much as two and eight times as many data sets would.

Source: Cochran 1977, ch. 5A (poststratification).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from nestbench.sim.observed.batch import Floats, Ints

STRATA = 50
"""Most intervals of z."""
EACH = 30
"""Data sets in an interval, at least on average."""
EFFECTS = 200
"""Effects that stand for a distribution."""
STEPS = 60
"""Bisections."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One method's intervals at one design.

    Attributes
    ----------
    lower, upper : float64 [n]
        Limits less the true value, of the data sets with an answer.
    stratum : int64 [n]
        Interval of z that a data set is in.
    counts : int64 [K]
        Data sets in each.
    attempted : int
        Data sets, with those without an answer.
    """

    lower: Floats
    upper: Floats
    stratum: Ints
    counts: Ints
    attempted: int

    @property
    def size(self) -> int:
        """Data sets with an answer."""
        return len(self.lower)


def sample_of(lower: Floats, upper: Floats, z: Floats | None, part: Ints | None = None) -> Sample:
    """Return the sample of some limits [n], NaN where there is no answer; z [n] or None where it isn't known.

    Parameters
    ----------
    lower, upper : float64 [n]
        Limits less the true value, a data set each.
    z : float64 [n] or None
        Standard normal noise of the data sets, by which they are stratified.
    part : int64 [n] or None
        Which of equally likely populations a data set is of: each is stratified by itself. None for one.
    """
    good = ~(np.isnan(lower) | np.isnan(upper))
    group = np.zeros(len(lower), dtype=np.int64) if part is None else part
    parts, group, n = int(group.max(initial=0)) + 1, group[good], int(good.sum())
    # One data set without z has no stratum to be in: then there are none.
    known = None if z is None or not np.isfinite(z).all() else ndtr(z[good])
    k = 1 if known is None else int(np.clip(n // parts // EACH, 1, STRATA))
    while True:
        stratum = (
            np.zeros(n, dtype=np.int64) if known is None else np.minimum((known * k).astype(np.int64), k - 1)
        )
        # The last stratum, not one more: `ndtr` is 1 to the last bit from z = 8.3 on.
        stratum = stratum + k * group
        counts = np.bincount(stratum, minlength=k * parts)
        # One data set has no variance: a stratum needs two.
        if k == 1 or counts.min() > 1:
            return Sample(lower[good], upper[good], stratum, counts, len(lower))
        k = max(k // 2, 1)


def mean(values: Floats, sample: Sample) -> tuple[float, float]:
    """Return the poststratified mean of values [n] and its Monte Carlo error."""
    k, counts = len(sample.counts), np.maximum(sample.counts, 1)
    means = np.bincount(sample.stratum, values, k) / counts
    squares = np.bincount(sample.stratum, values * values, k) / counts
    # Of equal values rounding may leave less than 0.
    within = np.maximum(squares - means * means, 0.0) / np.maximum(counts - 1, 1)
    return float(means.mean()), float(np.sqrt(within.sum())) / k


def power(sample: Sample, effect: float) -> tuple[float, float]:
    """Return the share of data sets in which an effect is found, and its Monte Carlo error."""
    found = (sample.lower + effect > 0.0) | (sample.upper + effect < 0.0)
    return mean(found.astype(np.float64), sample)


def assurance(sample: Sample, effects: Floats) -> tuple[float, float]:
    """Return the chance of finding a positive effect as such, over equally likely effects [J], and its Monte Carlo
    error; of one effect its power.
    """
    if len(effects) == 1:
        return power(sample, float(effects[0]))
    below = np.searchsorted(np.sort(effects), -sample.lower, side="right")
    return mean(np.asarray(1.0 - below / len(effects), dtype=np.float64), sample)


def equally_likely(mean_effect: float, spread: float) -> Floats:
    """Return effects that stand for a normal distribution: its quantiles at the middles of `EFFECTS` equal parts."""
    if not spread:
        return np.array([mean_effect])
    return np.asarray(mean_effect + spread * ndtri((np.arange(EFFECTS) + 0.5) / EFFECTS))


def half_width(sample: Sample) -> tuple[float, float]:
    """Return the mean half-width of the intervals, and its Monte Carlo error."""
    return mean(0.5 * (sample.upper - sample.lower), sample)


def factor_for(sample: Sample, target: float, effects: Floats) -> tuple[float, float]:
    """Return the factor on the effects at which they are found with the target's power, and its Monte Carlo error.

    With one effect of 1 it is the effect found with that power, the minimum detectable effect. NaN without an answer,
    infinite where no factor up to 1e6 interval widths will do.

    Parameters
    ----------
    sample : Sample
    target : float
        The power wanted, averaged over the effects.
    effects : float64 [J]
        Equally likely ones, in proportion to which effects grow.
    """
    unit = float(np.median(sample.upper - sample.lower)) if sample.size else np.nan
    largest = float(np.abs(effects).max())
    if not np.isfinite(unit) or not unit > 0.0 or not largest > 0.0:
        return np.nan, np.nan
    low, high = 0.0, unit / largest
    while assurance(sample, high * effects)[0] < target:
        low, high = high, 2.0 * high
        if high * largest > 1e6 * unit:
            return np.inf, np.inf
    for _ in range(STEPS):
        middle = 0.5 * (low + high)
        below = assurance(sample, middle * effects)[0] < target
        low, high = (middle, high) if below else (low, middle)
        if high - low <= 1e-7 * high:
            break
    # Over a tenth of an interval: simulated power is a step function, whose derivative is 0 nearly everywhere.
    at, step = 0.5 * (low + high), 0.1 * unit / largest
    error = assurance(sample, at * effects)[1]
    ends = [assurance(sample, max(at + d, 0.0) * effects)[0] for d in (-step, step)]
    slope = (ends[1] - ends[0]) / (at + step - max(at - step, 0.0))
    return at, error / slope if slope > 0 else np.inf

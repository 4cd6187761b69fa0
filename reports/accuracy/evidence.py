"""The tests behind the fixture `accuracy`: bounds with a false-alarm rate, replications for a wanted power.

Every assertion states a claim (a bias of 0, a coverage of the nominal level, ...), perhaps with a tolerance, and
fails when the data contradict it with the given false-alarm rate, shared equally by the terms tested (Bonferroni).
Shares are tested exactly (Clopper & Pearson 1934). Bias and the ratio of standard errors are tested by ``(value -+
tolerance) / MCSE`` against t(n - 1), the ratio on the log scale: their rates are exact only as n grows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from nestbench.reports.accuracy.baseline import Value
from nestbench.reports.measures.proportions import clopper_pearson
from nestbench.sim.errors import InvalidInput

SHOWN = 0.05
"""Size of the tests that show a claim; a claim that isn't shown doesn't fail, so nothing rests on their rarity."""


@dataclass(frozen=True, slots=True)
class Gate:
    """How sure an assertion wants to be.

    Attributes
    ----------
    false_alarm : float
        Chance that the assertion fails although the claim is true.
    power : float
        Chance that it fails when the departure is `detect`.
    detect, tolerance : float
        A departure to be found, and one to be allowed, in the assertion's own units.
    terms : int
        Number of terms tested at once.
    """

    false_alarm: float
    power: float
    detect: float
    tolerance: float
    terms: int = 1

    def __post_init__(self) -> None:
        if not (0.0 < self.false_alarm < 1.0 and 0.0 < self.power < 1.0):
            raise InvalidInput(
                f"expected false_alarm and power between 0 and 1, got {self.false_alarm} and {self.power}"
            )
        if not 0.0 <= self.tolerance < self.detect:
            raise InvalidInput(
                f"expected 0 <= tolerance < detect, got tolerance {self.tolerance} and detect {self.detect}; "
                "what is allowed can't be what is to be found"
            )

    @property
    def size(self) -> float:
        """Size of the test of one term."""
        return self.false_alarm / self.terms


@dataclass(frozen=True, slots=True)
class Finding:
    """One term: the number, its Monte Carlo error and n, the bounds it had to be within, and whether it was.

    `note` says, of a claim with a tolerance that can be shown as well as refuted, whether it was shown.
    """

    term: str
    value: float
    mcse: float
    n: int
    low: float
    high: float
    note: str = ""

    @property
    def held(self) -> bool:
        """Whether the number is within its bounds."""
        return self.low <= self.value <= self.high

    @property
    def closeness(self) -> float:
        """How near the number is to a bound: 0 in the middle of them, 1 at one, more outside; inf without a number."""
        middle, reach = (self.low + self.high) / 2.0, (self.high - self.low) / 2.0
        distance = abs(self.value - middle) / reach if reach > 0 else float(self.value != middle)
        return math.inf if math.isnan(distance) else distance


def mean_replications(gate: Gate, spread: float = 1.0) -> int:
    """Return the replications at which a mean departing by `detect` is found: ``((z_a + z_p) spread / gap)^2``.

    `spread` is the standard deviation of one replication's contribution: 1 for bias in units of the empirical SE,
    ``sqrt(1/2)`` for the log of an empirical SE of normal estimates.
    """
    z = stats.norm.isf(gate.size / 2.0) + stats.norm.isf(1.0 - gate.power)
    return max(30, math.ceil((float(z) * spread / (gate.detect - gate.tolerance)) ** 2))


def share_replications(gate: Gate, low: float, high: float, share: float) -> int:
    """Return the smallest n (to 1 %) at which the exact test of ``low <= share <= high`` has its power at `share`.

    Parameters
    ----------
    gate : Gate
        Size and power of the test.
    low, high : float
        What is claimed.
    share : float
        The departure that is to be found.
    """
    if low <= share <= high:
        raise InvalidInput(f"expected a share outside [{low:g}, {high:g}] to be found, got {share:g}")
    step = 1.01
    n = 20.0
    # Upwards, not by bisection: the power of an exact test of counts isn't monotone in n.
    while n < 1e7 and _power(round(n), low, high, share, gate.size) < gate.power:
        n = max(n + 1.0, n * step)
    return round(n)


def bias_finding(term: str, value: Value, empirical_se: float, gate: Gate) -> Finding:
    """Return whether a bias is 0, within `tolerance` empirical SEs."""
    bias, mcse, n = value
    reach = gate.tolerance * empirical_se + critical(gate, n) * mcse
    return Finding(term, bias, mcse, n, -reach, reach)


def ratio_finding(term: str, se_error: Value, gate: Gate) -> Finding:
    """Return whether model SE / empirical SE is 1, within a factor of ``1 + tolerance``; from `se_error`."""
    percent, mcse, n = se_error
    ratio = 1.0 + percent / 100.0
    spread = mcse / 100.0
    factor = (1.0 + gate.tolerance) * math.exp(critical(gate, n) * spread / ratio) if ratio > 0 else math.nan
    note = equivalence(ratio, spread, n, gate.tolerance) if gate.tolerance else ""
    return Finding(term, ratio, spread, n, 1.0 / factor, factor, note)


def equivalence(ratio: float, mcse: float, n: int, tolerance: float) -> str:
    """Return whether a ratio is shown to be within a factor of ``1 + tolerance`` of 1, in words.

    Two one-sided t tests (Schuirmann 1987) on the log scale, each of size `SHOWN`. Where neither this nor the contrary
    is shown, the words name the n at which a ratio of 1 would be with a probability of .9,
    ``n (2 z s / log(1 + tolerance))^2`` with s the error of the log and z the normal quantile of ``1 - SHOWN``.
    """
    within = f"within {100.0 * tolerance:g} %"
    reach, error = math.log1p(tolerance), mcse / ratio if ratio > 0 else math.nan
    if (
        abs(math.log(ratio)) + float(stats.t.isf(SHOWN, max(n - 1, 1))) * error <= reach
        if ratio > 0
        else False
    ):
        return f"{within}: shown"
    needed = n * (2.0 * float(stats.norm.isf(SHOWN)) * error / reach) ** 2
    enough = f" (n {math.ceil(needed):,} would, at a ratio of 1)".replace(",", " ") if needed > n else ""
    return f"{within}: not shown{enough}"


def share_finding(term: str, value: Value, low: float, high: float, gate: Gate) -> Finding:
    """Return whether a share is within [low, high]: the exact interval around what was seen must reach it.

    Exact (Clopper and Pearson): at a coverage of 95 % and some hundred data sets normal intervals are off by as much
    as what is looked for.

    Parameters
    ----------
    term : str
    value : (share, MCSE, n)
    low, high : float
    gate : Gate
    """
    share, mcse, n = value
    hits = np.arange(n + 1)
    lower, upper = clopper_pearson(hits, n, 1.0 - gate.size)
    kept = hits[(upper >= low) & (lower <= high)]
    least, most = (kept[0] / n, kept[-1] / n) if len(kept) else (math.nan, math.nan)
    return Finding(term, share, mcse, n, float(least), float(most))


def disagreement_replications(gate: Gate) -> int:
    """Return the data sets in which a disagreement that occurs in a share `detect` of them is seen at least once."""
    return math.ceil(math.log(1.0 - gate.power) / math.log(1.0 - gate.detect))


def critical(gate: Gate, n: int) -> float:
    """Return the critical value of a two-sided t test of one term with n replications."""
    return float(stats.t.isf(gate.size / 2.0, max(n - 1, 1)))


def _power(n: int, low: float, high: float, share: float, size: float) -> float:
    """Chance that the exact interval misses [low, high] when the share is `share`."""
    fewest = stats.binom.ppf(size / 2.0, n, low)
    most = stats.binom.isf(size / 2.0, n, high)
    return float(stats.binom.cdf(fewest - 1, n, share) + stats.binom.sf(most, n, share))

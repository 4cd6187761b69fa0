"""What a check on other data would see, and with how many replications: said beside every outcome.

"No change" from a run of 100 replications means little for a defect that takes 2 000 to be seen. For a few typical
departures the replications n of each run are given at which they are found with probability `POWER`, when they are in
every condition (tested by the mean over conditions) and when they are in one. Two runs of n, critical value c of the
largest of m statistics, bounded by Bonferroni's ``Phi^-1(1 - alpha / 2m)``:

- a mean departing by delta, with standard deviation s of one replication's value, over C conditions:
  ``n = 2 s^2 (c + z)^2 / (C delta^2)``, and ``2 s^2 z^2 / (C (delta - margin)^2)`` for its margin, whichever is larger;
- a share going from p to q, on the arcsine scale: ``n = (c + z)^2 / (2 C (asin sqrt q - asin sqrt p)^2)``;
- failures where there were none: the smallest n at which k failures, ``2 k log 2 >= c^2``, are that likely.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from nestbench.reports.accuracy.baseline import Record
from nestbench.reports.accuracy.differences import Pair, usable_value

POWER = 0.9


@dataclass(frozen=True, slots=True)
class Sight:
    """The replications that each of two runs needs for one departure; infinite where its margin allows it.

    Attributes
    ----------
    departure : str
        In words.
    everywhere, one_cell : float
        Replications per condition if all conditions have it, if one has.
    """

    departure: str
    everywhere: float
    one_cell: float


@dataclass(frozen=True, slots=True)
class Demand:
    """What a test asks of n: critical value, power, and number of conditions that are averaged."""

    critical: float
    cells: int

    @property
    def z(self) -> float:
        """Normal quantile of the power."""
        return float(stats.norm.ppf(POWER))

    def mean(self, delta: float, sd: float, margin: float) -> float:
        """Return n for a mean that departs by `delta`."""
        if not delta > margin:
            return math.inf
        variance = 2.0 * sd**2 / self.cells
        return math.ceil(
            variance * max(((self.critical + self.z) / delta) ** 2, (self.z / (delta - margin)) ** 2)
        )

    def share(self, before: float, after: float, margin: float) -> float:
        """Return n for a share that goes from one value to another."""
        if not abs(after - before) > margin:
            return math.inf
        if before == 0.0:
            return math.ceil(self._occurrences() / (self.cells * after))
        gap = math.asin(math.sqrt(after)) - math.asin(math.sqrt(before))
        return math.ceil((self.critical + self.z) ** 2 / (2.0 * self.cells * gap**2))

    def _occurrences(self) -> float:
        """Return the mean of a Poisson count that reaches, against none, the critical value with the power."""
        # The mean at which a Poisson count reaches k that often is a gamma quantile.
        k = math.ceil(self.critical**2 / (2.0 * math.log(2.0)))
        return float(stats.gamma.ppf(POWER, k))


def sights_of(
    pairs: Sequence[Pair], margins: Mapping[str, float], alpha: float, tests: int
) -> Iterator[Sight]:
    """Yield what would be seen of typical departures, by the condition, method and term that hide it best.

    Parameters
    ----------
    pairs : sequence of Pair
    margins : mapping
        Measure -> margin; a departure within it is never flagged.
    alpha : float
        Of the whole check.
    tests : int
        How many hypotheses share it.
    """
    distinct = list(dict.fromkeys(pairs))
    if not distinct or not tests:
        return
    critical = float(stats.norm.isf(alpha / (2.0 * tests)))
    cells = min(sum(p.label == label for p in distinct) for label in {p.label for p in distinct})
    all_cells, one_cell = Demand(critical, cells), Demand(critical, 1)

    sd = max((s for p in distinct for s in _log_se_spreads(p.before)), default=math.nan)
    if math.isfinite(sd):
        departure = math.log(1.05), sd, margins["model_se"]
        yield Sight("standard errors 5 % larger", all_cells.mean(*departure), one_cell.mean(*departure))
    bias = 0.25, 1.0, margins["bias"]
    yield Sight("a bias of a quarter of the empirical SE", all_cells.mean(*bias), one_cell.mean(*bias))
    level = 1.0 - max(p.cell.alpha for p in distinct)
    cover = level, level - 0.05, margins["coverage"]
    yield Sight("intervals that cover 5 points less", all_cells.share(*cover), one_cell.share(*cover))
    lost = max(1.0 - usable_value(p.before)[0] for p in distinct)
    fail = lost, min(lost + 0.01, 1.0), margins["usable_share"]
    yield Sight("failures in 1 % more of the fits", all_cells.share(*fail), one_cell.share(*fail))


def _log_se_spreads(record: Record) -> Iterator[float]:
    """Yield the standard deviations of log standard errors, term by term."""
    for kept in record.kept.values():
        logs = kept.values()["model_se"]
        logs = logs[np.isfinite(logs)]
        if len(logs) > 1:
            yield float(logs.std(ddof=1))

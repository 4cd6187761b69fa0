"""Where a measure changed: each run against the first since the last step.

A series is one measure of a term by a method in a condition. Its runs are taken in order of date, and each is compared
with its reference, the first run since the last step (drifts add up that way); where they differ beyond Monte Carlo
error, it is a step, and the reference of those after it.

**Same data sets** (seed, condition and number of replications): paired, batch by batch. With d_b what batch b adds to
the difference D of the values, ``D / sqrt(Var(d_b) / 40)`` is held to t(39); for shares the variance is at least that
of as many changed data sets as the batches show, and four more. Runs with the same digest are the same, and what
differs by rounding alone (`changes.beyond_rounding`) is no step, whatever its test says.

**Other data sets**: the difference over the root of the squared Monte Carlo errors' sum, held to t with the smaller n
less one; for shares Fisher's exact test.

**Usable fits** are compared with all runs since the last step, since what never failed tells most together. On the same
data sets, a method of which no fit failed and some now do has a step, as has one of which some did and none does: fits
are functions of the data, so that this is a fact as it is in `check`. On others, Fisher's test has the pooled count of
those runs (each set of data sets once).

**False alarms.** A history of S series with K_s runs has ``m = sum_s K_s (K_s - 1) / 2`` pairs that might be compared.
A step needs ``p <= alpha / m``, so that one without any change has a step with probability at most alpha (Bonferroni),
whichever runs become references: pooled runs are those from a reference on, one test a pair. The t tests hold that rate
as n grows; Fisher's holds it at any n. A first failure on the same data sets is no test: it needs fits that depend on
nothing else, as an optimiser's may on the processor: after failures have come and gone once in a series, those of the
next runs are tested.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from nestbench.history.entry import BATCHES, Entry, Point
from nestbench.reports.accuracy.baseline import Value
from nestbench.reports.accuracy.changes import SHARES, beyond_rounding

ALPHA = 1e-4
"""Chance that a history without any change has a step."""
USABLE = "usable_share"
ERRATIC = 2
"""First and last failures of a series that are steps: where fits fail once more, last bits may be what decides."""


@dataclass(frozen=True, slots=True)
class Step:
    """A measure that changed.

    Attributes
    ----------
    before, after : Entry
        The first run since the last step, and the one that differs from it.
    previous : Entry
        The run before `after`: the change came in between.
    measure : str
    paired : bool
        Whether both saw the same data sets.
    p_value : float
        Not adjusted.
    """

    before: Entry
    after: Entry
    previous: Entry
    measure: str
    paired: bool
    p_value: float


def steps_of(entries: Sequence[Entry], alpha: float = ALPHA) -> list[Step]:
    """Return the steps of a history by date, the surest of a run first.

    Parameters
    ----------
    entries : sequence of Entry
    alpha : float
        Chance of any step where nothing changed.
    """
    series = series_of(entries)
    pairs = comparisons(series.values())
    found = [
        step
        for (*_, measure), runs in series.items()
        for step in _steps(runs, measure, alpha / max(pairs, 1))
    ]
    return sorted(found, key=lambda step: (step.after.date, step.after.commit, step.p_value))


def series_of(entries: Iterable[Entry]) -> dict[tuple[str, str, str, str], list[Entry]]:
    """Return (condition, method, term, measure) -> its runs, in order of date."""
    series: dict[tuple[str, str, str, str], list[Entry]] = {}
    for one in sorted(entries, key=lambda one: one.date):
        for measure in one.points:
            series.setdefault((*one.series, measure), []).append(one)
    return series


def comparisons(series: Iterable[Sequence[Entry]]) -> int:
    """Return how many pairs of runs might be compared."""
    return sum(len(runs) * (len(runs) - 1) // 2 for runs in series)


def _steps(runs: Sequence[Entry], measure: str, size: float) -> Iterator[Step]:
    """Yield the steps of one series at the size of a single test."""
    level, facts = [runs[0]], 0
    for run in runs[1:]:
        p_value, paired = compared(level, run, measure, facts < ERRATIC)
        if p_value <= size:
            facts += measure == USABLE and p_value == 0.0
            yield Step(level[0], run, level[-1], measure, paired, p_value)
            level = []
        level.append(run)


def compared(level: Sequence[Entry], after: Entry, measure: str, steady: bool = True) -> tuple[float, bool]:
    """Return the p-value of one measure's difference, and whether runs were compared in pairs.

    Parameters
    ----------
    level : sequence of Entry
        The runs since the last step; the first is what all but usable shares are compared with.
    after : Entry
    measure : str
    steady : bool
        Whether a first failure on the same data sets is a fact of the code.
    """
    before = level[0]
    one, two = before.points[measure], after.points[measure]
    same = _data(before) == _data(after)
    if same and (before.digest == after.digest or not beyond_rounding(one.value, two.value)):
        return 1.0, True
    if math.isnan(one.value[0]) or math.isnan(two.value[0]):
        # A number that came or went on the same data sets is a fact; on others it is one to be looked at.
        return (0.0 if same and math.isnan(one.value[0]) != math.isnan(two.value[0]) else 1.0), same
    if measure == USABLE and same and steady and _first_failure(level, after):
        return 0.0, True
    if same and one.batches is not None and two.batches is not None:
        return _paired(one, two, measure in SHARES), True
    if measure == USABLE:
        # Runs of the same data sets don't count twice.
        pooled = {_data(run): run.points[measure].value for run in reversed(level)}
        return _fisher([*pooled.values()], two.value), False
    return (_fisher([one.value], two.value) if measure in SHARES else _independent(one, two)), False


def _first_failure(level: Sequence[Entry], after: Entry) -> bool:
    """Whether fits of a method fail of which none did, or none of one of which some did in each run."""
    before = {run.points[USABLE].value[0] == 1.0 for run in level}
    return before == {after.points[USABLE].value[0] != 1.0}


def _data(run: Entry) -> tuple[int, str, int]:
    """Return what says which data sets a run has."""
    return run.seed, run.condition, run.replications


def _paired(one: Point, two: Point, share: bool) -> float:
    """Return the p-value of a difference on the same data sets."""
    a, b = one.batches, two.batches
    if a is None or b is None:
        raise ValueError("expected batches on both sides")
    gap, parts = two.value[0] - one.value[0], b - a
    # Codes are rounded to a unit: errors of up to half of it, on both sides.
    variance = float(parts.var(ddof=1)) / BATCHES + (one.unit**2 + two.unit**2) / 12.0
    if share:
        n = max(one.value[2], two.value[2], 1)
        changed = float(np.abs(parts + gap).sum()) * n / BATCHES
        variance = max(variance, (changed + 4.0) / n**2)
    statistic = abs(gap) / math.sqrt(variance) if variance > 0 else math.inf
    return float(2.0 * stats.t.sf(statistic, BATCHES - 1))


def _independent(one: Point, two: Point) -> float:
    """Return the p-value of a difference between other data sets; 1 where an error isn't known."""
    gap, error = abs(two.value[0] - one.value[0]), math.hypot(one.value[1], two.value[1])
    df = min(one.value[2], two.value[2]) - 1
    if df < 1 or not error >= 0 or not math.isfinite(gap):
        return 1.0
    if error == 0:
        return 0.0 if beyond_rounding(one.value, two.value) else 1.0
    return float(2.0 * stats.t.sf(gap / error, df))


def _fisher(before: Sequence[Value], after: Value) -> float:
    """Return the p-value of Fisher's exact test of a share of some runs together against that of another."""
    hits, n = (sum(parts) for parts in zip(*((round(v * n), n) for v, _, n in before), strict=True))
    here = round(after[0] * after[2])
    table = np.array([[hits, n - hits], [here, after[2] - here]])
    return float(stats.fisher_exact(table)[1])

"""What can change between two runs, when it matters, and in which direction: the rules of `nestbench check` as data.

A change of a measure *matters* when it is larger than the measure's margin:

| measure | difference | margin |
|---|---|---|
| bias | (after - before) / empirical SE before | 0.10 |
| empirical_se | log(after / before) | 0.05 |
| model_se | log(after / before) | 0.02 |
| interval_width | log(after / before) | 0.02 |
| coverage | after - before | 0.01 |
| rejection | after - before | 0.01 |
| usable_share | after - before | 0.001 |

It is *worse* when the measure ends farther from its target, *better* when nearer: bias from 0, empirical SE
the smaller the better, model SE from the empirical SE, coverage from the nominal level, rejection from alpha
where the true value is 0, usable share from 1 (then the marks are *new failure* and *fixed*). Power and
interval width have no target: they are *changed*. A df that was one constant and is another has no direction
either, but nothing random can do that: it is a *new df*, and fails a check until the baseline is written anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from nestbench.reports.accuracy.baseline import Value


class Mark(StrEnum):
    """What became of a number, gravest first."""

    WORSE = "worse"
    NEW_FAILURE = "new failure"
    NEW_DF = "new df"
    CHANGED = "changed"
    NOT_COMPARABLE = "not comparable"
    BETTER = "better"
    FIXED = "fixed"


FAILING = (Mark.WORSE, Mark.NEW_FAILURE, Mark.NEW_DF)
"""Marks that make a check fail, unless others are asked for."""

MARGINS: Mapping[str, float] = {
    "bias": 0.10,
    "empirical_se": 0.05,
    "model_se": 0.02,
    "interval_width": 0.02,
    "coverage": 0.01,
    "rejection": 0.01,
    "usable_share": 0.001,
}

RATIOS = frozenset({"empirical_se", "model_se", "interval_width"})
SHARES = frozenset({"coverage", "rejection", "usable_share"})


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is not as it was.

    Attributes
    ----------
    mark : Mark
    cell : int or None
        The cell's number in the run; None for a difference pooled over cells.
    factors : mapping
        The cell's factor levels.
    estimator, term, measure : str
        ``(fit)`` as term for what concerns whole fits; ``replications`` as measure for numbers that moved.
    before, after : Value or None
        (value, MCSE, n).
    p_value : float or None
        Holm-adjusted; None where the data sets are the same and nothing is random.
    detail : str
        What moved, in words.
    replications : tuple of int
        Replications concerned, ascending.
    """

    mark: Mark
    cell: int | None
    factors: Mapping[str, Any]
    estimator: str
    term: str
    measure: str
    before: Value | None = None
    after: Value | None = None
    p_value: float | None = None
    detail: str = ""
    replications: tuple[int, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Context:
    """What a measure's target depends on: true value, size of the tests, empirical SE before and after."""

    truth: float
    alpha: float
    spread_before: float
    spread_after: float

    @property
    def pooled(self) -> Context:
        """The same with the root mean square of the two empirical SEs: one yardstick when both are noisy."""
        spread = float(np.sqrt(0.5 * (self.spread_before**2 + self.spread_after**2)))
        return Context(self.truth, self.alpha, spread, spread)


def difference(measure: str, before: Value, after: Value, context: Context) -> tuple[float, float]:
    """Return the difference on the measure's own scale and its MCSE, the runs taken as independent."""
    (v0, m0, n0), (v1, m1, n1) = before, after
    with np.errstate(divide="ignore", invalid="ignore"):
        if measure in RATIOS:
            return float(np.log(np.divide(v1, v0))), float(np.hypot(np.divide(m0, v0), np.divide(m1, v1)))
        if measure in SHARES:
            share = np.divide(n0 * v0 + n1 * v1, n0 + n1)
            inverse = np.divide(1.0, n0) + np.divide(1.0, n1)
            return v1 - v0, float(np.sqrt(max(share * (1.0 - share), 0.0) * inverse))
        unit = context.spread_before
        return float(np.divide(v1 - v0, unit)), float(np.divide(np.hypot(m0, m1), unit))


def distances(measure: str, before: float, after: float, context: Context) -> tuple[float, float] | None:
    """Return how far a measure was and is from its target; None where it has none."""
    if measure == "bias":
        return abs(before), abs(after)
    if measure == "empirical_se":
        return before, after
    if measure == "model_se":
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.log([before / context.spread_before, after / context.spread_after])
        return abs(float(ratios[0])), abs(float(ratios[1]))
    if measure == "coverage":
        return abs(before - (1.0 - context.alpha)), abs(after - (1.0 - context.alpha))
    if measure == "rejection" and context.truth == 0:
        return abs(before - context.alpha), abs(after - context.alpha)
    return (1.0 - before, 1.0 - after) if measure == "usable_share" else None


def judged(measure: str, gap: float | None) -> Mark:
    """Return the mark of a change that matters; `gap` is how much farther from its target the measure is now."""
    if gap is None or gap == 0 or np.isnan(gap):
        return Mark.CHANGED
    if measure == "usable_share":
        return Mark.NEW_FAILURE if gap > 0 else Mark.FIXED
    return Mark.WORSE if gap > 0 else Mark.BETTER


def gap_of(measure: str, before: Value, after: Value, context: Context) -> float | None:
    """Return the growth of a measure's distance from its target; None where it has none."""
    found = distances(measure, before[0], after[0], context)
    return None if found is None else found[1] - found[0]

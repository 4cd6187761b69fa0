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
where the true value is 0, usable share from 1 (then the marks are *new failure* and *fixed*). Which side of its target
a measure is on is itself known with Monte Carlo error only: after a move of delta it is farther from it if the midpoint
of before and after lies on the side it moved to, so the direction is claimed where the midpoint is more than
`SURE` Monte Carlo errors from the target (of few replications as many as are as rare by t), and the mark is *changed*
otherwise. Power and interval width have no target: they are *changed*. A df that was one constant and is another has no
direction either, but nothing random can do that: it is a *new df*.

Numbers of single replications that are not what they were are *changed* where they are determined by the data
(`baseline.Method.determined`) and nothing else differs, and *moved* otherwise, which fails no check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from scipy import special

from nestbench.reports.accuracy.baseline import Value
from nestbench.reports.comparing.holm import t_quantile


class Mark(StrEnum):
    """What became of a number, gravest first."""

    WORSE = "worse"
    NEW_FAILURE = "new failure"
    NEW_DF = "new df"
    CHANGED = "changed"
    MOVED = "moved"
    NOT_COMPARABLE = "not comparable"
    BETTER = "better"
    FIXED = "fixed"


FAILING = (Mark.WORSE, Mark.NEW_FAILURE, Mark.NEW_DF, Mark.CHANGED)
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

SURE = 3.0
"""Monte Carlo errors between the midpoint of a change and the target that make its direction known."""

RATIOS = frozenset({"empirical_se", "model_se", "interval_width"})
SHARES = frozenset({"coverage", "rejection", "usable_share"})


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is not as it was.

    Attributes
    ----------
    mark : Mark
    cell : int or None
        The condition's number in the run; None for a difference pooled over conditions.
    factors : mapping
        The condition's factor levels.
    estimator, term, measure : str
        ``(fit)`` as term for what concerns whole fits; ``replications`` as measure for numbers that moved.
    before, after : Value or None
        (value, MCSE, n).
    p_value : float or None
        Adjusted for all tests of the check; None where the data sets are the same and nothing is random.
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
    """What a measure's difference and target depend on.

    Attributes
    ----------
    null : bool
        Whether the tests are of the true value: rejections are type I errors.
    alpha : float
        Size of the tests.
    spread : float
        Empirical SE: the baseline's, or on other data the root mean square of both.
    ratio_before, ratio_after : Value
        Relative error of the standard error in percent (the measure `se_error`).
    same_data : bool
        Whether both runs saw the same data sets, so that their Monte Carlo errors are nearly the same error.
    """

    null: bool
    alpha: float
    spread: float
    ratio_before: Value
    ratio_after: Value
    same_data: bool


@dataclass(frozen=True, slots=True)
class Move:
    """A move of a measure: its size, and how far the midpoint of before and after is from the target, with its MCSE.

    `midpoint` is NaN for a measure without a target; `n` is the smaller number of replications.
    """

    delta: float
    midpoint: float
    mcse: float
    n: int


def difference(measure: str, before: Value, after: Value, context: Context) -> tuple[float, float]:
    """Return the difference on the measure's own scale and its MCSE, the runs taken as independent.

    Parameters
    ----------
    measure : str
    before, after : (value, MCSE, n)
    context : Context
        What the measure is judged by: target, alpha, empirical SEs.
    """
    (v0, m0, n0), (v1, m1, n1) = before, after
    with np.errstate(divide="ignore", invalid="ignore"):
        if measure in RATIOS:
            # 0 / 0 is no change: an estimate may be the same in every fit, as a variance at its boundary is.
            delta = 0.0 if v0 == v1 else float(np.log(np.divide(v1, v0)))
            return delta, float(np.hypot(np.divide(m0, v0), np.divide(m1, v1)))
        if measure in SHARES:
            # Two hits and two misses more, as in `_share_error`: equal answers in few fits don't show equal shares.
            share = np.divide(n0 * v0 + n1 * v1 + 2.0, n0 + n1 + 4.0)
            inverse = np.divide(1.0, n0) + np.divide(1.0, n1)
            return v1 - v0, float(np.sqrt(max(share * (1.0 - share), 0.0) * inverse))
        delta = 0.0 if v0 == v1 else float(np.divide(v1 - v0, context.spread))
        return delta, float(np.divide(np.hypot(m0, m1), context.spread))


def move_of(measure: str, before: Value, after: Value, context: Context) -> Move:
    """Return a measure's move and where its midpoint lies, both on the measure's own scale.

    The midpoint says which side of the target a change ends on where the difference alone doesn't.
    """
    delta, error = difference(measure, before, after, context)
    n = min(before[2], after[2])
    if measure == "empirical_se":
        return Move(delta, delta, error, n)
    if measure == "usable_share":
        return Move(delta, -abs(delta), 0.0, n)
    if measure == "bias":
        with np.errstate(divide="ignore", invalid="ignore"):
            pairs = [
                (float(np.divide(v, context.spread)), float(np.divide(m, context.spread)))
                for v, m, _ in (before, after)
            ]
    elif measure == "model_se":
        pairs = [_log_ratio(value) for value in (context.ratio_before, context.ratio_after)]
    elif measure == "coverage" or (measure == "rejection" and context.null):
        target = context.alpha if measure == "rejection" else 1.0 - context.alpha
        pairs = [(v - target, _share_error(v, n)) for v, _, n in (before, after)]
    else:
        return Move(delta, np.nan, np.nan, n)
    (d0, m0), (d1, m1) = pairs
    mcse = (m0 + m1) / 2.0 if context.same_data else float(np.hypot(m0, m1)) / 2.0
    return Move(delta, (d0 + d1) / 2.0, mcse, n)


def judged(measure: str, moves: Sequence[Move]) -> Mark:
    """Return the mark of a change that matters, in one condition or, as the mean of several moves, over conditions."""
    delta, midpoint = (float(np.mean([getattr(m, name) for m in moves])) for name in ("delta", "midpoint"))
    mcse = float(np.sqrt(np.sum([m.mcse**2 for m in moves]))) / len(moves)
    reach = sure(sum(m.n - 1 for m in moves) + 1) * mcse if mcse else mcse
    if not abs(midpoint) > reach or delta == 0:
        return Mark.CHANGED
    away = delta * midpoint > 0
    if measure == "usable_share":
        return Mark.NEW_FAILURE if away else Mark.FIXED
    if measure == "empirical_se":
        return Mark.WORSE if delta > 0 else Mark.BETTER
    return Mark.WORSE if away else Mark.BETTER


def sure(n: int) -> float:
    """Return how many Monte Carlo errors are as rare by t with n - 1 degrees of freedom as `SURE` are by the normal."""
    return float(t_quantile(n, 1.0 - 2.0 * special.ndtr(-SURE)))


def beyond_rounding(before: Value, after: Value, beyond: float = 0.001) -> bool:
    """Return whether two values on the same data sets differ by more than computing makes: nothing else is random.

    By more than ``max(beyond x MCSE, 1e-6 x |value|)`` with the larger Monte Carlo error of the two, or one is missing.
    """
    (a, error_a, _), (b, error_b, _) = before, after
    if np.isnan(a) or np.isnan(b):
        return bool(np.isnan(a) != np.isnan(b))
    if np.isinf(a) or np.isinf(b):
        return a != b
    error = float(np.nan_to_num(np.fmax(error_a, error_b)))
    return not abs(a - b) <= max(beyond * error, 1e-6 * max(abs(a), abs(b)))


def _log_ratio(se_error: Value) -> tuple[float, float]:
    """Return log(model SE / empirical SE) and its MCSE from the relative error in percent."""
    ratio, mcse = 1.0 + se_error[0] / 100.0, se_error[1] / 100.0
    return (float(np.log(ratio)), mcse / ratio) if ratio > 0 else (np.nan, np.nan)


def _share_error(share: float, n: int) -> float:
    """Return the error of a share that isn't 0 at 0 or n of n (Agresti & Coull 1998: two hits and two misses more)."""
    near = (share * n + 2.0) / (n + 4.0)
    return float(np.sqrt(near * (1.0 - near) / (n + 4.0)))

"""What methods do at simulated designs: power, type I error and its grade, half-width; and which method to name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from nestbench.estimators.estimator import Estimator
from nestbench.reports.comparing.grades import grade
from nestbench.sim.observed.model import alpha_of
from nestbench.sizing import response
from nestbench.sizing.answer import NO_ANSWER, MethodAnswer
from nestbench.sizing.curve import Root
from nestbench.sizing.question import EFFECT, ICC, POWER, Question
from nestbench.sizing.search import Simulated, answers, oriented


def detected(found: Simulated, method: Estimator, effect: float, error: float) -> MethodAnswer:
    """Return the smallest effect that a method finds with the power wanted.

    Parameters
    ----------
    found : Simulated
    method : Estimator
    effect, error : float
        The effect, infinite or NaN where there is none, and its Monte Carlo error.
    """
    good = math.isfinite(effect)
    half = 1.96 * error
    at = measured(found, 0, method.label, effect if good else None)
    return MethodAnswer(method.label, effect, effect - half, effect + half, good, **at)


def solved(found: Simulated, method: Estimator, root: Root | None) -> MethodAnswer:
    """Return a method's answer with what it does there.

    Parameters
    ----------
    found : Simulated
    method : Estimator
    root : Root or None
        Its answer in steps; None for a method without one.
    """
    question = found.question
    if root is None:
        none = measured(found, max(found.draws), method.label, question.effect)
        return MethodAnswer(method.label, math.nan, math.nan, math.nan, False, **none)
    value, low, high = (question.value_of(s) for s in (root.value, root.low, root.high))
    at = measured(found, nearest(found, root.value), method.label, question.effect)
    return MethodAnswer(method.label, float(value), float(low), float(high), root.reached, **at)


def nearest(found: Simulated, step: int) -> int:
    """Return the simulated design nearest to a step; the step itself, where it was simulated."""
    return min(found.draws, key=lambda s: (abs(s - step), s))


NUMBERS = ("power", "power_mcse", "size", "size_mcse", "half_width", "half_width_mcse")


def measured(found: Simulated, at: int, label: str, effect: float | None) -> dict[str, Any]:
    """Return power, type I error and half-width of a method at a simulated design, and the grade of its tests.

    Parameters
    ----------
    found : Simulated
    at : int
        Step of the design.
    label : str
        Of the method.
    effect : float or None
        Whose power is wanted; None where there is none, as with a half-width.
    """
    sample = oriented(found.draws[at], label, found.question.effect)
    if not answers(sample):
        return {**dict.fromkeys(NUMBERS, math.nan), "grade": NO_ANSWER, "n": sample.attempted}
    power = (math.nan, math.nan)
    if effect is not None:
        power = response.assurance(sample, found.question.effects * abs(effect))
    size, half = response.power(sample, 0.0), response.half_width(sample)
    # Not the poststratified size: the grade is an exact test of a count.
    plain = float(((sample.lower > 0.0) | (sample.upper < 0.0)).mean())
    return {
        **dict(zip(NUMBERS, (*power, *size, *half), strict=True)),
        "grade": str(grade(1.0 - plain, sample.size, found.question.level)),
        "n": sample.attempted,
    }


STRICT = (1.02, 1.1)
"""Type I errors over alpha that are preferred, in turn: hardly any above it, then Bradley's stringent criterion."""


def choose(question: Question, answered: Sequence[MethodAnswer]) -> str | None:
    """Return the valid method that needs least; of those whose intervals meet its own, the first in order.

    A test that finds more by rejecting too often is not named before one that doesn't, though Bradley's liberal band
    lets both pass (`strictest`). One that is conservative isn't named before one as good that isn't.
    """
    good = strictest(question, [a for a in answered if a.valid and a.reached])
    if not good:
        return None
    sign = -1.0 if question.unknown == ICC else 1.0
    best = min(good, key=lambda a: sign * a.value)
    meets = [a for a in good if a.low <= best.high and best.low <= a.high]
    return min(meets, key=lambda a: a.conservative).method


def strictest(question: Question, valid: Sequence[MethodAnswer]) -> list[MethodAnswer]:
    """Return the methods whose type I error isn't above alpha beyond Monte Carlo error; where there is none, those that
    meet Bradley's stringent criterion, else all.
    """
    alpha = alpha_of(question.level)
    tiers = [[a for a in valid if a.size - 2.0 * a.size_mcse <= factor * alpha] for factor in STRICT]
    return next((tier for tier in tiers if tier), list(valid))


def curve_table(found: Simulated) -> pd.DataFrame:
    """Return all that was simulated, a row a design and method."""
    rows = []
    for at in sorted(found.draws):
        value = math.nan if found.question.unknown == EFFECT else found.question.value_of(at)
        for method in found.methods:
            sample = found.samples[at, method.label]
            row: dict[str, Any] = {"value": value, "method": method.label}
            row |= measured(found, at, method.label, found.question.effect)
            if found.question.target == POWER and answers(sample):
                row["detectable"], row["detectable_mcse"] = found.response(at, method.label)
            rows.append(row)
    return pd.DataFrame(rows)

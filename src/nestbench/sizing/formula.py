"""What the closed form says of a question's designs, for curves and alternatives."""

from __future__ import annotations

import math
from collections.abc import Iterable

from nestbench.sim.cells.cell import Cell
from nestbench.sim.errors import InvalidInput
from nestbench.sim.theory.planning import answers, required
from nestbench.sim.theory.planning.schools import SchoolsRandomised
from nestbench.sizing.closed import known, power_at, smallest_effect, target_of
from nestbench.sizing.question import EFFECT, N_SCHOOLS, N_STUDENTS, N_TREATED, POWER, Question


def needed(question: Question, cell: Cell) -> float:
    """Return the unknown that reaches the target by the closed form, other things being as in `cell`.

    NaN where there is no closed form (or none for the unknown), infinite where nothing reaches it.
    """
    plan = known(question, cell)
    if plan is None or not answers.has_df(plan[0]):
        return math.nan
    trial, sd = plan
    if question.unknown == EFFECT:
        return smallest_effect(question, trial, sd)
    target = target_of(question, sd)
    try:
        if question.unknown == N_SCHOOLS:
            return float(required.required_schools(trial, target))
        if question.unknown == N_STUDENTS:
            return float(required.required_students(trial, target))
        if question.unknown == N_TREATED and isinstance(trial, SchoolsRandomised):
            return float(required.required_treated(trial, target))
    except InvalidInput:
        return math.inf
    return math.nan


def along(question: Question, values: Iterable[float]) -> list[tuple[float, float]]:
    """Return (value, power or half-width) by the closed form at values of the unknown; empty where there is none."""
    points: list[tuple[float, float]] = []
    for value in values:
        try:
            cell = question.cell(None if question.unknown == EFFECT else step_of(question, value))
        except InvalidInput:  # schools that fill no blocks
            continue
        if question.target == POWER:
            effect = value if question.unknown == EFFECT else question.effect
            points.append((value, power_at(question, cell, effect or 0.0)))
        elif (plan := known(question, cell)) is not None and answers.has_df(plan[0]):
            points.append((value, answers.half_width(plan[0], level=question.level) * plan[1]))
    return [point for point in points if math.isfinite(point[1])]


def step_of(question: Question, value: float) -> int:
    """Return the step of a value of the unknown."""
    return round(value / float(question.value_of(1)))

"""What a closed form says of the same question, where there is one for the population, layout and model of a design.

The population's variances, and the covariates that its model holds, are all that the formulas of
`nestbench.sim.theory.planning` need (`nestbench.sim.random_intercept.planned` says which trial they are of).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from nestbench.reports.words.ground import normal_errors
from nestbench.sim.cells.cell import Cell
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Floats
from nestbench.sim.observed.model import alpha_of
from nestbench.sim.random_intercept.law import RandomIntercept
from nestbench.sim.random_intercept.planned import planned_of
from nestbench.sim.theory.planning import answers, required, t_test
from nestbench.sim.theory.planning.assurance import Assurance
from nestbench.sim.theory.planning.blocks import SchoolsInBlocks
from nestbench.sim.theory.planning.classes import SchoolsWithClasses
from nestbench.sim.theory.planning.multisite import StudentsInSchools
from nestbench.sim.theory.planning.schools import SchoolsRandomised
from nestbench.sim.theory.planning.targets import HalfWidth, Power
from nestbench.sim.theory.planning.trial import SchoolTrial
from nestbench.sizing.answer import ClosedForm
from nestbench.sizing.question import EFFECT, HALF_WIDTH, ICC, Question

NAMES: dict[type, tuple[str, str]] = {
    SchoolsRandomised: ("t with G - 2 df", "Raudenbush 1997; Dong & Maynard 2013, model 3.1"),
    SchoolsInBlocks: ("t within blocks", "Dong & Maynard 2013, model 4.2"),
    SchoolsWithClasses: ("t with G - 2 df", "Konstantopoulos 2008; Dong & Maynard 2013, CRA3"),
    StudentsInSchools: ("t within schools", "Raudenbush & Liu 2000; Dong & Maynard 2013, models 2.1 to 2.3"),
}
FEW_SCHOOLS = 8
FAR = 3.3
"""Monte Carlo errors beyond which closed form and simulation disagree: one of a thousand such by chance."""


def planned(cell: Cell, term: str) -> tuple[SchoolTrial, float] | None:
    """Return a design as a planned trial, and the SD that effects are in units of; None where there is no formula."""
    law, layout = cell.population, cell.layout
    if not isinstance(law, RandomIntercept) or term != "treated":
        return None
    if layout.assignment != "students" and not normal_errors(cell) and not law.class_icc:
        return None
    try:
        plan = planned_of(law, layout, terms_of(cell))
    except InvalidInput:
        return None
    return None if plan is None else (plan.trial, plan.sd)


def known(question: Question, cell: Cell) -> tuple[SchoolTrial, float] | None:
    """Return what `planned` does, where the formula has all that the question asks."""
    found = planned(cell, question.term)
    # The blocks' share of an uncertain ICC is uncertain, too: no formula here has that.
    blocked = found is not None and isinstance(found[0], SchoolsInBlocks)
    return None if blocked and question.icc_spread else found


def terms_of(cell: Cell) -> tuple[str, ...]:
    """Return a model's terms; of blocks those of few schools, as dummies for each of a thousand pairs say no more."""
    layout, law = cell.layout, cell.population
    size = max(layout.blocked_by, 1)
    few = max(2, math.ceil((FEW_SCHOOLS + getattr(law, "missing_schools", 0)) / size)) * size
    if not layout.blocked_by or layout.schools <= few or not isinstance(layout.students, int):
        return cell.found.terms
    small = replace(
        layout,
        schools=few,
        treated_share=layout.treated_part,
        treated_schools=0,
        giant_school=0,
        one_student_schools=0,
    )
    return replace(cell, layout=small).found.terms


def closed_form(question: Question, cell_at: Callable[[int], Cell], steps: range) -> ClosedForm | None:
    """Return what the formula says of the unknown; None where there is none.

    Parameters
    ----------
    question : Question
    cell_at : callable
        Step -> condition.
    steps : range
        From the least precise design to the most precise; of an unknown effect the design itself alone.
    """
    first = known(question, cell_at(steps[-1]))
    if first is None:
        return None
    name, source = NAMES[type(first[0])]
    if question.unknown == EFFECT:
        found = known(question, cell_at(steps[0]))
        if found is None or not answers.has_df(found[0]):
            return ClosedForm(math.inf, 0.0, name, source)
        return ClosedForm(smallest_effect(question, *found), 1.0, name, source)
    low, high = 0, len(steps) - 1
    if not reaches(question, cell_at(steps[high])):
        return ClosedForm(math.inf, ceiling(question, cell_at(steps[high])), name, source)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(question, cell_at(steps[middle])) else (middle + 1, high)
    return ClosedForm(float(question.value_of(steps[low])), 1.0, name, source)


def reaches(question: Question, cell: Cell) -> bool:
    """Whether a design reaches the target by the formula."""
    found = known(question, cell)
    return found is not None and required.reaches(found[0], target_of(question, found[1]))


def target_of(question: Question, sd: float, effect: float | None = None) -> Power | HalfWidth | Assurance:
    """Return the target in units of an SD; `effect` in place of the question's."""
    if question.target == HALF_WIDTH:
        return HalfWidth(question.goal / sd, question.level)
    size, alpha = abs(question.effect or 0.0 if effect is None else effect) / sd, alpha_of(question.level)
    if question.effect_spread:
        # What is found in the effect's direction: half of a two-sided test.
        spread = question.effect_spread / sd
        return Assurance(size, spread, question.icc_spread, question.goal, 0.5 * alpha, 1)
    if question.icc_spread:
        return Assurance(size, 0.0, question.icc_spread, question.goal, alpha)
    return Power(size, question.goal, alpha)


def smallest_effect(question: Question, trial: SchoolTrial, sd: float) -> float:
    """Return the smallest effect found with the power wanted, in units of the outcome."""
    alone = answers.smallest_effect(trial, power=question.goal, alpha=alpha_of(question.level)) * sd
    if not question.icc_spread:
        return alone

    def found(factor: Floats) -> Floats:
        return np.asarray(target_of(question, sd, float(factor) * alone).excess(trial) + question.goal)

    return alone * float(t_test.least_reaching(found, question.goal, 1.0))


def power_at(question: Question, cell: Cell, effect: float) -> float:
    """Return the power of an effect at a design, NaN where there is no formula.

    Parameters
    ----------
    question : Question
    cell : Cell
        The design.
    effect : float
        In units of the outcome; its sign doesn't matter.
    """
    found = known(question, cell)
    if found is None or not answers.has_df(found[0]) or question.target == HALF_WIDTH:
        return math.nan
    return target_of(question, found[1], effect).excess(found[0]) + question.goal


def width_at(question: Question, cell: Cell) -> float:
    """Return the half-width of the interval expected at a design, in units of the outcome, NaN where there is no
    formula.
    """
    found = known(question, cell)
    if found is None or not answers.has_df(found[0]):
        return math.nan
    return answers.half_width(found[0], level=question.level) * found[1]


def ceiling(question: Question, cell: Cell) -> float:
    """Return the power that a design's schools allow with any number of students, NaN where there is no formula."""
    found = known(question, cell)
    if (
        found is None
        or question.effect is None
        or question.target == HALF_WIDTH
        or not answers.has_df(found[0])
    ):
        return math.nan
    return target_of(question, found[1]).excess(answers.with_any_students(found[0])) + question.goal


def what_would_do(question: Question, cell: Cell) -> tuple[int, int] | None:
    """Return the schools that reach the target with the design's students, and with any number of students; None where
    no formula says.
    """
    found = known(question, cell)
    if found is None or question.unknown in (EFFECT, ICC):
        return None
    target = target_of(question, found[1])
    try:
        return required.required_schools(found[0], target), required.least_schools(found[0], target)
    except InvalidInput:
        return None

"""What limits a target that isn't reached, and what would reach it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nestbench.sim.cells.cell import Cell
from nestbench.sizing.answer import MethodAnswer
from nestbench.sizing.closed import ceiling, what_would_do
from nestbench.sizing.measuring import strictest
from nestbench.sizing.question import (
    EFFECT,
    HALF_WIDTH,
    ICC,
    MOST_SCHOOLS,
    N_SCHOOLS,
    N_STUDENTS,
    N_TREATED,
    Question,
)


def limits_of(
    question: Question, answered: Sequence[MethodAnswer], start: Cell, end: Cell
) -> tuple[str, ...]:
    """Return sentences on what limits the methods that hold; none where one of them reaches the target.

    Parameters
    ----------
    question : Question
    answered : sequence of MethodAnswer
    start, end : Cell
        The design as asked, and the most precise one searched.
    """
    holding = [a for a in answered if a.valid]
    # A method that doesn't hold may reach the target: that is no help, and hides no limit.
    if any(a.reached for a in holding) or not answered:
        return ()
    if question.unknown == EFFECT:
        schools = start.layout.schools
        return (
            f"{schools} schools leave these methods without a test that holds: add schools (with 4 or more there are "
            "degrees of freedom to estimate a standard error from).",
        )
    said = {
        N_SCHOOLS: _schools,
        N_STUDENTS: _students,
        N_TREATED: _treated,
        ICC: _icc,
    }[question.unknown](question, start, end, holding)
    return (said,)


def _best(question: Question, holding: Sequence[MethodAnswer]) -> MethodAnswer | None:
    known = strictest(question, [a for a in holding if not math.isnan(a.power)])
    return max(known, key=lambda a: a.power, default=None)


def _reached(question: Question, holding: Sequence[MethodAnswer]) -> str:
    """Return what the best method that holds reaches at the end of what was searched."""
    best = _best(question, holding)
    if best is None or question.target == HALF_WIDTH:
        return ""
    return f": {best.method} has power {best.power:.2f} there"


def _schools(question: Question, start: Cell, end: Cell, holding: Sequence[MethodAnswer]) -> str:
    enough = what_would_do(question, end)
    more = "" if enough is None else f" The closed form says {enough[0]} schools."
    fixed = start.layout.treated_schools
    if fixed:
        why = f"{fixed} treated schools limit it, however many others there are: treat more."
        return f"Not reached with {end.layout.schools} schools{_reached(question, holding)}. {why}"
    return (
        f"Not reached with {MOST_SCHOOLS} schools or fewer{_reached(question, holding)}.{more} A larger effect, more "
        "students a school or covariates that explain differences between schools would do with fewer."
    )


def _students(question: Question, start: Cell, end: Cell, holding: Sequence[MethodAnswer]) -> str:
    most = ceiling(question, start)
    bound = "" if math.isnan(most) else f" (closed form: at most {most:.2f})"
    enough = what_would_do(question, start)
    would = "add schools"
    if enough is not None:
        would = (
            f"at least {enough[1]} are needed, {enough[0]} with {start.layout.mean_size:g} students a school"
        )
    return (
        f"Schools limit it, not students: {start.layout.schools} schools don't reach it with {end.layout.mean_size:g} "
        f"students each{_reached(question, holding)}{bound}; {would}, or covariates that explain differences between "
        "schools."
    )


def _treated(question: Question, start: Cell, end: Cell, holding: Sequence[MethodAnswer]) -> str:
    enough = what_would_do(question, end)
    would = "add schools" if enough is None else f"{enough[0]} schools, half of them treated, would do"
    return (
        f"Not even with half of {start.layout.schools} schools treated{_reached(question, holding)}; {would}."
    )


def _icc(question: Question, start: Cell, end: Cell, holding: Sequence[MethodAnswer]) -> str:
    return (
        f"Not even with an ICC of 0{_reached(question, holding)}: {start.layout.schools} schools of "
        f"{start.layout.mean_size:g} students are too few for this target; add students or schools."
    )

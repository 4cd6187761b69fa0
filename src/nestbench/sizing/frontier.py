"""Schools against students, where both cost: the cheapest design that reaches a target, or the best that a budget buys.

The closed form says about where either lies: cost times variance is least near ``sqrt((1 - icc) / icc  c_school /
c_student)`` students a school, of a treatment of schools (Raudenbush 1997). Designs about it are each simulated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from nestbench.sim.errors import InvalidInput
from nestbench.sim.random_intercept.law import RandomIntercept
from nestbench.sim.random_intercept.planned import nearest, plain_terms
from nestbench.sim.theory.planning import budget as buying
from nestbench.sim.theory.planning.budget import Cost
from nestbench.sim.theory.planning.targets import HalfWidth
from nestbench.sim.theory.planning.trial import SchoolTrial
from nestbench.sizing.answer import Sizing
from nestbench.sizing.closed import terms_of
from nestbench.sizing.question import EFFECT, N_SCHOOLS, Question

ABOUT = (0.4, 0.6, 0.8, 1.0, 1.3, 1.8)
"""Students a school that are tried, as multiples of what the closed form says."""
LEAST, MOST = 2, 1_000


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Frontier:
    """Designs that reach a target, or that a budget buys, and the best of them.

    Attributes
    ----------
    question : Question
    cost : Cost
    table : DataFrame
        A row a design: ``students, schools, effect, low, high, method, power, size, half_width, cost``; NaN where the
        target is out of reach. ``low, high`` are the interval of the schools, with a budget of the smallest effect
        found (``effect``); ``power`` is of the effect asked about, if any.
    sizings : tuple of Sizing
        The answers behind the rows.
    budget : float or None
        What may be spent; None where the cheapest design is looked for.
    shown, html : str
        The answer for a terminal and for a notebook.
    """

    question: Question
    cost: Cost
    table: pd.DataFrame
    sizings: tuple[Sizing, ...]
    budget: float | None = None
    shown: str = ""
    html: str = ""

    @property
    def best_row(self) -> dict[str, Any] | None:
        """The cheapest design, or of those that a budget buys the one that finds the smallest effect."""
        key = "cost" if self.budget is None else "effect"
        rows = [row for row in self.table.to_dict("records") if math.isfinite(row[key])]
        return min(rows, key=lambda row: row[key], default=None)  # type: ignore[return-value]

    @property
    def best(self) -> Sizing | None:
        """The best design's answer; None where the target is out of reach."""
        row = self.best_row
        return None if row is None else self.sizings[list(self.table["students"]).index(row["students"])]

    def __repr__(self) -> str:
        return self.shown

    def _repr_html_(self) -> str:
        return self.html


def frontier_of(
    question: Question, cost: Cost, budget: float | None, solve: Callable[[Question], Sizing]
) -> Frontier:
    """Return the designs that reach a target, each number of students solved for schools; with a budget those that it
    buys, each solved for the smallest effect.

    Raises
    ------
    InvalidInput
        The question isn't of schools (with a budget: of the effect), no closed form says where to look, or the budget
        buys no trial.
    """
    unknown = N_SCHOOLS if budget is None else EFFECT
    if question.unknown != unknown:
        raise InvalidInput(
            f"expected {unknown} to solve for with a cost of schools and students"
            f"{'' if budget is None else ' and a budget'}, got {question.unknown}"
        )
    designs = _about(question, cost) if budget is None else _bought(question, cost, budget)
    sizings = [solve(with_design(question, design)) for design in designs]
    rows = [_row(*each, cost, budget) for each in zip(sizings, designs, strict=True)]
    return Frontier(question, cost, pd.DataFrame(rows), tuple(sizings), budget)


Design = dict[str, int]
"""Parts of a trial: students, with a budget schools."""


def with_design(question: Question, design: Design) -> Question:
    """Return the question of another design."""
    return replace(question, source=question.source.with_design(design))


def _trial(question: Question) -> SchoolTrial:
    """Return the planned trial that a question's is or comes near to."""
    cell = question.cell(None)
    if not isinstance(cell.population, RandomIntercept):
        raise InvalidInput(
            "expected a random-intercept population with a cost of schools and students: of others nothing says which "
            "numbers of students to try; solve for schools at some numbers of students instead"
        )
    return nearest(cell.population, cell.layout, plain_terms(terms_of(cell))).trial


def _about(question: Question, cost: Cost) -> list[Design]:
    """Return numbers of students about the one whose cost times variance is least."""
    trial = _trial(question)
    least = max(LEAST, 2 * int(getattr(trial, "classes", 0)))
    numbers = np.unique(np.geomspace(least, MOST, 400).round())
    products = [cost.of(1, n) * replace(trial, students=n).variance for n in numbers.tolist()]
    middle = float(numbers[int(np.argmin(products))])
    tried = sorted({min(max(round(middle * factor), least), MOST) for factor in ABOUT})
    return [{"students": students} for students in tried]


def _bought(question: Question, cost: Cost, budget: float) -> list[Design]:
    """Return designs that a budget buys, about the one whose interval is narrowest by the closed form."""
    trial = _trial(question)
    best = buying.best_within(trial, HalfWidth(1.0, question.level), cost, budget).students
    step = max(question.cell(None).layout.blocked_by, 1)
    least = max(2, int(getattr(trial, "classes", 0)))
    found: dict[int, Design] = {}
    for factor in ABOUT:
        wanted = min(max(round(best * factor), least), MOST)
        schools = int(budget / cost.of(1, wanted) / step) * step
        if schools < max(4, 2 * step):
            continue
        students = min(buying.affordable_students(cost, schools, budget), MOST)
        if students >= least:
            found[students] = {"students": students, "schools": schools}
    if not found:
        raise InvalidInput(
            f"expected a budget for 4 schools of {least} students, got {budget:g} with {cost.school:g} a school and "
            f"{cost.student:g} a student; raise it"
        )
    return [found[students] for students in sorted(found)]


def _row(sizing: Sizing, design: Design, cost: Cost, budget: float | None) -> dict[str, Any]:
    found, students = sizing.answer, design["students"]
    row = dict.fromkeys(
        ("students", "schools", "effect", "low", "high", "method", "power", "size", "half_width", "cost"),
        math.nan,
    )
    if found is None:
        return {**row, **design, "method": ""}
    keys = ("low", "high", "method", "power", "size", "half_width")
    row |= {"students": students, **{key: getattr(found, key) for key in keys}}
    if budget is None:
        return row | {"schools": found.value, "cost": cost.of(round(found.value), students)}
    curve = sizing.curve[sizing.curve["method"] == found.method]
    # Of the effect asked about, if any: that of the answer is what was wanted.
    power = float(curve["power"].iloc[0])
    bought = {"schools": design["schools"], "effect": found.value, "power": power}
    return row | bought | {"cost": cost.of(design["schools"], students)}

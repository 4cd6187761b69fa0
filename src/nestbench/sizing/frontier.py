"""Schools against students: designs that reach the same target, what each costs, and the cheapest.

The closed form says where the cheapest lies: for a treatment of schools students a school cost least near
``sqrt((1 - icc) / icc  c_school / c_student)`` (Raudenbush 1997). Numbers of students about it are each solved for
schools, by simulation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import pandas as pd

from nestbench.sim.counted import plural
from nestbench.sim.errors import InvalidInput
from nestbench.sizing.answer import Sizing
from nestbench.sizing.question import HALF_WIDTH, N_SCHOOLS, Planned, Question
from nestbench.sizing.terminal import columns, filled

ABOUT = (0.4, 0.6, 0.8, 1.0, 1.3, 1.8)
"""Students a school that are tried, as multiples of what the closed form says."""
LEAST, MOST = 2, 1_000


@dataclass(frozen=True, slots=True)
class Cost:
    """What a trial costs: so much a school, and so much a student."""

    school: float
    student: float

    def __post_init__(self) -> None:
        for name in ("school", "student"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0.0):
                raise InvalidInput(f"expected a cost of a {name} above 0, got {value!r}")

    def of(self, schools: float, students: float) -> float:
        """Return the cost of a trial."""
        return schools * (self.school + self.student * students)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Frontier:
    """Designs that reach a target, and the cheapest.

    Attributes
    ----------
    question : Question
    cost : Cost
    table : DataFrame
        A row a number of students: ``students, schools, low, high, method, power, size, cost``; NaN where out of reach.
    sizings : tuple of Sizing
        The answers behind the rows.
    """

    question: Question
    cost: Cost
    table: pd.DataFrame
    sizings: tuple[Sizing, ...]

    @property
    def best(self) -> Sizing | None:
        """The cheapest design's answer; None where the target is out of reach."""
        costs = [float(cost) for cost in self.table["cost"]]
        good = [i for i, cost in enumerate(costs) if math.isfinite(cost)]
        return self.sizings[min(good, key=costs.__getitem__)] if good else None

    @property
    def shown(self) -> str:
        """The answer for a terminal."""
        return text_of(self)

    def __repr__(self) -> str:
        return self.shown


def frontier_of(question: Question, cost: Cost, solve: Callable[[Question], Sizing]) -> Frontier:
    """Return the designs that reach a target, each number of students solved for schools.

    Raises
    ------
    InvalidInput
        The question isn't of schools of a trial in a planner's words.
    """
    if question.unknown != N_SCHOOLS or not isinstance(question.source, Planned):
        raise InvalidInput(
            "expected schools to solve for, of a trial in options, with a cost of schools and students"
        )
    trial = question.source.trial
    between = trial.icc * (1.0 - trial.r2_school)
    within = (1.0 - trial.icc - trial.class_icc) * (1.0 - trial.r2_student)
    middle = math.sqrt(within / max(between, 1e-3) * cost.school / cost.student)
    least = max(LEAST, 2 * trial.classes)
    tried = sorted({min(max(round(middle * factor), least), MOST) for factor in ABOUT})
    sizings = []
    for students in tried:
        source = replace(question.source, trial=trial.at(students=students))
        sizings.append(solve(replace(question, source=source)))
    rows = [_row(sizing, students, cost) for sizing, students in zip(sizings, tried, strict=True)]
    return Frontier(question, cost, pd.DataFrame(rows), tuple(sizings))


def _row(sizing: Sizing, students: int, cost: Cost) -> dict[str, object]:
    found = sizing.answer
    if found is None:
        nothing = dict.fromkeys(("schools", "low", "high", "power", "size", "cost"), math.nan)
        return {"students": students, "method": "", **nothing}
    return {
        "students": students,
        "schools": found.value,
        "low": found.low,
        "high": found.high,
        "method": found.method,
        "power": found.power,
        "size": found.size,
        "cost": cost.of(found.value, students),
    }


def text_of(frontier: Frontier) -> str:
    """Return the answer as lines of at most 80 columns."""
    best, cost = frontier.best, frontier.cost
    if best is None or best.answer is None:
        return filled("Out of reach with any of these numbers of students.")
    students = best.question.cell(None).layout.mean_size
    schools = int(best.answer.value)
    first = (
        f"Cheapest: {plural(schools, 'school')} of {students:g} students, {cost.of(schools, students):,.0f} in all "
        f"({cost.school:g} a school, {cost.student:g} a student), by {best.named}."
    )
    width = frontier.question.target == HALF_WIDTH
    rows = [
        ["students", "schools", "95 % interval", "cost", "half-width" if width else "power", "type I error"]
    ]
    for sizing, row in zip(frontier.sizings, frontier.table.to_dict("records"), strict=True):
        found = sizing.answer
        if found is None:
            rows.append([f"{row['students']}", "-", "-", "-", "-", "out of reach"])
            continue
        reached = f"{found.half_width:.3g}" if width else f"{100 * found.power:.1f}"
        ends = f"{found.low:g} to {found.high:g}"
        rows.append(
            [
                f"{row['students']}",
                f"{found.value:g}",
                ends,
                f"{row['cost']:,.0f}",
                reached,
                f"{100 * found.size:.1f}",
            ]
        )
    return "\n".join([filled(first), *columns(rows)])

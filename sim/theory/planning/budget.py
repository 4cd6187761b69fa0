"""What a trial costs, and the cheapest one that reaches a target: schools against students."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from nestbench.sim import checks
from nestbench.sim.errors import InvalidInput
from nestbench.sim.theory.planning import answers, required
from nestbench.sim.theory.planning.targets import Target
from nestbench.sim.theory.planning.trial import SchoolTrial

MOST_STUDENTS = 5_000


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of a school, and of each of its students, in one currency.

    Raises
    ------
    InvalidInput
        A cost below 0, or a school that costs nothing: then it is one student a school, and no question.
    """

    school: float
    student: float = 0.0

    def __post_init__(self) -> None:
        checks.number("cost.school", self.school, low=0.0, open_low=True)
        checks.number("cost.student", self.student, low=0.0)

    def of(self, schools: int, students: float) -> float:
        """Return the cost of so many schools with so many students each."""
        return schools * (self.school + self.student * students)


@dataclass(frozen=True, slots=True)
class Priced:
    """A design with its cost: schools, students a school."""

    schools: int
    students: int
    cost: float


def optimal_students(cost: Cost, icc: float, r2_school: float = 0.0, r2_student: float = 0.0) -> float:
    """Return the students a school that make a school-randomised trial most precise at any budget.

    n = sqrt(C_school / C_student x (1 - icc) (1 - r2_student) / (icc (1 - r2_school))) (Raudenbush 1997, Psychological
    Methods 2:173): cost times variance is least there. Infinite where students cost nothing or schools don't differ.

    Parameters
    ----------
    cost : Cost
    icc : float
        Intraclass correlation.
    r2_school, r2_student : float
        Shares of the variance of schools and of students that covariates explain.
    """
    within, between = (1.0 - icc) * (1.0 - r2_student), icc * (1.0 - r2_school)
    if not cost.student * between:
        return math.inf
    return math.sqrt(cost.school * within / (cost.student * between))


def frontier(trial: SchoolTrial, target: Target, cost: Cost) -> tuple[Priced, ...]:
    """Return the designs that reach the target with the fewest schools for their students: one for each number of
    schools, from few students to many.

    Each has the fewest students of those with its schools, so none is cheaper and no larger in both.

    Raises
    ------
    InvalidInput
        No number of schools reaches the target.
    """
    least, found, students = required.least_schools(trial, target), [], 1
    while students <= MOST_STUDENTS:
        schools = required.required_schools(replace(trial, students=float(students)), target)
        found.append(Priced(schools, students, cost.of(schools, students)))
        if schools <= least:
            break
        step = getattr(trial, "block_size", 1)
        fewer = required.with_schools(trial, schools - step)
        try:
            students = required.required_students(fewer, target)
        # No number of students makes up for so few schools: the frontier ends here.
        except InvalidInput:
            break
    return tuple(found)


def cheapest(trial: SchoolTrial, target: Target, cost: Cost) -> Priced:
    """Return the cheapest design, in whole schools and students, that reaches the target: the best of the frontier.

    Raises
    ------
    InvalidInput
        No number of schools reaches the target.
    """
    return min(frontier(trial, target, cost), key=lambda priced: (priced.cost, priced.schools))


def affordable_students(cost: Cost, schools: int, budget: float) -> int:
    """Return the students a school that a budget buys with so many schools, `MOST_STUDENTS` at most."""
    left = budget - schools * cost.school
    if not cost.student:
        return MOST_STUDENTS if left >= 0.0 else 0
    # By rounding alone 10 / .1 may buy one student fewer.
    return min(max(int(left / schools / cost.student * (1.0 + 1e-12)), 0), MOST_STUDENTS)


def best_within(trial: SchoolTrial, target: Target, cost: Cost, budget: float) -> Priced:
    """Return the design within a budget that comes nearest to the target, or exceeds it most.

    Parameters
    ----------
    trial : SchoolTrial
        Its numbers of schools and students don't matter.
    target : Target
    cost : Cost
    budget : float
        In the currency of the cost.

    Raises
    ------
    InvalidInput
        The budget pays for no design whose effect can be tested.
    """
    checks.number("the budget", budget, low=0.0, open_low=True)
    step, best, most = getattr(trial, "block_size", 1), None, -math.inf
    for schools in range(step * math.ceil(2 / step), int(budget / (cost.school + cost.student)) + 1, step):
        students = affordable_students(cost, schools, budget)
        if not students:
            break
        design = replace(required.with_schools(trial, schools), students=float(students))
        if answers.has_df(design) and (reached := target.excess(design)) > most:
            most, best = reached, Priced(schools, int(design.students), cost.of(schools, design.students))
    if best is None:
        raise InvalidInput(
            f"expected a budget for enough schools to test an effect, got {budget:g} with {cost.school:g} a school and "
            f"{cost.student:g} a student; raise it"
        )
    return best

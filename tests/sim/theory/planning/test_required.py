"""Smallest trials: 30 balanced designs by integration in 30 digits, minimality of every kind, what can't be reached."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from nestbench.sim.errors import InvalidInput
from nestbench.sim.theory.planning import answers, required
from nestbench.sim.theory.planning.blocks import SchoolsInBlocks
from nestbench.sim.theory.planning.classes import ClassesInSchools, SchoolsWithClasses
from nestbench.sim.theory.planning.multisite import StudentsInSchools
from nestbench.sim.theory.planning.one_level import StudentsAlone
from nestbench.sim.theory.planning.schools import SchoolsRandomised
from nestbench.sim.theory.planning.targets import HalfWidth, Power
from tests.oracles import noncentral

BALANCED = list(product((0.2, 0.35, 0.6), (0.01, 0.05, 0.1, 0.2, 0.3), (10, 60)))
SOME = [pytest.param(*case, marks=() if i % 4 == 0 else pytest.mark.slow) for i, case in enumerate(BALANCED)]
TRIAL = SchoolsRandomised(schools=40, students=20, icc=0.1)
PAIRS = SchoolsInBlocks(schools=40, students=20, icc=0.1, effects="constant")
KINDS: list[Any] = [
    TRIAL,
    replace(TRIAL, treated_share=0.3, r2_school=0.5, school_covariates=2, size_cv=0.6, school_attrition=0.1),
    PAIRS,
    replace(PAIRS, block_size=4, effects="random", effect_sd=0.1, school_attrition=0.1, block_icc=0.05),
    StudentsInSchools(schools=20, students=20, icc=0.1, effect_sd=0.1),
    StudentsInSchools(schools=20, students=20, icc=0.1, effects="fixed", student_attrition=0.2),
    SchoolsWithClasses(schools=40, students=40, classes=2, icc=0.1, class_icc=0.1),
    ClassesInSchools(schools=20, students=40, classes=2, icc=0.1, class_icc=0.1),
]
TARGETS = [Power(0.25), Power(0.25, 0.9, alpha=0.01), HalfWidth(0.2)]


def _exact_power(schools: int, students: int, icc: float, effect: float) -> float:
    treated = schools // 2
    variance = (icc + (1 - icc) / students) * (1 / treated + 1 / (schools - treated))
    return noncentral.power(effect, math.sqrt(variance), schools - 2)


@pytest.mark.parametrize(("effect", "icc", "students"), SOME)
def test_schools_of_balanced_designs(effect: float, icc: float, students: int) -> None:
    """The number found reaches 80 % by an independent integral, one school fewer doesn't."""
    trial = SchoolsRandomised(schools=2, students=students, icc=icc)
    found = required.required_schools(trial, Power(effect))
    assert _exact_power(found, students, icc, effect) >= 0.8
    assert _exact_power(found - 1, students, icc, effect) < 0.8


@pytest.mark.parametrize(("effect", "icc", "students"), BALANCED[::5])
def test_detectable_effects_of_balanced_designs(effect: float, icc: float, students: int) -> None:
    trial = SchoolsRandomised(schools=round(12 / effect), students=students, icc=icc)
    found = answers.smallest_effect(trial)
    if trial.schools % 2 == 0:
        assert _exact_power(trial.schools, students, icc, found) == pytest.approx(0.8, abs=1e-10)


@pytest.mark.parametrize("trial", KINDS, ids=lambda t: type(t).__name__)
@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.describe())
def test_answers_are_the_smallest(trial: Any, target: Any) -> None:
    """Every number searched reaches the target, and the next smaller one doesn't: by trying each."""
    found = required.required_schools(trial, target)
    step = getattr(trial, "block_size", 1)
    smaller = [
        required.with_schools(trial, n) for n in range(found - 3 * step, found, step) if n >= max(step, 2)
    ]
    assert required.reaches(required.with_schools(trial, found), target)
    assert not any(required.reaches(each, target) for each in smaller)
    large = required.with_schools(trial, found + 20 * step)
    students = required.required_students(large, target)
    assert required.reaches(replace(large, students=students), target)
    assert students == 1 or not required.reaches(replace(large, students=students - 1), target)
    icc = required.tolerable_icc(large, target)
    assert required.reaches(replace(large, icc=icc), target)
    if icc + getattr(trial, "class_icc", 0.0) + getattr(trial, "block_icc", 0.0) < 1.0 - 1e-6:
        assert not required.reaches(replace(large, icc=icc + 1e-9), target)


@pytest.mark.parametrize("trial", KINDS, ids=lambda t: type(t).__name__)
def test_schools_are_the_limit_of_students(trial: Any) -> None:
    """Fewer schools than the least reach it with no number of students, that many with some."""
    target = Power(0.25)
    least = required.least_schools(trial, target)
    enough = required.with_schools(trial, least)
    assert target.excess(answers.with_any_students(enough)) >= 0.0
    ceiling = answers.ceiling(enough, 0.25)
    assert answers.power(replace(enough, students=1e9), 0.25) == pytest.approx(ceiling, abs=1e-6)
    if least > 2 * getattr(trial, "block_size", 1):
        fewer = required.with_schools(trial, least - getattr(trial, "block_size", 1))
        assert not required.reaches(replace(fewer, students=1e12), target)


def test_few_treated() -> None:
    """Nine of forty schools are enough exactly if eight are not."""
    trial, target = replace(TRIAL, schools=100), Power(0.25)
    treated = required.required_treated(trial, target)
    assert required.reaches(replace(trial, treated_share=treated / 100), target)
    assert not required.reaches(replace(trial, treated_share=(treated - 1) / 100), target)
    share = required.required_share(trial, target)
    assert (treated - 1) / 100 < share <= treated / 100


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (
            lambda: required.required_students(replace(TRIAL, schools=20), Power(0.25)),
            "at least 53 are needed",
        ),
        (lambda: required.required_students(replace(TRIAL, schools=20), HalfWidth(0.1)), "Schools limit it"),
        (lambda: required.required_schools(TRIAL, Power(0.0)), "not even"),
        (lambda: required.required_students(TRIAL, Power(0.0)), "no number of schools"),
        (lambda: required.tolerable_icc(replace(TRIAL, schools=10), Power(0.1)), "even with an ICC of 0"),
        (lambda: required.required_treated(replace(TRIAL, schools=20), Power(0.25)), "Schools limit it"),
        (lambda: required.required_students(StudentsAlone(students=10), Power(0.0)), "check the effect"),
        (lambda: answers.power(replace(TRIAL, schools=2), 0.25), "degrees of freedom above 0"),
        (lambda: answers.power(replace(PAIRS, effects="fixed"), 0.25), "degrees of freedom above 0"),
        (lambda: replace(TRIAL, icc=1.0), r"trial.icc in \[0, 1\)"),
        (lambda: replace(TRIAL, icc=-0.1), r"trial.icc in \[0, 1\)"),
        (lambda: replace(TRIAL, schools=10.5), "whole number"),
        (lambda: replace(TRIAL, schools=1), "trial.schools"),
        (lambda: replace(TRIAL, students=0.5), "trial.students"),
        (lambda: replace(PAIRS, schools=41), "40 or 42"),
        (lambda: replace(PAIRS, treated_share=0.2), "both arms in each block"),
        (lambda: replace(PAIRS, block_icc=0.9), "sum must be below 1"),
        (lambda: replace(KINDS[4], effects="constant"), "one effect for all"),
        (lambda: replace(KINDS[7], treated_share=0.1), "both arms in each school"),
        (lambda: StudentsAlone(students=math.inf), "finite"),
        (lambda: Power(0.25, power=0.04), "the power"),
        (lambda: Power(0.25, sides=3), "one-sided or two-sided"),
        (lambda: HalfWidth(0.0), "the half-width"),
    ],
)
def test_what_is_refused_says_why(ask: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        ask()

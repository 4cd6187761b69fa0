"""Answers against the exact noncentral t: 45 designs for schools, 30 of them for the effect found."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
from scipy import stats

import nestbench
from nestbench.sizing.search import MOST

FAST: dict[str, Any] = {"methods": "means", "workers": 1}


def exact_power(schools: int, treated: int, students: int, icc: float, effect: float) -> float:
    """Of the t test of school means with equal schools."""
    variance = (icc + (1.0 - icc) / students) * (1.0 / treated + 1.0 / (schools - treated))
    df, shift = schools - 2, effect / math.sqrt(variance)
    reach = stats.t.ppf(0.975, df)
    return float(stats.nct.sf(reach, df, shift) + stats.nct.cdf(-reach, df, shift))


def exact_schools(share: float, students: int, icc: float, effect: float, goal: float) -> int:
    schools = 4
    while exact_power(schools, round(share * schools), students, icc, effect) < goal:
        schools += 1
    return schools


def exact_effect(schools: int, treated: int, students: int, icc: float, goal: float) -> float:
    low, high = 0.0, 10.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        below = exact_power(schools, treated, students, icc, middle) < goal
        low, high = (middle, high) if below else (low, middle)
    return low


BALANCED = [
    (0.5, students, icc, effect, 0.8)
    for effect, icc, students in product((0.25, 0.4, 0.7), (0.005, 0.02, 0.05, 0.1, 0.25), (10, 60))
]
OTHERS = [
    (share, students, icc, effect, goal)
    for share, students, icc in [
        (0.5, 20, 0.1),
        (0.5, 5, 0.2),
        (0.3, 100, 0.05),
        (0.5, 1000, 0.005),
        (0.25, 30, 0.3),
    ]
    for effect, goal in [(0.8, 0.8), (0.5, 0.9), (0.35, 0.8)]
]
DESIGNS = [
    pytest.param(design, marks=() if i == 1 else pytest.mark.slow)
    for i, design in enumerate([*OTHERS, *BALANCED])
]


@pytest.mark.parametrize("design", DESIGNS)
def test_required_schools_are_the_exact_ones(design: tuple[float, int, float, float, float]) -> None:
    share, students, icc, effect, goal = design
    found = nestbench.size(
        solve="schools", treated_share=share, students=students, icc=icc, effect=effect, power=goal, **FAST
    )
    exact = exact_schools(share, students, icc, effect, goal)
    assert abs(found.value - exact) <= 1
    assert found.interval[0] - 1 <= exact <= found.interval[1] + 1
    answer = found.answer
    assert answer is not None
    treated = round(share * int(found.value))
    assert (
        abs(answer.power - exact_power(int(found.value), treated, students, icc, effect))
        < 4.9 * answer.power_mcse
    )
    assert abs(answer.size - 0.05) < 4.9 * answer.size_mcse


EFFECTS = [(exact_schools(*design), design[1], design[2]) for design in BALANCED]


@pytest.mark.parametrize(
    ("schools", "students", "icc"),
    [(40, 20, 0.1), *(pytest.param(*each, marks=pytest.mark.slow) for each in EFFECTS)],
)
def test_the_effect_found_is_the_exact_one(schools: int, students: int, icc: float) -> None:
    """Within .5 %: at the .25 % that the search ends at that is 3.9 errors.

    Few schools end at the most data sets of a design before that: five schools at .32 %, where .5 % is 3.1 errors.
    """
    found = nestbench.size(solve="effect", schools=schools, students=students, icc=icc, **FAST)
    exact = exact_effect(schools, round(schools / 2), students, icc, 0.8)
    half = 0.5 * (found.interval[1] - found.interval[0])
    capped = found.data_sets >= MOST
    assert half < (0.0035 if capped else 0.0025 * 1.01) * exact
    assert abs(found.value - exact) < min(0.005 * exact, 4.9 / 1.96 * half)

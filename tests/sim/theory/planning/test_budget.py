"""The cheapest design by trying all of them, Raudenbush's optimum, and assurance as an average."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import stats

from nestbench.sim.errors import InvalidInput
from nestbench.sim.theory.planning import answers, budget, required
from nestbench.sim.theory.planning.assurance import Assurance, assurance
from nestbench.sim.theory.planning.blocks import SchoolsInBlocks
from nestbench.sim.theory.planning.points import beta_points, icc_points
from nestbench.sim.theory.planning.schools import SchoolsRandomised
from nestbench.sim.theory.planning.targets import HalfWidth, Power

TRIAL = SchoolsRandomised(schools=40, students=20, icc=0.1)
PAIRS = SchoolsInBlocks(schools=40, students=20, icc=0.1, effects="constant")


CASES = [
    (TRIAL, Power(0.6), budget.Cost(300, 10)),
    pytest.param(PAIRS, Power(0.5), budget.Cost(300, 10), marks=pytest.mark.slow),
    pytest.param(TRIAL, HalfWidth(0.35), budget.Cost(100, 0), marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("trial", "target", "cost"), CASES)
def test_nothing_is_cheaper_than_the_cheapest(trial: Any, target: Any, cost: budget.Cost) -> None:
    """By the schools that each number of students needs."""
    found = budget.cheapest(trial, target, cost)
    prices = [
        cost.of(required.required_schools(replace(trial, students=float(n)), target), n)
        for n in range(1, 60, 3)
    ]
    assert found.cost <= min(prices)
    assert required.reaches(
        replace(required.with_schools(trial, found.schools), students=found.students), target
    )
    front = budget.frontier(trial, target, cost)
    assert all(a.schools > b.schools and a.students < b.students for a, b in pairwise(front))
    within = budget.best_within(trial, target, cost, found.cost)
    reached = replace(required.with_schools(trial, within.schools), students=within.students)
    assert within.cost <= found.cost
    assert required.reaches(reached, target)


def test_the_optimal_number_of_students_costs_least() -> None:
    """Cost times variance over a fine grid of students."""
    cost, trial = budget.Cost(300, 10), replace(TRIAL, r2_school=0.4, r2_student=0.2)
    best = budget.optimal_students(cost, 0.1, 0.4, 0.2)
    grid = np.linspace(2.0, 60.0, 5801)
    product = [cost.of(40, n) * replace(trial, students=n).variance for n in grid.tolist()]
    assert best == pytest.approx(grid[int(np.argmin(product))], abs=0.02)
    assert budget.optimal_students(cost, 0.0) == np.inf


def test_points_are_the_distributions() -> None:
    """Moments, and the average of a smooth function by SciPy's own integration."""
    for a, b in ((0.3, 0.5), (2.0, 30.0), (0.5, 0.5), (400.0, 90.0)):
        points = beta_points(a, b)
        exact = stats.beta(a, b)
        assert points.weights @ points.values == pytest.approx(exact.mean(), rel=1e-12)
        assert points.weights @ np.exp(points.values) == pytest.approx(exact.expect(np.exp), rel=1e-6)


def test_assurance_is_power_on_average() -> None:
    """Against the mean over 400 000 draws of effect and ICC; the allowed error is 5 of its standard errors."""
    draws = np.random.default_rng(7)
    icc, effect = stats.beta(3.5, 31.5).rvs(400_000, random_state=draws), draws.normal(0.4, 0.15, 400_000)
    se = np.sqrt((icc + (1 - icc) / 20) * 4 / 40)
    critical = stats.t.ppf(0.975, 38)
    # the t statistic itself, not its power: another 400 000 draws
    t = (effect + se * draws.standard_normal(400_000)) / (se * np.sqrt(draws.chisquare(38, 400_000) / 38))
    rate = np.mean(np.abs(t) > critical)
    found = assurance(TRIAL, 0.4, 0.15, beta_points(3.5, 31.5))
    assert found == pytest.approx(rate, abs=5.0 * np.sqrt(rate * (1 - rate) / 400_000))
    sd = float(stats.beta(3.5, 31.5).std())
    assert Assurance(0.4, 0.15, sd).value(TRIAL) == pytest.approx(found, abs=1e-9)
    assert Assurance(0.4).value(TRIAL) == pytest.approx(answers.power(TRIAL, 0.4), abs=1e-12)


def test_assurance_has_a_ceiling() -> None:
    target = Assurance(0.3, 0.3, sides=1)
    assert target.most == pytest.approx(stats.norm.cdf(1.0))
    assert target.value(replace(TRIAL, schools=1_000_000)) == pytest.approx(target.most, abs=2e-3)
    with pytest.raises(InvalidInput, match="not even"):
        required.required_schools(TRIAL, replace(target, power=0.9))
    found = required.required_schools(TRIAL, Assurance(0.3, 0.1))
    assert found > required.required_schools(TRIAL, Power(0.3))


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: budget.Cost(0.0, 1.0), "cost.school"),
        (lambda: budget.best_within(TRIAL, Power(0.3), budget.Cost(300, 10), 500.0), "raise it"),
        (lambda: icc_points(0.1, 0.5), "SD of ICCs"),
        (lambda: Assurance(0.3, -0.1), "SD of the effect"),
    ],
)
def test_what_is_refused_says_why(ask: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        ask()

"""The planned trials of populations: their power, simulated from the population by the method they are planned for.

A rejection rate is compared with the closed form at 5.5 binomial standard errors and, where the closed form isn't
exact, what it is off by. 5.5 standard errors are a chance of 4e-8 a comparison, below 1e-6 for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nestbench.estimators.methods.registry import get
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept
from nestbench.sim.random_intercept.planned import Planned, block_variance, planned_of
from nestbench.sim.streams import StreamSource
from nestbench.sim.theory.planning import answers
from nestbench.sim.theory.planning.blocks import SchoolsInBlocks
from nestbench.sim.theory.planning.classes import SchoolsWithClasses
from nestbench.sim.theory.planning.multisite import StudentsInSchools

PLAIN = RandomIntercept(icc=0.15, effects={"Intercept": 1.0, "treated": 0.6}, version=2)
LAYOUT = Layout(schools=16, students=10, treated_share=0.5)
CASES: dict[str, tuple[RandomIntercept, Layout, str, str, float]] = {
    "means": (PLAIN, LAYOUT, "grade ~ treated", "means", 0.0),
    "few treated": (PLAIN, replace(LAYOUT, treated_share=0.25), "grade ~ treated", "means", 0.0),
    "resources": (
        replace(PLAIN, effects={**PLAIN.effects, "resources": 0.4}),
        LAYOUT,
        "grade ~ treated + resources",
        "means",
        0.0,
    ),
    "resources, few schools": (
        replace(PLAIN, effects={"treated": 0.9, "resources": 0.6}),
        replace(LAYOUT, schools=8),
        "grade ~ treated + resources",
        "means",
        0.0,
    ),
    "left out": (
        replace(PLAIN, effects={**PLAIN.effects, "resources": 0.3}),
        LAYOUT,
        "grade ~ treated",
        "means",
        0.0,
    ),
    "students": (
        replace(PLAIN, treatment_sd=0.4),
        replace(LAYOUT, assignment="students"),
        "grade ~ treated",
        "dummies-cr2-satt",
        0.02,
    ),
    "one effect": (
        replace(PLAIN, effects={"treated": 0.4}),
        replace(LAYOUT, assignment="students"),
        "grade ~ treated",
        "dummies",
        0.0,
    ),
    "pairs": (
        replace(PLAIN, effects={"treated": 0.5, "resources": 0.5}),
        replace(LAYOUT, assignment="pairs"),
        "grade ~ treated + pair",
        "means",
        0.015,
    ),
    "blocks": (
        replace(PLAIN, effects={"treated": 0.5, "resources": 0.5}),
        replace(LAYOUT, schools=18, treated_share=1 / 3, assignment="blocks", block_size=6),
        "grade ~ treated + block",
        "means",
        0.015,
    ),
    "classes": (
        replace(PLAIN, class_icc=0.1),
        replace(LAYOUT, classes=2),
        "grade ~ treated",
        "means",
        0.0,
    ),
    "teachers, few schools": (
        replace(PLAIN, class_icc=0.1, effects={"treated": 0.9, "teacher": 0.6}),
        replace(LAYOUT, schools=8, classes=2),
        "grade ~ treated + teacher",
        "nested-satt",
        0.02,
    ),
    "age, few schools": (
        replace(PLAIN, effects={"treated": 1.0, "age": 1.0}),
        replace(LAYOUT, schools=8, students=4),
        "grade ~ treated + age",
        "reml-satt",
        0.02,
    ),
    "age in pairs": (
        replace(PLAIN, effects={"treated": 0.9, "resources": 0.5, "age": 1.0}),
        replace(LAYOUT, schools=10, students=4, assignment="pairs"),
        "grade ~ treated + pair + age",
        "reml-satt",
        0.025,
    ),
    "sizes": (PLAIN, replace(LAYOUT, size_cv=0.7), "grade ~ treated", "reml-kr", 0.025),
}


def _planned(law: RandomIntercept, layout: Layout, formula: str) -> Planned:
    cell = Cell(law, layout, Model(formula=formula))
    found = planned_of(law, layout, cell.found.terms)
    assert found is not None
    return found


def _rate(law: RandomIntercept, layout: Layout, formula: str, method: str, data_sets: int) -> float:
    model = Model(formula=formula, subgroup="class" if layout.classes else None)
    batch = law.draw(layout, StreamSource(20261126, "planned"), range(data_sets))
    fits = get(method).fit(batch, model)
    j = fits.terms.index("treated")
    usable = fits.usable[:, j]
    assert usable.mean() > 0.99
    return float(np.mean((fits.lower[usable, j] > 0.0) | (fits.upper[usable, j] < 0.0)))


DEAR = (
    "left out",
    "students",
    "pairs",
    "blocks",
    "classes",
    "teachers, few schools",
    "age, few schools",
    "age in pairs",
    "sizes",
)


@pytest.mark.parametrize("case", [pytest.param(c, marks=pytest.mark.slow) if c in DEAR else c for c in CASES])
def test_power_is_that_of_the_population(case: str) -> None:
    law, layout, formula, method, off = CASES[case]
    planned, data_sets = _planned(law, layout, formula), 4000
    power = answers.power(planned.trial, planned.standardised)
    assert 0.3 < power < 0.95
    allowed = 5.5 * np.sqrt(power * (1.0 - power) / data_sets) + off
    assert _rate(law, layout, formula, method, data_sets) == pytest.approx(power, abs=allowed)


def test_schools_of_one_student_have_one() -> None:
    """Whatever their number: a mean over 300 equal sizes was .9999999999999997, fewer than a trial may have."""
    for schools in range(4, 400, 4):
        found = planned_of(
            PLAIN, Layout(schools=schools, students=1, treated_share=0.5), {"Intercept", "treated"}
        )
        assert found is not None
        assert (found.trial.students, found.trial.size_cv) == (1.0, 0.0)


def test_kinds_and_units() -> None:
    kinds = {name: type(_planned(*CASES[name][:3]).trial) for name in CASES}
    assert kinds["students"] is kinds["one effect"] is StudentsInSchools
    assert kinds["pairs"] is kinds["blocks"] is SchoolsInBlocks
    assert kinds["classes"] is SchoolsWithClasses
    law = RandomIntercept(
        icc=0.2, total_sd=10.0, effects={"treated": 2.5, "resources": 5.0, "age": 5.0}, age_icc=0.2
    )
    planned = _planned(law, LAYOUT, "grade ~ treated + age")
    assert planned.sd == pytest.approx(np.sqrt(150.0))
    assert planned.standardised == pytest.approx(2.5 / np.sqrt(150.0))
    assert planned.trial.icc == pytest.approx((20.0 + 25.0 + 5.0) / 150.0)
    assert planned.trial.r2_school == pytest.approx(5.0 / 50.0)
    assert planned.trial.r2_student == pytest.approx(20.0 / 100.0)


@pytest.mark.parametrize(
    ("law", "layout", "formula"),
    [
        ({"treated_variance_ratio": 2.0}, {}, "grade ~ treated"),
        ({"treatment_sd": 0.2}, {}, "grade ~ treated"),
        ({"resources_confounding": 0.3}, {}, "grade ~ treated"),
        ({"size_correlation": 0.3}, {"size_cv": 0.5}, "grade ~ treated"),
        ({"effects": {"age:treated": 0.3}}, {}, "grade ~ treated"),
        ({"class_icc": 0.1}, {"classes": 2, "assignment": "students"}, "grade ~ treated"),
        ({}, {}, "grade ~ treated + treated:age"),
        ({}, {}, "grade ~ age"),
        ({}, {"assignment": "pairs"}, "grade ~ treated"),
        ({"missing": 0.2, "missing_age": 1.0}, {}, "grade ~ treated"),
    ],
)
def test_nothing_is_said_where_nothing_is_known(
    law: Mapping[str, Any], layout: Mapping[str, Any], formula: str
) -> None:
    population, schools = replace(PLAIN, **law), replace(LAYOUT, **layout)
    terms = Cell(population, schools, Model(formula=formula)).found.terms
    assert planned_of(population, schools, terms) is None


@pytest.mark.parametrize(("schools", "size"), [(2, 2), (20, 2), (8, 4), (12, 3), (60, 6)])
def test_blocks_of_neighbours(schools: int, size: int) -> None:
    """The variance within blocks of 40 000 sets of sorted normals: within 6 standard errors, and 1 % beyond pairs."""
    rows = np.sort(np.random.default_rng(1).standard_normal((40_000, schools)), axis=1)
    seen = rows.reshape(len(rows), -1, size).var(axis=2, ddof=1).mean(axis=1)
    off = 0.0 if size == 2 else 0.01 * seen.mean()
    allowed = 6.0 * seen.std() / np.sqrt(len(seen)) + off
    assert block_variance(schools, size) == pytest.approx(seen.mean(), abs=allowed)

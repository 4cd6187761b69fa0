"""Theory from the statistics of strata is that of the students who belong to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.affine import affine_columns, strata_of
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept, known
from nestbench.sim.random_intercept.covariance import covariance_of, covariance_on_strata
from nestbench.sim.random_intercept.smaller import with_fewer_students
from nestbench.sim.streams import StreamSource
from nestbench.sim.theory.ols_tests import averages
from nestbench.sim.theory.rows import on_strata, rows_of_batch, rows_of_strata
from nestbench.sim.theory.standardised import standardised, standardised_on

STUDENTS: dict[str, Any] = {"assignment": "students", "treated_share": 0.4}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "plain": ({}, {"students": 5}, "age + gender + resources"),
    "one and two students": ({"icc": 0.1}, {"schools": 5, "students": (1, 2, 9, 4, 30)}, "age + gender"),
    "slopes": (
        {"slope_sd": 0.5, "slope_correlation": 0.3, "slope_sd_resources": 0.4, "school_sd_resources": 0.3},
        {"students": 7},
        "age * gender + group_mean(age)",
    ),
    "arms": (
        {"treated_variance_ratio": 3.0, "treated_school_variance_ratio": 2.0},
        {"students": 6, "treated_schools": 3},
        "treated + age",
    ),
    "treated students in classes": (
        {"class_icc": 0.1, "treatment_sd": 0.5, "treated_variance_ratio": 2.0},
        {"students": 12, "classes": 2, **STUDENTS},
        "treated * age + teacher",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_statistics_give_what_students_give(name: str) -> None:
    parameters, layout_of, terms = CASES[name]
    law, layout = RandomIntercept(**parameters), Layout(**{"schools": 8, **layout_of})
    batch = law.draw(layout, StreamSource(1, name), range(3))
    strata, model = strata_of(batch), Model(f"grade ~ {terms}")
    assert strata is not None
    design = batch.once(design_of, model)
    columns = affine_columns([(design.terms, design.rhs_products)], strata)
    assert columns is not None
    on = rows_of_strata(strata, batch.replication_offsets)
    x = standardised_on(on, on_strata(columns, strata), design)
    found = covariance_on_strata(law, layout, strata)
    students, rows = rows_of_batch(batch), standardised(design, batch)
    expected = covariance_of(law, layout, batch, slice(0, batch.rows))
    assert found is not None
    assert expected is not None
    np.testing.assert_allclose(on.students, students.students, rtol=1e-12)
    got = averages(on, x, found, design.terms, 0.95, 3)
    wanted = averages(students, rows, expected, design.terms, 0.95, 3)
    assert got.keys() == wanted.keys()
    for key, tests in wanted.items():
        assert got[key].keys() == tests.keys()
        for test, of in tests.items():
            assert got[key][test].keys() == of.keys()
            for term, value in of.items():
                assert got[key][test][term] == pytest.approx(value, rel=1e-6, abs=1e-8), (key, test, term)


def test_large_schools_have_the_theory_that_their_students_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways: within the Monte Carlo errors over draws of X that each states (false alarm 1e-6)."""
    law, layout = RandomIntercept(icc=0.1, slope_sd=0.2), Layout(schools=8, students=30)
    tables = []
    for rows in (10**9, 0):
        for kept in (known._KNOWN, known._AVERAGED):
            kept.clear()  # type: ignore[attr-defined]
        monkeypatch.setattr(known, "ROWS", rows or 7000)
        tables.append(law.theory(layout))
    assert tables[0]["design_effect"] == tables[1]["design_effect"]
    compared = 0
    for key in ("se_ratio", "coverage"):
        for test, of in tables[0][key].items():
            for term in of.keys() & tables[1][key].get(test, {}).keys():
                error = np.hypot(*(t[f"{key}_mcse"][test][term] for t in tables))
                assert abs(of[term] - tables[1][key][test][term]) <= 6.0 * error + 1e-9, (key, test, term)
                compared += 1
    assert compared > 20


def test_theory_and_truth_of_a_million_students() -> None:
    """They draw nobody: as many schools of 20 000 students as ten of 20 have at once."""
    law = RandomIntercept(icc=0.1, residual_shape="t(5)")
    cell = Cell(law, Layout(schools=50, students=20_000), Model("grade ~ age + gender + resources"))
    assert cell.truth["age"] == 2.0
    known_of = cell.theory()
    assert known_of["se_ratio"]["iid-t"]["resources"] < 0.05
    assert "coverage" not in known_of, "residuals aren't normal"


def test_fewer_students_in_the_same_order() -> None:
    """Ratios stay, small schools too; nothing changes where there aren't many."""
    layout = Layout(schools=4, students=(3, 5000, 20, 100_000), classes=2)
    fewer = with_fewer_students(layout, 1000)
    assert fewer.students == (3, 48, 20, 952)
    assert with_fewer_students(Layout(), 1000) is not None
    assert with_fewer_students(Layout(), 1000) == Layout()
    ranged = with_fewer_students(Layout(schools=10, size_range=(4, 50_000)), 1000)
    assert ranged.size_range == (4, 200)
    assert with_fewer_students(Layout(schools=9, students=10**6, classes=50), 1000).students == 111

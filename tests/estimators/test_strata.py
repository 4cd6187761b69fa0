"""Batches given by strata: every method finds what it finds on the students, and most never ask for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nestbench.estimators.estimates import Estimates
from nestbench.estimators.estimator import Estimator
from nestbench.estimators.methods.registry import get
from nestbench.estimators.moments.school_moments import moments_of
from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.batch import Batch
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model
from nestbench.sim.observed.strata import StrataColumns
from nestbench.sim.random_intercept import RandomIntercept
from nestbench.sim.streams import StreamSource
from tests.estimators.declared import READY

OWN_OPTIMISER = ("mixedlm", "mixedlm-guarded")
BATCHED = [e for e in READY if e.batched is not None and e.name not in OWN_OPTIMISER]
MODEL = Model("grade ~ age * treated + gender + group_mean(age)", subgroup="class")
LAW = RandomIntercept(version=2, slope_sd=0.2, class_icc=0.1)
LAYOUT = Layout(schools=14, students=12, size_spread=0.4, classes=2, treated_share=0.4, assignment="students")


def drawn(law: RandomIntercept = LAW, layout: Layout = LAYOUT, replications: int = 6) -> Batch:
    return law.draw(layout, StreamSource(2, "strata"), range(replications))


def students(batch: Batch) -> Batch:
    """The same data sets as columns."""
    return replace(batch, columns=dict(batch.columns), _memo={})


def untouched(batch: Batch) -> bool:
    assert isinstance(batch.columns, StrataColumns)
    return not batch.columns._made


def fields(estimates: Estimates) -> dict[str, Any]:
    return {k: getattr(estimates, k) for k in ("estimate", "std_error", "df", "p_value", "lower", "upper")}


@pytest.mark.parametrize("null", [{}, {"age": 1.9, "treated": 0.2}], ids=["null 0", "other nulls"])
@pytest.mark.parametrize("estimator", BATCHED, ids=[e.label for e in BATCHED])
def test_a_method_finds_what_it_finds_on_the_students(estimator: Estimator, null: dict[str, float]) -> None:
    model = replace(MODEL, null=null)
    batch = drawn()
    found = estimator.fit(batch, model)
    if not (estimator.reads_rows or null):
        assert untouched(batch), "expected no student to be completed, or `reads_rows` to be declared"
    expected = estimator.fit(students(drawn()), model)
    np.testing.assert_array_equal(found.status, expected.status)
    for name, values in fields(found).items():
        np.testing.assert_allclose(values, fields(expected)[name], rtol=1e-8, atol=1e-8, err_msg=name)


def test_a_method_that_reads_rows_changes_no_number_of_others() -> None:
    names = ("ols", "ols-cr2-satt", "reml-satt", "mundlak-kr")
    alone, beside = drawn(), drawn()
    get("ols-hc3").fit(beside, MODEL)
    assert not untouched(beside)
    for name in names:
        before, after = get(name).fit(alone, MODEL), get(name).fit(beside, MODEL)
        for key, values in fields(before).items():
            np.testing.assert_array_equal(values, fields(after)[key])
    assert untouched(alone)


@pytest.mark.parametrize(
    ("formula", "random", "completes"),
    [
        ("grade ~ age + gender + resources + treated", "1", False),
        ("grade ~ 0 + gender + age:resources + treated:gender", "1 + age", False),
        ("grade ~ group_centred(age) * treated + group_mean(age):gender", "1", False),
        ("grade ~ group_mean(treated) + teacher + class", "1 + treated", False),
        ("grade ~ age * C(treated) + C(class):gender", "1", False),
        ("age ~ grade + gender", "1", False),
        ("age ~ gender + group_mean(grade)", "1", False),
        ("grade ~ 1", "1", False),
        ("grade ~ I(age ** 2) + gender", "1", True),
        ("grade ~ np.exp(age / 10)", "1", True),
        ("np.log(grade) ~ age", "1", True),
        ("grade ~ age", "1 + I(age ** 2)", True),
    ],
)
def test_moments_are_those_of_the_students(formula: str, random: str, completes: bool) -> None:
    model, batch = Model(formula, random=random), drawn()
    found = moments_of(batch, model)
    assert untouched(batch) is not completes
    expected = moments_of(students(drawn()), model)
    np.testing.assert_array_equal(found.regular, expected.regular)
    assert found.regular.all()
    assert not found.refined.any()
    for name in ("cross", "pivot", "contrasts", "shift"):
        values, others = getattr(found, name), getattr(expected, name)
        atol = 1e-12 * np.abs(others).max()
        np.testing.assert_allclose(values, others, rtol=1e-11, atol=atol, err_msg=name)
    np.testing.assert_array_equal(found.scale, expected.scale)


EDGES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "fewer students than terms": ({}, {"schools": 2, "students": 2}, "grade ~ age + gender + resources"),
    "a gender that may lack": ({"male_share": 0.03}, {"schools": 5, "students": 3}, "grade ~ age + gender"),
    "one student a school": ({}, {"schools": 30, "students": 1}, "grade ~ age + gender"),
    "nobody treated": ({}, {"schools": 8, "students": 5}, "grade ~ age + treated"),
    "nearly dependent": (
        {"age_icc": 0.999999},
        {"schools": 12, "students": 6},
        "grade ~ age + group_mean(age) + gender",
    ),
    "hardly any residual": (
        {"total_sd": 1e-4},
        {"schools": 8, "students": 9},
        "grade ~ age + gender + resources",
    ),
    "far from 0": ({"age_mean": 1e7}, {"schools": 8, "students": 9}, "grade ~ age + gender"),
}


@pytest.mark.parametrize("case", EDGES)
@pytest.mark.parametrize("method", ["ols", "ols-cr1s-t", "ols-cr2-satt", "dummies", "reml-satt", "mundlak-z"])
def test_hard_data_have_one_answer(case: str, method: str) -> None:
    """Data sets that aren't plain go to the careful engine, whose words are the same; their students are completed."""
    law, layout, formula = EDGES[case]
    batches = [drawn(RandomIntercept(version=2, **law), Layout(**layout), 12) for _ in range(2)]
    found, expected = (get(method).fit(b, Model(formula)) for b in (batches[0], students(batches[1])))
    np.testing.assert_array_equal(found.status, expected.status)
    assert [found.messages[k] for k in found.message] == [expected.messages[k] for k in expected.message]
    for name, values in fields(found).items():
        np.testing.assert_allclose(values, fields(expected)[name], rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("method", ["nested-z", "nested-satt"])
@pytest.mark.parametrize(
    ("law", "layout"),
    [
        ({"class_icc": 0.3}, {"schools": 12, "students": 9, "classes": 3}),
        ({"class_icc": 0.1, "missing": 0.6}, {"schools": 12, "students": 16, "classes": 5}),
        ({"missing_schools": 2}, {"schools": 6, "size_range": (1, 7), "classes": 3}),
        ({}, {"schools": 5, "students": 2, "classes": 2}),
    ],
)
def test_classes_have_their_sums(method: str, law: dict[str, Any], layout: dict[str, Any]) -> None:
    """Also where classes, or whole schools, have nobody who is seen."""
    model = Model("grade ~ age + gender + teacher", subgroup="class")
    batches = [drawn(RandomIntercept(**law), Layout(**layout), 12) for _ in range(2)]
    found, expected = (get(method).fit(b, model) for b in (batches[0], students(batches[1])))
    np.testing.assert_array_equal(found.status, expected.status)
    for name, values in fields(found).items():
        np.testing.assert_allclose(values, fields(expected)[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_only_data_sets_that_need_it_are_completed() -> None:
    batch = drawn(RandomIntercept(version=2, male_share=0.03), Layout(schools=5, students=3), 12)
    moments = moments_of(batch, Model("grade ~ age + gender"))
    assert 0 < moments.regular.sum() < 12
    assert untouched(batch)


def test_digits_lost_in_cross_products_are_got_back_from_the_students() -> None:
    law, layout, formula = EDGES["nearly dependent"]
    batch = drawn(RandomIntercept(version=2, **law), Layout(**layout), 12)
    found = moments_of(batch, Model(formula))
    assert found.refined.any()
    expected = moments_of(students(batch), Model(formula))
    np.testing.assert_array_equal(
        found.cross[found.refined.repeat(12)], expected.cross[found.refined.repeat(12)]
    )


def test_formulas_are_compiled_without_students() -> None:
    batch = drawn()
    assert "group_mean(age)" in batch.once(design_of, MODEL).terms
    assert batch.levels("gender") == ("female", "male")
    assert batch.levels("age") is None
    assert list(batch.columns) == ["grade", "age", "gender", "resources", "treated", "class", "teacher"]
    assert untouched(batch)

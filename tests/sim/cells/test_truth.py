"""True values: against regressions of the mean on huge data, by cases worked out by hand, and by coverage."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nestbench.estimators.methods import registry
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.laws.fixed_design import FixedDesign
from nestbench.sim.observed.batch import Batch, Category
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept
from nestbench.sim.streams import StreamSource

EFFECTS = {"Intercept": 50.0, "age": 2.0, "gender": 1.0, "resources": 0.5, "treated": 0.3}
SOME_TREATED = Layout(10, 20, treated_share=0.5)


def cell(formula: str, random: str = "1", layout: Layout = SOME_TREATED, **parameters: Any) -> Cell:
    law = RandomIntercept(**({"effects": EFFECTS} | parameters))
    return Cell(law, layout, Model(formula, random=random))


def of_terms(made: Cell) -> dict[str, float]:
    batch = made.draw(1, range(1))
    return {term: made.truth[term] for term in design_of(batch, made.model).terms if term in made.truth}


WORKED_OUT: dict[str, tuple[Cell, dict[str, float]]] = {
    "within and between": (
        cell("grade ~ group_centred(age) + group_mean(age)", effects={"age": 2.0, "school_age": 0.5}),
        {"Intercept": 0.0, "group_centred(age)": 2.0, "group_mean(age)": 2.5},
    ),
    "contextual": (
        cell("grade ~ age + group_mean(age)", effects={"age": 2.0, "school_age": 0.5}),
        {"Intercept": 0.0, "age": 2.0, "group_mean(age)": 0.5},
    ),
    "between alone": (
        cell("grade ~ group_mean(age)", effects={"age": 2.0, "school_age": 0.5}, age_icc=0.3),
        {"Intercept": 0.0, "group_mean(age)": 2.5},
    ),
    "within alone": (
        cell("grade ~ group_centred(age)", effects={"age": 2.0, "school_age": 0.5}, age_icc=0.3),
        {"Intercept": 37.5, "group_centred(age)": 2.0},
    ),
    "contextual left out": (
        cell("grade ~ age", effects={"age": 2.0, "school_age": 0.5}, age_icc=0.3),
        {"Intercept": 7.5, "age": 2.0},
    ),
    "centred at the sample mean": (
        cell("grade ~ center(age) + resources"),
        {"center(age)": 2.0, "resources": 0.5},
    ),
    "standardised": (cell("grade ~ scale(age) + treated"), {"treated": 0.3}),
    "polynomial": (cell("grade ~ poly(age, 2) + gender"), {"poly(age, 2)[2]": 0.0, "gender[T.male]": 1.0}),
    "other unit": (
        cell("grade ~ I(age / 10) + I(age ** 2)"),
        {"Intercept": 50.65, "I(age / 10)": 20.0, "I(age ** 2)": 0.0},
    ),
    "age left out": (cell("grade ~ gender"), {"Intercept": 80.15, "gender[T.male]": 1.0}),
    "another shape": (
        cell("grade ~ np.log(age) + gender + resources"),
        {"gender[T.male]": 1.0, "resources": 0.5},
    ),
    "each value its own level": (
        cell("grade ~ C(treated) + age"),
        {"Intercept": 50.5, "C(treated)[T.1.0]": 0.3, "age": 2.0},
    ),
    "no intercept": (
        cell("grade ~ 0 + gender + age"),
        {"gender[female]": 50.15, "gender[male]": 51.15, "age": 2.0},
    ),
    "outcome in another unit": (
        cell("I(grade / 10) ~ age * gender"),
        {"Intercept": 5.015, "age": 0.2, "gender[T.male]": 0.1, "age:gender[T.male]": 0.0},
    ),
    "outcome less a column": (cell("I(grade - age) ~ age"), {"Intercept": 50.65, "age": 1.0}),
    "outcome centred": (cell("center(grade) ~ age"), {"age": 2.0}),
    "outcome transformed": (cell("np.log(grade) ~ age"), {}),
    "another outcome": (cell("age ~ gender"), {}),
    "interaction with size left out": (
        cell(
            "grade ~ treated",
            layout=Layout(10, 20, treated_share=0.5, size_cv=0.5),
            effects={"treated": 0.3, "treated:size": 0.5},
        ),
        {"Intercept": 0.0, "treated": 0.3},
    ),
    "interaction left out": (
        cell("grade ~ treated + age", effects={"treated": 0.3, "age:treated": 0.5}),
        {"Intercept": -3.75, "treated": 7.8, "age": 0.25},
    ),
    "interaction centred within schools": (
        cell("grade ~ treated * group_centred(age)", effects={"treated": 0.3, "age:treated": 0.5}),
        {
            "Intercept": 0.0,
            "treated": 7.8,
            "group_centred(age)": 0.0,
            "treated:group_centred(age)": 0.5,
        },
    ),
    "pairs stand for resources": (
        cell("grade ~ treated + pair", layout=Layout(10, 20, treated_share=0.5, assignment="pairs")),
        {"treated": 0.3},
    ),
    "school means of students who are missing": (
        cell(
            "grade ~ age + group_mean(age)", effects={"age": 2.0, "school_age": 0.5}, missing=0.2, age_icc=0.3
        ),
        {"age": 2.0},
    ),
    "few schools": (
        cell("grade ~ age + treated + resources", layout=Layout(3, 5, treated_schools=1)),
        {"Intercept": 50.5, "age": 2.0, "treated": 0.3, "resources": 0.5},
    ),
    "confounded": (
        cell("grade ~ age + gender + treated", resources_confounding=0.5, age_icc=0.2, age_confounding=0.5),
        {"Intercept": 50.0, "age": 2.0, "gender[T.male]": 1.0, "treated": 0.3},
    ),
}


@pytest.mark.parametrize("name", WORKED_OUT)
def test_worked_out(name: str) -> None:
    """Every term of the model has the value that algebra gives, or none and a reason."""
    made, expected = WORKED_OUT[name]
    assert of_terms(made) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    terms = design_of(made.draw(1, range(1)), made.model).terms
    assert set(terms) - set(made.truth_reasons) == set(expected)
    assert not set(made.truth_reasons) & set(made.truth)


# What the law gives to each of its columns, written out once more, for the regressions below.
COLUMNS = {
    "Intercept": lambda b: np.ones(b.rows),
    "age": lambda b: number(b, "age"),
    "gender": lambda b: number(b, "gender"),
    "resources": lambda b: number(b, "resources"),
    "treated": lambda b: number(b, "treated"),
    "school_age": lambda b: mean_of_school(b, "age"),
    "age:treated": lambda b: number(b, "age") * number(b, "treated"),
    "gender:treated": lambda b: number(b, "gender") * number(b, "treated"),
    "age:resources": lambda b: number(b, "age") * number(b, "resources"),
}


def number(batch: Batch, name: str) -> np.ndarray:
    column = batch.columns[name]
    return np.asarray(column.codes if isinstance(column, Category) else column, dtype=float)


def mean_of_school(batch: Batch, name: str) -> np.ndarray:
    sizes = np.diff(batch.school_offsets)
    return np.repeat(np.add.reduceat(number(batch, name), batch.school_offsets[:-1]) / sizes, sizes)


FORMULAS = (
    "age + gender + resources + treated",
    "age * treated + gender",
    "gender * treated",
    "group_centred(age) + group_mean(age) + treated",
    "group_centred(age) * treated + group_mean(age) * treated",
    "age + group_mean(age) + gender",
    "group_mean(age) + resources",
    "I(age - 10) * treated + gender + resources",
    "0 + gender + age",
    "resources + treated",
    "age * resources",
    "I(age * 2) + I(resources / 3 + 1)",
    "treated",
)
VALUE = st.sampled_from([0.0, 0.5, -1.25, 2.0])
LAWS = st.fixed_dictionaries(dict.fromkeys(COLUMNS, VALUE))


@given(effects=LAWS, formula=st.sampled_from(FORMULAS), age_icc=st.sampled_from([0.0, 0.4]))
@settings(max_examples=30, deadline=None)
def test_as_a_regression_of_the_mean_on_huge_data(
    effects: dict[str, float], formula: str, age_icc: float
) -> None:
    """The mean, without errors, regressed on the formula's columns in 400 schools by least squares.

    Equal to the last digits where the mean lies in their span, else within 7 cluster-robust standard errors (chance
    of a false alarm 3e-12 a coefficient). Laws whose left-out contextual effect would bias least squares are skipped.
    """
    layout = Layout(400, 10, treated_share=0.5, assignment="random")
    law = RandomIntercept(effects=effects, age_icc=age_icc, age_mean=12.0, male_share=0.3)
    small = Cell(law, Layout(8, 5, treated_share=0.5, assignment="random"), Model(f"grade ~ {formula}"))
    batch = law.draw(layout, StreamSource(77, "huge"), range(1))
    mean = sum(effects[name] * column(batch) for name, column in COLUMNS.items())
    design = design_of(batch, small.model)
    x = design.fixed(batch).T
    beta = np.linalg.lstsq(x, mean, rcond=None)[0]
    left = mean - x @ beta
    both_slopes = "age" in design.terms or any("I(age" in t or t.startswith("age:") for t in design.terms)
    if effects["school_age"] and both_slopes and "group_mean(age)" not in design.terms:
        return
    scores = np.add.reduceat(x * left[:, None], batch.school_offsets[:-1])
    bread = np.linalg.inv(x.T @ x)
    errors = np.sqrt(np.diag(bread @ scores.T @ scores @ bread))
    for k, term in enumerate(design.terms):
        assert abs(small.truth[term] - beta[k]) <= 7 * errors[k] + 1e-7, (term, small.truth[term], beta[k])


@pytest.mark.parametrize(
    ("random", "expected"),
    [
        ("1", {"(school_sd)": 0.2**0.5, "(icc)": 0.2}),
        ("1 + age", {"(school_sd)": (0.2 + 0.09 * 225) ** 0.5, "(slope_sd[age])": 0.3}),
        ("1 + I(age - 15)", {"(school_sd)": 0.2**0.5, "(slope_sd[I(age - 15)])": 0.3, "(icc)": 0.2}),
        ("1 + I(age / 10)", {"(school_sd)": (0.2 + 0.09 * 225) ** 0.5, "(slope_sd[I(age / 10)])": 3.0}),
        ("1 + group_centred(age)", {"(school_sd)": 0.2**0.5, "(slope_sd[group_centred(age)])": 0.3}),
        ("0 + age", {"(slope_sd[age])": 0.3}),
        ("1 + center(age)", {"(slope_sd[center(age)])": 0.3}),
        ("1 + np.log(age)", {}),
    ],
)
def test_components_are_those_of_the_fitted_random_part(random: str, expected: dict[str, float]) -> None:
    """At age 0 the schools' variance is icc + slope_sd^2 age_mean^2; centred columns keep the law's."""
    made = cell("grade ~ age", random, slope_sd=0.3)
    found = {t: v for t, v in made.truth.items() if t.startswith("(")}
    assert {t: found[t] for t in expected} == pytest.approx(expected)
    assert found["(residual_sd)"] == pytest.approx(0.8**0.5)
    absent = {"(school_sd)", "(icc)"} - set(found)
    assert all(t in made.truth_reasons or random == "0 + age" for t in absent)


def test_components_of_a_correlated_slope_by_simulation() -> None:
    """Var(u + s (x - 15)) over 100 000 schools at x = 0, with correlation -.6 (six standard errors: 1e-8)."""
    made = cell("grade ~ age", "1 + age", slope_sd=0.3, slope_correlation=-0.6)
    rng = np.random.default_rng(5)
    covariance = [[0.2, -0.6 * 0.3 * 0.2**0.5], [-0.6 * 0.3 * 0.2**0.5, 0.09]]
    u = rng.multivariate_normal([0, 0], covariance, 100_000) @ [1.0, -15.0]
    assert made.truth["(school_sd)"] == pytest.approx(u.std(), rel=6 / (2 * 100_000) ** 0.5)


def test_components_follow_the_outcome() -> None:
    made = cell("I(grade / 10) ~ age", "1 + age", slope_sd=0.3, age_mean=0.0)
    assert made.truth["(school_sd)"] == pytest.approx(0.2**0.5 / 10)
    assert made.truth["(residual_sd)"] == pytest.approx(0.8**0.5 / 10)
    assert made.truth["(icc)"] == pytest.approx(0.2)


@pytest.mark.parametrize(
    "formula",
    [
        "grade ~ group_centred(age) + group_mean(age) + gender + treated",
        pytest.param("grade ~ I(age / 10) * treated + gender + group_mean(age)", marks=pytest.mark.slow),
        "grade ~ gender + age * treated + group_mean(age)",
    ],
)
def test_exact_intervals_cover_the_truth(formula: str) -> None:
    """OLS is exact without clustering: coverage of 95 % within binomial bounds at a false-alarm rate of 1e-6 a test."""
    effects = {
        "Intercept": 5.0,
        "age": 2.0,
        "gender": 1.0,
        "treated": 0.3,
        "school_age": 0.5,
        "age:treated": 0.4,
    }
    made = cell(formula, icc=0.0, effects=effects, age_icc=0.3, layout=Layout(12, 6, treated_share=0.5))
    n = 3000
    found = registry.get("ols").batched(made.draw(3, range(n)), made.model, {})  # type: ignore[misc]
    known = [k for k, term in enumerate(found.terms) if term in made.truth]
    assert len(known) >= len(found.terms) - 1
    alarm = 1e-6 / len(found.terms)
    low, high = stats.binom.ppf([alarm / 2, 1 - alarm / 2], n, 0.95)
    for k in known:
        true = made.truth[found.terms[k]]
        covered = ((found.lower[:, k] <= true) & (true <= found.upper[:, k])).sum()
        assert low <= covered <= high, (found.terms[k], covered / n)


def test_fixed_designs(tmp_path: Any) -> None:
    """Columns stay as they are, so that even a sample mean is the same in every data set."""
    rng = np.random.default_rng(4)
    file = tmp_path / "design.csv"
    table = pd.DataFrame(
        {"school": np.repeat(list("abcdef"), 8), "x": rng.normal(2, 1, 48), "t": np.tile([0.0, 1.0], 24)}
    )
    table.to_csv(file, index=False)
    law = FixedDesign(
        data=str(file), formula="x + t + x:t", effects={"Intercept": 1.0, "x": 2.0, "t": 0.5, "x:t": 1.0}
    )
    whole = Cell(law, Layout(), Model("grade ~ x * t"))
    assert of_terms(whole) == {"Intercept": 1.0, "x": 2.0, "t": 0.5, "x:t": 1.0}
    mean = table["x"].mean()
    centred = of_terms(Cell(law, Layout(), Model("grade ~ center(x) * t")))
    assert centred == pytest.approx(
        {"Intercept": 1 + 2 * mean, "center(x)": 2.0, "t": 0.5 + mean, "center(x):t": 1.0}
    )
    left_out = of_terms(Cell(law, Layout(), Model("grade ~ t")))
    assert left_out == pytest.approx({"Intercept": 1 + 2 * mean, "t": 0.5 + mean})


def test_stated_values_come_first_and_enter_the_key_only_if_given() -> None:
    plain = cell("grade ~ center(age) + resources")
    told = replace(plain, stated={"Intercept": 80.0, "(icc)": 0.25})
    assert told.truth["Intercept"] == 80.0
    assert told.truth["(icc)"] == 0.25
    assert told.truth["center(age)"] == 2.0
    assert "Intercept" in plain.truth_reasons
    assert "Intercept" not in told.truth_reasons
    assert told.key != plain.key
    assert told.law_key == plain.law_key
    assert replace(plain, stated={}).key == plain.key


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"resorces": 1.0}, "Did you mean 'resources'"),
        ({"age": float("nan")}, r"truth\.age to be a finite number"),
    ],
)
def test_stated_values_that_fit_nothing_are_refused(stated: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        replace(cell("grade ~ age + resources"), stated=stated)


@pytest.mark.parametrize(
    "formula", ["grade ~ {age / 0}", "grade ~ np.log(age - 100)", "grade ~ age + {1 / (age - age)}"]
)
def test_terms_that_are_nowhere_finite_have_no_truth_and_no_theory(formula: str) -> None:
    """In silence: each of their fits is a row that says why."""
    cell = Cell(RandomIntercept(), Layout(schools=6, students=4), Model(formula))
    assert set(cell.truth_reasons) - {"Intercept", "age"}
    assert not cell.theory().get("coverage", {}).get("iid-t", {})

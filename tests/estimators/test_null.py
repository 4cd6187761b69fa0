"""Tests of values other than 0: the p-value of b = b0 on y is that of 0 on y - X b0, for every method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from nestbench.estimators.equivalence.agreement import compare
from nestbench.estimators.estimates import STORED_COLUMNS, Estimates, FitStatus
from nestbench.estimators.estimator import Agreement, Estimator
from nestbench.estimators.methods.registry import get
from nestbench.estimators.null import null_words
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Batch, Floats
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept
from tests.estimators.declared import OWN
from tests.estimators.test_contract import MODEL, every_engine, fitted, friendly

NULL = {"treated": 0.3, "age": 1.9, "gender[T.male]": -0.2}
IN_QUANTILES = ("pairs-bootstrap",)
"""Methods whose interval isn't the set of values that their test doesn't reject."""


def loose(estimator: Estimator) -> float:
    """Rounding, or where an optimiser of its own stops."""
    exact = estimator.agreement in (Agreement.DIRECT, Agreement.RANDOM, None)
    return 1e-8 if exact else 1e-4


def column(batch: Batch, term: str) -> Floats:
    """A term's column by hand, not by the formula."""
    if term == "gender[T.male]":
        gender = batch.columns["gender"]
        return np.array([gender.levels[code] == "male" for code in gender.codes], dtype=float)  # type: ignore[union-attr]
    return np.asarray(batch.columns[term], dtype=float)


def less(batch: Batch, null: Mapping[str, float]) -> Batch:
    """The data with the outcome shifted by hand."""
    grade = np.asarray(batch.columns["grade"]) - sum(b0 * column(batch, term) for term, b0 in null.items())
    return replace(batch, columns={**batch.columns, "grade": grade}, _memo={})


def assert_close(got: Floats, expected: Floats, tolerance: float) -> None:
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


@every_engine
def test_is_the_test_of_0_on_the_shifted_outcome(estimator: Estimator, engine: str) -> None:
    batch, plain = friendly(), fitted(estimator, engine)
    got = estimator.fit(batch, replace(MODEL, null=NULL), engine)
    answered = np.isfinite(plain.estimate).any(axis=0)
    own = {term: b0 for term, b0 in NULL.items() if answered[plain.terms.index(term)]}
    by_hand = estimator.fit(less(batch, own), MODEL, engine)
    assert own, estimator.label
    assert_close(got.p_value, by_hand.p_value, loose(estimator))
    others = [k for k, term in enumerate(plain.terms) if term not in NULL]
    assert_close(got.p_value[:, others], plain.p_value[:, others], loose(estimator))
    named = [plain.terms.index(term) for term in own]
    moved = np.isfinite(plain.p_value[:, named])
    assert (np.abs(got.p_value - plain.p_value)[:, named][moved] > 1e-3).any(), (
        "the null value does something"
    )


@every_engine
def test_moves_nothing_but_p_values(estimator: Estimator, engine: str) -> None:
    plain = fitted(estimator, engine)
    got = estimator.fit(friendly(), replace(MODEL, null=NULL), engine)
    assert (got.terms, got.messages) == (plain.terms, plain.messages)
    np.testing.assert_array_equal(got.status, plain.status)
    for name in STORED_COLUMNS:
        if name != "p_value":
            assert_close(getattr(got, name), getattr(plain, name), loose(estimator))
    for name, values in plain.quantities.items():
        if name not in ("(score)", "(iterations)"):
            assert_close(got.quantities[name], values, loose(estimator))


@cache
def bounds(label: str) -> Estimates:
    estimator = next(e for e in OWN if e.label == label)
    return estimator.fit(friendly().take([0, 1]), MODEL)


@pytest.mark.parametrize(
    "estimator", [pytest.param(e, id=e.label) for e in OWN if e.name not in IN_QUANTILES]
)
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(side=st.sampled_from(["lower", "upper"]), beyond=st.floats(0.01, 1.5), sign=st.sampled_from([-1, 1]))
def test_an_interval_holds_the_values_not_rejected(
    estimator: Estimator, side: str, beyond: float, sign: int
) -> None:
    found = bounds(estimator.label)
    for term in ("treated", "age"):
        k = found.terms.index(term)
        limit, centre = float(getattr(found, side)[0, k]), float(found.estimate[0, k])
        if found.status[0] > FitStatus.BOUNDARY or not np.isfinite(limit):
            continue
        inside = sign < 0
        distance = (1.0 - beyond / 1.6) if inside else (1.0 + beyond)
        tested = replace(MODEL, null={term: centre + distance * (limit - centre)})
        p = float(estimator.fit(friendly().take([0]), tested).p_value[0, k])
        assert (p <= MODEL.alpha) == (not inside), (term, p)


@pytest.mark.parametrize("name", ["ols", "ols-cr1s-t", "ols-cr2-satt", "reml-satt", "gee-md-z", "dummies"])
@settings(max_examples=10, deadline=None)
@given(null=st.floats(-1e3, 1e3))
def test_wald_tests_are_of_the_distance_in_standard_errors(name: str, null: float) -> None:
    got = get(name).fit(friendly(), replace(MODEL, null={"age": null}))
    k = got.terms.index("age")
    statistic = (got.estimate[:, k] - null) / got.std_error[:, k]
    expected = 2 * stats.t.sf(np.abs(statistic), got.df[:, k])
    np.testing.assert_allclose(got.p_value[:, k], expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", ["ols", "ols-wild", "permutation", "pyfixest-crv1", "linearmodels-re"])
@pytest.mark.filterwarnings("ignore")
def test_users_data_and_other_packages(name: str) -> None:
    if "-" in name and name.split("-")[0] in ("pyfixest", "linearmodels"):
        pytest.importorskip(name.split("-")[0])
    batch, null = friendly().take([2]), {"treated": 0.3}
    got = get(name).fit(batch, replace(MODEL, null=null))
    by_hand = get(name).fit(less(batch, null), MODEL)
    np.testing.assert_allclose(got.p_value, by_hand.p_value, rtol=1e-9)
    np.testing.assert_allclose(got.estimate, get(name).fit(batch, MODEL).estimate, rtol=1e-9)


def test_size_under_a_null_that_is_true() -> None:
    """OLS on independent normal errors is exact: p-values of the true effect are uniform; false alarms 1e-6."""
    law = RandomIntercept(icc=0.0, effects={"age": 2.0, "treated": 0.5})
    layout = Layout(schools=8, students=6, treated_schools=4)
    model = Model(formula="grade ~ age + treated", null={"treated": 0.5, "age": 2.0})
    batch = Cell(law, layout, model).draw(11, range(3000))
    got, of_zero = (get("ols").fit(batch, m) for m in (model, replace(model, null={})))
    for k in map(got.terms.index, ("age", "treated")):
        assert stats.kstest(got.p_value[:, k], "uniform").pvalue > 1e-6
        assert stats.kstest(of_zero.p_value[:, k], "uniform").pvalue < 1e-6


def logged(batch: Batch) -> Floats:
    return np.log(np.asarray(batch.columns["grade"]))


@pytest.mark.parametrize("engine", ["reference", "batched"])
def test_a_transformed_outcome_is_shifted_as_evaluated(engine: str) -> None:
    batch = friendly()
    model = Model(formula="np.log(grade) ~ age + treated", null={"age": 0.02})
    by_hand = logged(batch) - 0.02 * column(batch, "age")
    wide = replace(batch, columns={**batch.columns, "out": by_hand}, _memo={})
    got = get("ols-cr1s-t").fit(batch, model, engine)
    expected = get("ols-cr1s-t").fit(wide, Model(formula="out ~ age + treated"), engine)
    np.testing.assert_allclose(got.p_value, expected.p_value, rtol=1e-7)
    np.testing.assert_allclose(
        got.estimate, get("ols").fit(batch, replace(model, null={})).estimate, rtol=1e-9
    )


def test_columns_named_like_the_outcome_stay_as_they_are() -> None:
    batch = friendly()
    batch = replace(batch, columns={**batch.columns, "grade.before": column(batch, "age") * 3.0}, _memo={})
    model = Model(formula="grade ~ age + `grade.before`:gender", null={"age": 1.9})
    got = get("ols").fit(batch, model)
    expected = get("ols").fit(batch, replace(model, null={}))
    np.testing.assert_allclose(got.estimate, expected.estimate, rtol=1e-8)


def test_every_other_column_as_covariates() -> None:
    batch = friendly()
    plain = Model(formula="grade ~ .")
    got = get("ols").fit(batch, replace(plain, null={"age": 1.9}))
    np.testing.assert_allclose(got.estimate, get("ols").fit(batch, plain).estimate, rtol=1e-8)
    with pytest.raises(InvalidInput, match=r"name the columns instead of '\.'"):
        get("ols").fit(batch, Model(formula="grade ~ . + group_mean(grade)", null={"age": 0.1}))


def test_a_term_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInput, match="Did you mean 'treated'"):
        get("ols").fit(friendly(), replace(MODEL, null={"treatd": 0.3}))


@pytest.mark.parametrize("null", [{"age": float("nan")}, {"age": "2"}, {"age": True}, [("age", 1.0)]])
def test_a_value_that_is_none_is_refused(null: object) -> None:
    with pytest.raises(InvalidInput, match="null"):
        Model(null=null)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["ols-cr1s-t", "reml-satt", "ols-wild"])
def test_0_written_out_changes_no_byte(name: str) -> None:
    plain, zero = (get(name).fit(friendly(), model) for model in (MODEL, replace(MODEL, null={"age": 0.0})))
    for column_name in STORED_COLUMNS:
        assert getattr(plain, column_name).tobytes() == getattr(zero, column_name).tobytes()


@pytest.mark.parametrize("name", ["ols-cr2-satt", "reml-z", "ols-wild", "means"])
def test_engines_agree_on_tests_of_other_values(name: str) -> None:
    found = compare(get(name), friendly(), replace(MODEL, null=NULL))
    assert (found["fits"], found["disagreements"], found["below_grid"]) == (friendly().size, 0, 0)


def test_words() -> None:
    assert null_words([MODEL, replace(MODEL, null={"age": 0.0})]) == "0"
    assert null_words([MODEL, replace(MODEL, null={"age": 2})]) == "0 (age: 0 or 2)"

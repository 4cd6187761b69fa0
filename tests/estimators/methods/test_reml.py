"""The random-intercept methods: stored reference values, dense definitions, limits, exact sizes, hard data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nestbench.estimators.engines.mixed_fit import fit_given, fit_of, model_based_errors
from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.estimators.methods.registry import get
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Batch, batch_of_frame
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept
from tests.golden import reference
from tests.golden.reference import Golden, golden, models_with
from tests.oracles import mixed_dense

INTERCEPTS = models_with("lmm", "ri")
MODEL = Model("grade ~ age + gender + resources")


def close(got: Estimates, field: str, expected: dict[str, float], rtol: float) -> None:
    values = dict(zip(got.terms, getattr(got, field)[0], strict=True))
    assert values == pytest.approx({term: expected[term] for term in values}, rel=rtol)


@pytest.mark.parametrize("case", INTERCEPTS, ids=str)
@pytest.mark.parametrize(("name", "criterion"), [("reml-z", "REML"), ("ml-z", "ML")])
def test_estimates_are_the_reference_values(case: Golden, name: str, criterion: str) -> None:
    got = get(name).fit(case.batch(), case.spec(), "batched")
    (variance,) = case.at("lmm", "ri", criterion, "covariance_components").values()
    close(got, "estimate", case.values("lmm", "ri", criterion, "fixef"), 1e-10)
    close(got, "std_error", case.values("lmm", "ri", criterion, "se"), 1e-10)
    assert got.quantities["(school_sd)"][0] ** 2 == pytest.approx(variance, rel=1e-10)
    assert got.quantities["(residual_sd)"][0] == pytest.approx(
        case.at("lmm", "ri", criterion, "sigma"), rel=1e-10
    )
    assert got.quantities["(loglik)"][0] == pytest.approx(
        case.at("lmm", "ri", criterion, "loglik"), rel=1e-12
    )
    on_boundary = bool(case.at("lmm", "ri", criterion, "boundary"))
    assert got.status[0] == (FitStatus.BOUNDARY if on_boundary else FitStatus.OK)


@pytest.mark.parametrize("case", INTERCEPTS, ids=str)
def test_degrees_of_freedom_are_the_reference_values(case: Golden) -> None:
    satterthwaite = get("reml-satt").fit(case.batch(), case.spec(), "batched")
    close(satterthwaite, "df", case.values("lmm", "ri", "REML", "satterthwaite", "df"), 1e-9)
    adjusted = get("reml-kr").fit(case.batch(), case.spec(), "batched")
    close(adjusted, "df", case.values("lmm", "ri", "REML", "kenward_roger", "df"), 1e-9)
    close(adjusted, "std_error", case.values("lmm", "ri", "REML", "kenward_roger", "se_adj"), 1e-9)


def small_batch(
    icc: float = 0.3, replications: int = 6, sizes: tuple[int, ...] = (1, 3, 6, 2, 9, 4)
) -> Batch:
    cell = Cell(RandomIntercept(icc=icc), Layout(len(sizes), sizes), MODEL)
    return cell.draw(3, range(replications))


def matrices(batch: Batch, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """y, X in the order of the terms, and the n x n indicator of a common school."""
    data = batch.replication(index).frame()
    ones = np.ones(len(data))
    x = np.column_stack([ones, (data["gender"] == "male").to_numpy(float), data["age"], data["resources"]])
    same = (data["school"].to_numpy()[:, None] == data["school"].to_numpy()[None, :]).astype(float)
    return data["grade"].to_numpy(), x, same


ORDER = ["Intercept", "gender[T.male]", "age", "resources"]


def by_order(got: Estimates, field: str, index: int) -> np.ndarray:
    return getattr(got, field)[index][[got.terms.index(term) for term in ORDER]]


@pytest.mark.parametrize("index", range(4))
def test_inference_is_that_of_the_dense_definitions(index: int) -> None:
    batch = small_batch()
    satterthwaite, adjusted = (get(n).fit(batch, MODEL, "batched") for n in ("reml-satt", "reml-kr"))
    y, x, same = matrices(batch, index)
    tau, sigma = (satterthwaite.quantities[n][index] for n in ("(school_sd)", "(residual_sd)"))
    if tau == 0.0:
        pytest.skip("on the boundary theta, not tau, is the parameter")

    def cov(parameters: np.ndarray) -> np.ndarray:
        theta, scale = parameters
        return scale**2 * (np.eye(len(y)) + theta**2 * same)

    at = np.array([tau / sigma, sigma])
    loglik = -0.5 * mixed_dense.deviance(y, x, cov(at), True)
    assert satterthwaite.quantities["(loglik)"][index] == pytest.approx(loglik, rel=1e-11)
    df = mixed_dense.satterthwaite(y, x, cov, at, True)
    np.testing.assert_allclose(by_order(satterthwaite, "df", index), df, rtol=1e-4)
    std_error, df = mixed_dense.kenward_roger(x, cov(at), [same, np.eye(len(y))])
    np.testing.assert_allclose(by_order(adjusted, "std_error", index), std_error, rtol=1e-9)
    np.testing.assert_allclose(by_order(adjusted, "df", index), df, rtol=1e-7)


@pytest.mark.parametrize("restricted", [True, False])
def test_no_theta_has_a_higher_likelihood(restricted: bool) -> None:
    batch = small_batch(0.1, 200)
    best = batch.once(fit_of, MODEL, restricted).quantities["(loglik)"]
    for theta in [0.0, *np.geomspace(1e-3, 1e3, 61)]:
        other = fit_given(batch, MODEL, restricted, np.full(batch.size, theta)).quantities["(loglik)"]
        assert (other <= best + 1e-9).all(), theta


def test_score_is_the_slope_of_the_loglikelihood_and_zero_at_the_optimum() -> None:
    batch = small_batch(0.3, 20)
    fit = batch.once(fit_of, MODEL, True)
    theta, step = 0.7, 1e-6

    def loglik(variance_ratio: float) -> np.ndarray:
        return fit_given(batch, MODEL, True, np.full(20, np.sqrt(variance_ratio))).quantities["(loglik)"]

    slope = (loglik(theta**2 + step) - loglik(theta**2 - step)) / (2 * step)
    np.testing.assert_allclose(
        fit_given(batch, MODEL, True, np.full(20, theta)).quantities["(score)"], slope, rtol=1e-6, atol=1e-7
    )
    inside = fit.fits.theta[:, 0] > 0
    assert inside.any()
    assert not inside.all()
    assert np.abs(fit.quantities["(score)"][inside]).max() < 1e-9
    assert (fit.quantities["(score)"][~inside] <= 0).all()


def test_theta_zero_is_ols() -> None:
    batch = small_batch()
    gls, ols = get({"name": "gls", "theta": 0.0}), get("ols")
    got, expected = gls.fit(batch, MODEL, "batched"), ols.fit(batch, MODEL, "reference")
    np.testing.assert_allclose(got.estimate, expected.estimate, rtol=1e-9)
    np.testing.assert_allclose(got.std_error, expected.std_error, rtol=1e-9)


def test_on_the_boundary_cr2_is_that_of_ols() -> None:
    case = golden("boundary12", "m1")
    got = get("reml-cr2").fit(case.batch(), case.spec(), "batched")
    assert got.status[0] == FitStatus.BOUNDARY
    close(got, "std_error", case.values("exact", "cr", "CR2", "se"), 1e-9)
    close(got, "df", case.values("exact", "cr", "CR2", "satterthwaite", "df"), 1e-9)


def test_gls_needs_the_truth() -> None:
    with pytest.raises(InvalidInput, match="theta"):
        get("gls").fit(small_batch(), MODEL)
    with pytest.raises(InvalidInput, match="random"):
        get({"name": "gls", "theta": 1.0}).fit(small_batch(), replace(MODEL, random="1 + age"))


def trial(
    schools: int, students: int, icc: float, replications: int, seed: int = 1, version: int = 2
) -> tuple[Batch, Model]:
    model = Model("grade ~ treated")
    law = RandomIntercept(icc=icc, effects={"Intercept": 50.0}, version=version)
    cell = Cell(law, Layout(schools, students, schools // 2), model)
    return cell.draw(seed, range(replications)), model


def test_balanced_reml_is_analysis_of_variance() -> None:
    batch, model = trial(8, 5, 0.2, 50)
    got = {
        name: get(name).fit(batch, model, "batched") for name in ("reml-z", "reml-satt", "reml-kr", "reml-bw")
    }
    grade = batch.columns["grade"].reshape(50, 8, 5)
    means = grade.mean(axis=2)
    arms = np.stack([means[:, :4], means[:, 4:]], axis=1)
    between = 5 * ((arms - arms.mean(axis=2, keepdims=True)) ** 2).sum(axis=(1, 2)) / 6
    within = ((grade - means[:, :, None]) ** 2).sum(axis=(1, 2)) / 32
    interior = between > within
    assert 5 < interior.sum() < 50
    tau2 = np.where(interior, (between - within) / 5, 0.0)
    np.testing.assert_allclose(got["reml-z"].quantities["(school_sd)"] ** 2, tau2, rtol=1e-8, atol=1e-12)
    effect = arms[:, 0].mean(axis=1) - arms[:, 1].mean(axis=1)
    np.testing.assert_allclose(got["reml-z"].estimate[:, 1], effect, rtol=1e-9, atol=1e-12)
    std_error = np.sqrt(between / 5 * 0.5)
    np.testing.assert_allclose(got["reml-z"].std_error[interior, 1], std_error[interior], rtol=1e-9)
    for name in ("reml-satt", "reml-kr"):
        np.testing.assert_allclose(got[name].df[interior, 1], 6.0, rtol=1e-8)
    np.testing.assert_allclose(got["reml-satt"].df[~interior, 1], 38.0)
    np.testing.assert_allclose(got["reml-kr"].df[~interior, 1], 6.0, rtol=1e-8)
    np.testing.assert_array_equal(got["reml-bw"].df[:, 1], 6.0)


def test_between_within_counts_by_level() -> None:
    got = get("reml-bw").fit(small_batch(), MODEL, "batched")
    df = dict(zip(got.terms, got.df[0], strict=True))
    assert df == {"Intercept": 4.0, "resources": 4.0, "age": 25 - 6 - 2, "gender[T.male]": 25 - 6 - 2}


EXACT = pd.read_csv(f"{reference.HERE}/reml_balanced_exact.csv")
"""Exact sizes at alpha .05 of the tests of a school-level treatment, equal arms and schools, boundary included: two
dimensional quadrature over the mean squares between and within schools (no simulation), to four digits."""
COLUMNS = {"reml-z": "reml_wald_z", "reml-satt": "lmerTest_satterthwaite", "reml-kr": "kenward_roger"}
FAR = 4.9
"""A standard normal is further out than this once in a million."""


def assert_exact_sizes(row: pd.Series, replications: int, version: int) -> None:
    """Of data sets drawn by statistics (version 2) or student by student."""
    batch, model = trial(int(row.G), int(row.m), row.ICC, replications, seed=20260101, version=version)
    fits = {name: get(name).fit(batch, model, "batched") for name in COLUMNS}
    shares = {COLUMNS[name]: (fit.p_value[:, 1] <= 0.05).mean() for name, fit in fits.items()}
    shares["p_singular"] = (fits["reml-z"].status == FitStatus.BOUNDARY).mean()
    ratio = stats.f(row.G - 2, row.G * (row.m - 1))
    # The variance is estimated as 0 where MSB <= MSW. (The stored column has it to 3e-4 only, of 40 schools of 30.)
    known = {**row, "p_singular": ratio.cdf(1 / (1 + row.m * row.ICC / (1 - row.ICC)))}
    for column, share in shares.items():
        exact = known[column]
        error = np.sqrt(max(exact * (1 - exact), 1e-4) / replications)
        assert abs(share - exact) <= FAR * error + 6e-5, (column, share, exact)


@pytest.mark.parametrize(("index", "version"), [(17, 2), (31, 1)])
def test_sizes_are_the_exact_ones(index: int, version: int) -> None:
    assert_exact_sizes(EXACT.iloc[index], 4000, version)


@pytest.mark.slow
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("index", range(len(EXACT)))
def test_all_sizes_are_the_exact_ones(index: int, version: int) -> None:
    assert_exact_sizes(EXACT.iloc[index], 20000, version)


def frame(grade: list[float], school: list[str], **columns: list[float]) -> Batch:
    return batch_of_frame(pd.DataFrame({"grade": grade, **columns, "school": school}), "school")


NOISE = [0.3, -1.2, 0.7, 2.1, -0.4, 0.9, -1.7, 0.2]
HARD = {
    "one school": (frame(NOISE, ["a"] * 8), "grade ~ 1", "between schools"),
    "one student per school": (frame(NOISE, list("abcdefgh")), "grade ~ 1", "one student per school"),
    "constant outcome": (frame([3.0] * 8, list("aabbccdd")), "grade ~ 1", ""),
    "two schools, one treated": (
        frame(NOISE, ["a"] * 4 + ["b"] * 4, t=[0.0] * 4 + [1.0] * 4),
        "grade ~ t",
        "between schools",
    ),
    "students of a school are alike": (
        frame([1.0, 1, 2, 2, 5, 5, 3, 3], list("aabbccdd")),
        "grade ~ 1",
        "within",
    ),
    "more columns than students": (
        frame(NOISE[:3], list("aab"), t=[1.0, 2, 5], u=[2.0, 0, 1]),
        "grade ~ t + u",
        "degrees of freedom",
    ),
}


@pytest.mark.parametrize("engine", ["batched", "reference"])
@pytest.mark.parametrize("name", ["reml-z", "ml-z", "reml-bw", "reml-satt", "reml-kr", "reml-cr2"])
@pytest.mark.parametrize("case", HARD)
def test_what_is_not_identified_fails_with_a_reason(case: str, name: str, engine: str) -> None:
    batch, formula, reason = HARD[case]
    got = get(name).fit(batch, Model(formula), engine)
    assert got.status[0] == FitStatus.FAILED
    assert reason in got.texts()[0]
    assert np.isnan(got.std_error).all()


def test_collinear_columns_leave_the_estimable_terms() -> None:
    batch = small_batch()
    months = 12 * batch.columns["age"] + 3
    wide = replace(batch, columns={**batch.columns, "months": months}, _memo={})
    for name in ("reml-z", "reml-satt", "reml-kr", "reml-cr2"):
        got = get(name).fit(wide, replace(MODEL, formula=MODEL.formula + " + months"), "batched")
        plain = get(name).fit(batch, MODEL, "batched")
        assert (got.status == FitStatus.SINGULAR).all()
        for term in ("gender[T.male]", "resources"):
            i, j = got.terms.index(term), plain.terms.index(term)
            np.testing.assert_allclose(got.std_error[:, i], plain.std_error[:, j], rtol=1e-5)
        assert np.isnan(got.estimate[:, got.terms.index("age")]).all()


@settings(max_examples=25, deadline=None)
@given(
    unit=st.sampled_from([1e-8, 1e-3, 1.0, 1e4, 1e8]),
    shift=st.floats(-1e3, 1e3),
    age_unit=st.sampled_from([1e-8, 1.0, 1e8]),
    index=st.integers(0, 5),
)
def test_units_do_not_matter(unit: float, shift: float, age_unit: float, index: int) -> None:
    batch = small_batch().take([index])
    moved = {
        **batch.columns,
        "grade": unit * (batch.columns["grade"] + shift),
        "age": age_unit * batch.columns["age"],
    }
    other = replace(batch, columns=moved, _memo={})
    for name in ("reml-satt", "reml-kr", "reml-cr2"):
        plain, got = (get(name).fit(b, MODEL, "batched") for b in (batch, other))
        age, rest = plain.terms.index("age"), plain.terms.index("resources")
        np.testing.assert_allclose(got.df, plain.df, rtol=1e-6)
        np.testing.assert_allclose(got.std_error[0, rest], unit * plain.std_error[0, rest], rtol=1e-7)
        np.testing.assert_allclose(got.estimate[0, age], unit / age_unit * plain.estimate[0, age], rtol=1e-6)
        np.testing.assert_allclose(got.quantities["(icc)"], plain.quantities["(icc)"], rtol=1e-6, atol=1e-12)


def test_same_function_at_a_given_theta() -> None:
    case = golden("unbal8", "m2")
    theta = np.array(case.at("lmm", "ri", "REML", "theta"))
    fit = fit_given(case.batch(), case.spec(), True, theta)
    assert fit.quantities["(loglik)"][0] == pytest.approx(case.at("lmm", "ri", "REML", "loglik"), rel=1e-12)
    got = dict(
        zip(get("reml-z").fit(case.batch(), case.spec()).terms, model_based_errors(fit)[0], strict=True)
    )
    assert got == pytest.approx(case.values("lmm", "ri", "REML", "se"), rel=1e-9)

"""Reference engines against 256-bit reference values on eight data sets (tests/golden)."""

from __future__ import annotations

import numpy as np
import pytest

from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.estimators.methods.registry import get
from tests.golden.reference import Golden, golden, models_with

EVERY = models_with()
FIXED = models_with("fe")
CLUSTER = {
    "ols-cr0-z": ("CR0", "z"),
    "ols-cr0-t": ("CR0", "naive_t"),
    "ols-cr1s-z": ("CR1S", "z"),
    "ols-cr1s-t": ("CR1S", "naive_t"),
    "ols-cr3-t": ("CR3", "naive_t"),
    "ols-jackknife-t": ("CRV3J", "naive_t"),
}


def fitted(case: Golden, name: str, **model: str) -> Estimates:
    return get(name).fit(case.batch(), case.spec(**model), "reference")


def assert_terms(got: Estimates, field: str, expected: dict[str, float], rtol: float) -> None:
    values = dict(zip(got.terms, getattr(got, field)[0], strict=True))
    for term, value in expected.items():
        assert values[term] == pytest.approx(value, rel=rtol, nan_ok=True), (field, term)


def tolerance(case: Golden) -> float:
    """`collinear15-m2` is nearly collinear: double precision itself is worth no more there."""
    return 1e-5 if (case.dataset, case.model) == ("collinear15", "m2") else 1e-9


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_ols(case: Golden) -> None:
    got = fitted(case, "ols")
    rtol = tolerance(case)
    assert got.status[0] == FitStatus.OK
    assert_terms(got, "estimate", case.values("exact", "coef"), rtol)
    assert_terms(got, "std_error", case.values("exact", "se"), rtol)
    for field, stored in {"df": "df", "lower": "ci_low", "upper": "ci_high", "p_value": "p"}.items():
        assert_terms(got, field, case.values("exact", "test_t", stored), 100 * rtol)


@pytest.mark.parametrize("case", EVERY, ids=str)
@pytest.mark.parametrize("kind", ["HC1", "HC2", "HC3"])
def test_heteroskedasticity_robust(case: Golden, kind: str) -> None:
    got = fitted(case, f"ols-{kind.lower()}")
    assert_terms(got, "std_error", case.values("exact", "hc", kind, "se"), tolerance(case))


@pytest.mark.parametrize("case", EVERY, ids=str)
@pytest.mark.parametrize("name", CLUSTER)
def test_cluster_robust(case: Golden, name: str) -> None:
    kind, reference = CLUSTER[name]
    got = fitted(case, name)
    assert_terms(got, "std_error", case.values("exact", "cr", kind, "se"), tolerance(case))
    if reference and case.has("exact", "cr", kind, reference):
        assert_terms(got, "p_value", case.values("exact", "cr", kind, reference, "p"), 100 * tolerance(case))


@pytest.mark.parametrize("case", FIXED, ids=str)
def test_school_dummies(case: Golden) -> None:
    got, robust = fitted(case, "dummies"), fitted(case, "dummies-cr1s-z")
    rtol = tolerance(case)
    assert_terms(got, "estimate", case.values("fe", "exact", "coef"), rtol)
    assert_terms(got, "std_error", case.values("fe", "exact", "se"), rtol)
    assert_terms(got, "p_value", case.values("fe", "exact", "test_t", "p"), 100 * rtol)
    assert_terms(robust, "std_error", case.values("fe", "exact", "cr", "CR1S", "se"), rtol)
    assert got.quantities["(residual_sd)"][0] == pytest.approx(case.at("fe", "exact", "sigma"), rel=rtol)


@pytest.mark.parametrize("case", models_with("lmm", "ri"), ids=str)
def test_guarded_mixed_model_finds_the_optimum(case: Golden) -> None:
    got = fitted(case, "mixedlm-guarded")
    theta = case.at("lmm", "ri", "REML", "theta")[0]
    assert got.status[0] == (FitStatus.BOUNDARY if theta == 0 else FitStatus.OK)
    assert got.quantities["(loglik)"][0] == pytest.approx(case.at("lmm", "ri", "REML", "loglik"), abs=2e-6)
    assert_terms(got, "estimate", case.values("lmm", "ri", "REML", "fixef"), 2e-5)
    sd = theta * case.at("lmm", "ri", "REML", "sigma")
    assert got.quantities["(school_sd)"][0] == pytest.approx(sd, rel=1e-4, abs=2e-3)


@pytest.mark.parametrize("case", models_with("lmm", "rs"), ids=str)
def test_guarded_mixed_model_with_random_slopes(case: Golden) -> None:
    slope = case.terms[1]
    got = fitted(case, "mixedlm-guarded", random=f"1 + {slope}")
    assert got.status[0] in (FitStatus.OK, FitStatus.BOUNDARY), got.texts()
    assert got.quantities["(loglik)"][0] == pytest.approx(case.at("lmm", "rs", "REML", "loglik"), abs=1e-3)
    assert_terms(got, "estimate", case.values("lmm", "rs", "REML", "fixef"), 2e-3)


@pytest.mark.parametrize("case", models_with("gee"), ids=str)
def test_gee_solves_its_equation_at_its_own_correlation(case: Golden) -> None:
    """GLS with the equicorrelation matrix at statsmodels' alpha, and the sandwich, written out densely."""
    got = fitted(case, "gee-z")
    frame, terms = case.frame().sort_values(case.group, kind="stable"), list(got.terms)
    columns = {"Intercept": 1.0, "gender[T.male]": (frame["gender"] == "male").astype(float), **frame}
    x = np.column_stack([np.broadcast_to(columns[t], len(frame)).astype(float) for t in terms])
    y, alpha = frame["grade"].to_numpy(), got.quantities["(icc)"][0]
    blocks = [np.flatnonzero((frame[case.group] == g).to_numpy()) for g in frame[case.group].unique()]
    weights = [np.linalg.inv((1 - alpha) * np.eye(len(b)) + alpha) for b in blocks]
    bread = np.linalg.inv(sum(x[b].T @ w @ x[b] for b, w in zip(blocks, weights, strict=True)))
    beta = bread @ sum(x[b].T @ w @ y[b] for b, w in zip(blocks, weights, strict=True))
    scores = [x[b].T @ w @ (y[b] - x[b] @ beta) for b, w in zip(blocks, weights, strict=True)]
    std_error = np.sqrt(np.diag(bread @ sum(np.outer(s, s) for s in scores) @ bread))
    np.testing.assert_allclose(got.estimate[0], beta, rtol=1e-6)
    np.testing.assert_allclose(got.std_error[0], std_error, rtol=1e-5)


def test_statsmodels_crv3_is_g_minus_1_over_g_of_cr3() -> None:
    from statsmodels.regression.linear_model import OLS

    case = golden("bal10", "m1")
    cr3 = fitted(case, "ols-cr3-t").std_error[0]
    frame = case.frame()
    x = np.column_stack([np.ones(len(frame)), frame["age"], frame["gender"] == "male"]).astype(float)
    groups = frame["school"].astype("category").cat.codes.to_numpy()
    theirs = OLS(frame["grade"].to_numpy(), x).fit(cov_type="cluster-crv3", cov_kwds={"groups": groups}).bse
    np.testing.assert_allclose(np.sort(theirs**2 / cr3**2), 9 / 10, rtol=1e-9)

"""Every fast engine against a dense definition of its own, on random unbalanced data.

kernel                                  oracle
ols.fit                                 least_squares.iid
ols.within                              least_squares.* with a column a school
ols.between                             weighted lstsq on school means (here)
sandwich.cr0, leave_one_out, cr2        least_squares.sandwich, jackknife, cr2 (n x n hat matrix; refits)
working_df                              least_squares.working_df (the whole quadratic form; refits)
wild                                    resampling.wild_p_value (every draw refitted)
gee.exchangeable                        least_squares.gee (R_g written out)
random_intercept.fit                    mixed_dense.profiled, gls at its own theta; no theta on a grid is better
random_slopes.fit, nested.fit           the same; no optimum of a derivative-free search is better
satterthwaite                           mixed_dense.satterthwaite (likelihood differentiated numerically)
kenward_roger, kenward_roger_slopes     mixed_dense.kenward_roger (formulas (1)-(6) of 1997)
cr2_gls                                 mixed_dense.cr2 (n x n)
(permutation, pairs-bootstrap)          resampling.permutation, pairs (refits)

The reference engines are a second definition of the same methods; these share no code with either engine.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.estimators.methods import pairs_bootstrap, wild
from nestbench.estimators.methods.registry import get
from tests.estimators.hard_data import (
    LEAST_SQUARES,
    Case,
    covariance,
    drawn,
    labelled,
    slopes,
)
from tests.oracles import mixed_dense, resampling
from tests.oracles.conditioned import Conditioned

SLOPES = ("Intercept", "x1")

cases = st.builds(
    drawn,
    st.integers(0, 10**6),
    st.lists(st.integers(1, 7), min_size=4, max_size=7).map(tuple).filter(lambda s: 10 <= sum(s) <= 32),
    st.sampled_from([0.0, 0.5, 2.0]),
)


def fitted(case: Case, name: str, random: str = "1") -> Estimates:
    return get(name).fit(case.batch(), replace(case.model, random=random), "batched")


def usable(got: Estimates) -> bool:
    """Whether there is an answer; if not, that the fit says why."""
    assert got.status[0] <= FitStatus.BOUNDARY or got.texts()[0]
    return bool(got.status[0] <= FitStatus.BOUNDARY)


def close(
    got: Estimates, field: str, expected: np.ndarray, rtol: float, atol: np.ndarray | float = 0.0
) -> None:
    np.testing.assert_array_less(
        np.abs(getattr(got, field)[0] - expected), rtol * np.abs(expected) + atol + 1e-300, err_msg=field
    )


@settings(max_examples=15, deadline=None)
@given(cases)
def test_least_squares_and_gee(case: Case) -> None:
    for name, oracle in LEAST_SQUARES.items():
        got = labelled(name).fit(case.batch(), case.model, "batched")
        terms, expected, _, _ = oracle(case)
        if not usable(got):
            continue
        at = [got.terms.index(term) for term in terms]
        there = np.isfinite(got.std_error[0, at])
        assert there.all() or "vanish" in got.texts()[0]
        for field in ("estimate", "std_error", "df"):
            ours, right = getattr(got, field)[0, at][there], getattr(expected, field)[there]
            np.testing.assert_allclose(ours, right, rtol=1e-8, atol=1e-9, err_msg=f"{name} {field}")


@settings(max_examples=15, deadline=None)
@given(cases, st.sampled_from(["none", "size"]))
def test_school_means(case: Case, weights: str) -> None:
    got = get({"name": "means", "weights": weights}).fit(case.batch(), case.model, "batched")
    sizes = np.array(case.sizes)
    firsts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    y = np.add.reduceat(case.columns["y"], firsts) / sizes
    x, w = np.column_stack([np.ones(len(y)), case.columns["w"][firsts]]), np.ones(len(y))
    if weights == "size":
        w = sizes / 1.0
    c = np.linalg.inv(x.T @ np.diag(w) @ x)
    beta = c @ x.T @ (w * y)
    s2 = (w * (y - x @ beta) ** 2).sum() / (len(y) - 2)
    at = [got.terms.index("Intercept"), got.terms.index("w")]
    np.testing.assert_allclose(got.estimate[0, at], beta, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(got.std_error[0, at], np.sqrt(s2 * np.diag(c)), rtol=1e-8)
    np.testing.assert_array_equal(got.df[0, at], len(y) - 2.0)


def at_own_theta(
    case: Case, got: Estimates, v: np.ndarray, restricted: bool
) -> tuple[Conditioned, np.ndarray, float]:
    """Compare coefficients, sigma and log-likelihood with GLS at the fit's own V; return what inference starts from."""
    well = case.well
    beta, rss, c = mixed_dense.gls(well.y, well.x, v)
    n, p = well.x.shape
    sigma2 = rss / (n - p if restricted else n)
    std_error = np.sqrt(sigma2 * np.diag(well.back @ c @ well.back.T))
    np.testing.assert_allclose(got.quantities["(residual_sd)"][0], well.unit * np.sqrt(sigma2), rtol=1e-8)
    np.testing.assert_array_less(
        np.abs(got.estimate[0] - well.shift - well.back @ beta), 1e-8 * std_error, err_msg="estimate"
    )
    loglik = -0.5 * mixed_dense.profiled(case.columns["y"], case.x, v, restricted)
    assert got.quantities["(loglik)"][0] == pytest.approx(loglik, rel=1e-8, abs=1e-7)
    return well, std_error, sigma2


@settings(max_examples=15, deadline=None)
@given(cases, st.booleans())
def test_random_intercept(case: Case, restricted: bool) -> None:
    got = fitted(case, "reml-z" if restricted else "ml-z")
    if not usable(got):
        return
    v, _ = covariance(case, got.quantities)
    _, std_error, _ = at_own_theta(case, got, v, restricted)
    close(got, "std_error", std_error, 1e-8)
    together, y = mixed_dense.same(case.schools), case.columns["y"]
    best = mixed_dense.profiled(y, case.x, v, restricted)
    for theta in [0.0, *np.geomspace(1e-2, 1e2, 25)]:
        other = np.eye(len(y)) + theta**2 * together
        assert mixed_dense.profiled(y, case.x, other, restricted) >= best - 1e-8


@settings(max_examples=15, deadline=None)
@given(cases)
def test_inference_after_a_random_intercept(case: Case) -> None:
    got = {name: fitted(case, name) for name in ("reml-satt", "reml-kr", "reml-cr2", "reml-bw")}
    if not usable(got["reml-satt"]):
        return
    v, parts = covariance(case, got["reml-satt"].quantities)
    well, std_error, sigma2 = at_own_theta(case, got["reml-satt"], v, True)
    check_inference(case, got, v, parts, well, sigma2)
    close(got["reml-bw"], "std_error", std_error, 1e-8)
    n, g = len(case.columns["y"]), len(case.sizes)
    np.testing.assert_array_equal(got["reml-bw"].df[0], [g - 2, n - g - 2, n - g - 2, g - 2])
    theta = got["reml-satt"].quantities["(school_sd)"][0] / got["reml-satt"].quantities["(residual_sd)"][0]
    if theta > 0.05:

        def cov(at: np.ndarray) -> np.ndarray:
            return at[1] ** 2 * (np.eye(n) + at[0] ** 2 * parts[0])

        at = np.array([theta, np.sqrt(sigma2)])
        df = mixed_dense.satterthwaite(well.y, well.x, cov, at, True, contrasts=well.back)
        close(got["reml-satt"], "df", df, 1e-3)


def check_inference(
    case: Case,
    got: dict[str, Estimates],
    v: np.ndarray,
    parts: list[np.ndarray],
    well: Conditioned,
    sigma2: float,
) -> None:
    """Compare Kenward-Roger and CR2 with their dense definitions."""
    std_error, df = mixed_dense.kenward_roger(well.x, v, parts, well.back)
    close(got["reml-kr"], "std_error", np.sqrt(sigma2) * std_error, 1e-6)
    close(got["reml-kr"], "df", df, 1e-5)
    std_error, df = mixed_dense.cr2(well.y, well.x, v, case.schools, well.back)
    close(got["reml-cr2"], "std_error", std_error, 1e-7)
    close(got["reml-cr2"], "df", df, 1e-6)


@settings(max_examples=10, deadline=None)
@given(cases, st.sampled_from([0.0, 0.3, 3.0]))
def test_gls_at_a_given_theta(case: Case, theta: float) -> None:
    got = get({"name": "gls", "theta": theta}).fit(case.batch(), case.model, "batched")
    if not usable(got):
        return
    v = np.eye(len(case.columns["y"])) + theta**2 * mixed_dense.same(case.schools)
    _, std_error, _ = at_own_theta(case, got, v, True)
    close(got, "std_error", std_error, 1e-8)


sloped = cases.filter(lambda case: sum(case.sizes) > 2 * len(case.sizes) + 4)


@settings(max_examples=8, deadline=None)
@given(sloped, st.sampled_from([("Intercept", "x1"), ("Intercept", "x1", "x2"), ("x1",)]))
def test_random_slopes(case: Case, terms: tuple[str, ...]) -> None:
    random = " + ".join("1" if term == "Intercept" else term for term in terms)
    random = random if "Intercept" in terms else f"0 + {random}"
    got = {name: fitted(case, name, random) for name in ("reml-satt", "reml-kr", "reml-cr2")}
    if not usable(got["reml-satt"]):
        return
    v, parts = slopes(case, got["reml-satt"].quantities, terms)
    well, _, sigma2 = at_own_theta(case, got["reml-satt"], v, True)
    if got["reml-satt"].status[0] == FitStatus.OK:
        check_inference(case, got, v, parts, well, sigma2)
    q = len(terms)
    z = np.column_stack([case.column(term) for term in terms])
    below = np.tril_indices(q)

    def cov(packed: np.ndarray) -> np.ndarray:
        factor = np.zeros((q, q))
        factor[below] = packed
        return mixed_dense.relative_covariance(z, case.schools, factor @ factor.T)

    starts = [np.eye(q)[below] * size for size in (0.2, 1.0)]
    lowest, _ = mixed_dense.lowest(well.y, well.x, cov, starts, True)
    assert mixed_dense.profiled(well.y, well.x, v, True) <= lowest + 1e-6


@settings(max_examples=10, deadline=None)
@given(cases)
@example(drawn(1706, (1, 5, 2, 2), 0.5))  # two maxima: the better one at a ratio of 15
def test_classes_in_schools(case: Case) -> None:
    got = {name: fitted(case, name) for name in ("nested-z", "nested-satt")}
    if not usable(got["nested-z"]):
        return
    found = got["nested-z"].quantities
    v, parts = covariance(case, found)
    well, std_error, sigma2 = at_own_theta(case, got["nested-z"], v, True)
    close(got["nested-z"], "std_error", std_error, 1e-8)
    n = len(case.columns["y"])

    def relative(at: np.ndarray) -> np.ndarray:
        return np.eye(n) + at[0] ** 2 * parts[0] + at[1] ** 2 * parts[1]

    starts = [np.array([a, b]) for a in (0.1, 1.0) for b in (0.1, 1.0)]
    lowest, _ = mixed_dense.lowest(well.y, well.x, relative, starts, True)
    assert mixed_dense.profiled(well.y, well.x, v, True) <= lowest + 1e-6
    theta = np.array([found["(class_sd)"][0], found["(school_sd)"][0]]) / found["(residual_sd)"][0]
    if (theta > 0.1).all():
        at = np.append(theta, np.sqrt(sigma2))
        df = mixed_dense.satterthwaite(
            well.y, well.x, lambda t: t[2] ** 2 * relative(t), at, True, contrasts=well.back
        )
        close(got["nested-satt"], "df", df, 1e-3)


@settings(max_examples=6, deadline=None)
@given(cases, st.booleans(), st.sampled_from(["rademacher", "webb"]))
def test_wild_bootstrap_by_refitting_every_draw(case: Case, restricted: bool, weights: str) -> None:
    name = "ols-wild" if restricted else "ols-wild-u"
    batch, schools = case.batch(), case.schools
    got = get({"name": name, "draws": 39, "weights": weights}).fit(batch, case.model, "batched")
    if not usable(got):
        return
    codes, exact = wild.codes_of(batch.streams, 0, len(case.sizes), 39, weights)
    v, well = wild.WEIGHTS[weights][codes], case.well
    for k in np.flatnonzero(np.isfinite(got.std_error[0])):
        contrast = well.back[k]

        def p_of(null: float, c: np.ndarray = contrast, shift: float = float(well.shift[k])) -> float:
            return resampling.wild_p_value(well.y, well.x, schools, c, null - shift, v, restricted, exact)

        assert got.p_value[0, k] == pytest.approx(p_of(0.0), abs=1e-12)
        for side, outward in (("lower", -1.0), ("upper", 1.0)):
            limit, step = getattr(got, side)[0, k], 1e-6 * got.std_error[0, k]
            if np.isfinite(limit):
                assert p_of(limit - outward * step) > 0.05
                assert p_of(limit + outward * step) <= 0.05


@settings(max_examples=6, deadline=None)
@given(cases)
def test_pairs_bootstrap_by_refitting_every_draw(case: Case) -> None:
    got = get({"name": "pairs-bootstrap", "draws": 59}).fit(case.batch(), case.model, "batched")
    counts = np.concatenate(
        list(pairs_bootstrap.times_drawn(case.batch().replication(0), len(case.sizes), 59))
    )
    well = case.well
    found = resampling.pairs(well.y, well.x, case.schools, well.back, counts) + well.shift
    good = np.isfinite(found).all(axis=1)
    if not usable(got):
        assert good.mean() <= 0.5
        return
    np.testing.assert_allclose(got.std_error[0], found[good].std(axis=0, ddof=1), rtol=1e-6)
    low, high = np.quantile(found[good], [0.025, 0.975], axis=0)
    np.testing.assert_allclose(got.lower[0], low, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(got.upper[0], high, rtol=1e-7, atol=1e-8)


@settings(max_examples=8, deadline=None)
@given(cases, st.integers(1, 3))
def test_permutation_by_refitting_every_assignment(case: Case, treated: int) -> None:
    chosen = (np.arange(len(case.sizes)) < treated).astype(float)
    with_treatment = replace(case, formula="y ~ x1 + w + t").change(t=chosen[case.schools])
    got = fitted(with_treatment, "permutation")
    others = np.column_stack([with_treatment.column(term) for term in ("Intercept", "x1", "w")])
    own, p = resampling.permutation(case.columns["y"], others, chosen, case.schools)
    k = got.terms.index("t")
    assert usable(got)
    assert got.estimate[0, k] == pytest.approx(own, rel=1e-8, abs=1e-9)
    assert got.p_value[0, k] == pytest.approx(p, abs=1e-12)

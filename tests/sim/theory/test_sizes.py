"""Exact sizes from school cross-products against dense matrices, closed forms and published tables."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nestbench.sim.theory.exact import uneven_sizes
from nestbench.sim.theory.scores import scores_of
from nestbench.sim.theory.sizes import df_of, naive_sizes
from nestbench.sim.theory.standardised import by_row_products
from tests.oracles import sandwich_exact as dense
from tests.sim.theory.design_case import Case


def unequal(seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """X [n, 4], B [n, 2], residual variance [n], groups, sizes of 7 unequal schools with a random slope."""
    rng = np.random.default_rng(seed)
    sizes = np.array([3, 9, 4, 14, 6, 5, 11])
    groups = np.repeat(np.arange(7), sizes)
    age = rng.normal(size=len(groups)) + rng.normal(size=7)[groups]
    x = np.column_stack(
        [np.ones(len(groups)), age, rng.normal(size=len(groups)) > 0, rng.normal(size=7)[groups]]
    )
    factors = np.column_stack([np.full(len(groups), 0.7), 0.4 * age])
    variance = (0.5 + rng.random(7))[groups]
    return x, factors, variance, groups, sizes


def covariance(factors: np.ndarray, variance: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Cov(u) [n, n]."""
    return np.diag(variance) + (groups[:, None] == groups[None, :]) * (factors @ factors.T)


@pytest.mark.parametrize("term", range(4))
@pytest.mark.parametrize(
    ("kind", "reference"), [("cr0", "z"), ("cr1s", "z"), ("cr1s", "t"), ("cr2", "satt"), ("cr3", "t")]
)
def test_robust_against_dense(term: int, kind: str, reference: str) -> None:
    x, factors, variance, groups, sizes = unequal()
    case = Case(x, factors, variance, sizes)
    df = {"z": np.inf, "t": 6.0, "satt": dense.satterthwaite_df(x, groups, term)}[reference]
    scores = scores_of(case.moments, -0.5 if kind == "cr2" else 0.0)
    assert df_of(case.moments.columns, scores, reference)[1, term] == pytest.approx(df, rel=1e-9)
    critical = stats.norm.ppf(0.975) if np.isinf(df) else stats.t.ppf(0.975, df)
    size, _, _ = dense.size(x, covariance(factors, variance, groups), groups, term, kind, critical)
    assert case.robust(term, kind, reference) == pytest.approx(size, abs=1e-9)


@pytest.mark.parametrize("term", range(4))
@pytest.mark.parametrize("school_sd", [0.0, 0.03, 1.0, 30.0])
@pytest.mark.parametrize("even", [True, False])
def test_naive_against_dense(term: int, school_sd: float, even: bool) -> None:
    """Residual variances that differ between schools, and one for all: two ways, one oracle."""
    x, factors, variance, groups, sizes = unequal()
    factors, variance = school_sd * factors, np.full(len(x), 0.8) if even else variance
    critical = stats.t.ppf(0.975, len(x) - 4)
    size, _, _ = dense.size(x, covariance(factors, variance, groups), groups, term, "iid", critical)
    assert Case(x, factors, variance, sizes).naive(term) == pytest.approx(size, abs=1e-9)


def test_one_student_a_school_leaves_no_room_outside_the_span_of_the_schools() -> None:
    """More random effects than rows: what is white has a negative dimension, and the size is that of a t-test."""
    rng = np.random.default_rng(1)
    x = np.column_stack([np.ones(9), rng.normal(size=9)])
    case = Case(
        x, np.column_stack([np.full(9, 0.5), np.full(9, 0.2)]), np.full(9, 0.9), np.ones(9, dtype=int)
    )
    assert case.naive(1) == pytest.approx(0.05, abs=1e-10)


def test_both_ways_to_the_naive_size_agree() -> None:
    """Equal residual variances by eigenvalues and Imhof's integral, and without either."""
    x, factors, _, _, sizes = unequal()
    case = Case(x, factors, np.full(len(x), 0.9), sizes)
    both = np.concatenate([case.rows, case.factors])
    joint = by_row_products(both, both, case.offsets)[2:]
    slow = uneven_sizes(joint, np.full(7, 0.9), sizes, np.eye(4), float(stats.t.ppf(0.975, len(x) - 4)))
    within = by_row_products(case.factors, case.factors, case.offsets)
    fast = naive_sizes(case.moments, within, np.array([0.9, 0.9]), 0.95)[1]
    np.testing.assert_allclose(fast, slow, atol=1e-10)


def test_naive_is_unknown_where_residuals_differ_within_schools() -> None:
    x, factors, variance, _, sizes = unequal()
    assert Case(x, factors, variance + 0.1 * np.arange(len(x)), sizes).naive(1) is None


def treatment(schools: int, students: int, icc: float, treated: int) -> Case:
    """Intercept and a school-level treatment, equal schools."""
    n = schools * students
    arm = np.repeat(np.arange(schools) < treated, students).astype(float)
    x, factors = np.column_stack([np.ones(n), arm]), np.full((n, 1), np.sqrt(icc))
    return Case(x, factors, np.full(n, 1.0 - icc), np.full(schools, students))


@pytest.mark.parametrize(
    ("icc", "size"),
    [(0.0, 0.05), (0.05, 0.1615), (0.1, 0.2530), (0.15, 0.3236), (0.2, 0.3792), (0.3, 0.4617)],
)
def test_naive_size_with_ten_schools_of_twenty(icc: float, size: float) -> None:
    """Hedges (2007): the naive t of a school-level treatment."""
    naive = treatment(10, 20, icc, 5).naive(1)
    assert naive == pytest.approx(size, abs=6e-5)
    assert dense.naive_balanced(10, 20, icc) == pytest.approx(naive, abs=2e-4)


@pytest.mark.parametrize("schools", [4, 6, 10, 30])
def test_equal_arms_are_multiples_of_t(schools: int) -> None:
    """Equal arms of equal schools: every sandwich statistic is a multiple of T with G - 2 degrees of freedom."""
    case, t, n = treatment(schools, 7, 0.15, schools // 2), stats.t(schools - 2), schools * 7
    z, tc = stats.norm.ppf(0.975), stats.t.ppf(0.975, schools - 1)
    expected = {
        ("cr0", "z"): 2 * t.sf(z * np.sqrt((schools - 2) / schools)),
        ("cr1s", "t"): 2 * t.sf(tc * np.sqrt((schools - 2) / (schools - 1) * (n - 1) / (n - 2))),
        ("cr2", "satt"): 0.05,
        ("cr3", "t"): 2 * t.sf(tc * np.sqrt(schools / (schools - 2))),
    }
    for (kind, reference), size in expected.items():
        assert case.robust(1, kind, reference) == pytest.approx(size, abs=1e-10)


@pytest.mark.parametrize(
    ("treated", "cr1s", "cr2", "df"),
    [
        (2, 0.6685, 0.9965, 1.085),
        (3, 0.7909, 0.9664, 2.263),
        (5, 0.8730, 0.9549, 4.933),
        (10, 0.9225, 0.9511, 13.863),
        (25, 0.9418, 0.9500, 48.0),
    ],
)
def test_few_treated_of_fifty(treated: int, cr1s: float, cr2: float, df: float) -> None:
    """Coverage in the design of MacKinnon & Webb (2017): 50 clusters of 40, ICC .5."""
    case = treatment(50, 40, 0.5, treated)
    assert 1 - case.robust(1, "cr1s", "z") == pytest.approx(cr1s, abs=6e-5)
    found = df_of(case.moments.columns, scores_of(case.moments, -0.5), "satt")[1, 1]
    assert found == pytest.approx(df, abs=6e-4)
    assert 1 - case.robust(1, "cr2", "satt") == pytest.approx(cr2, abs=6e-5)

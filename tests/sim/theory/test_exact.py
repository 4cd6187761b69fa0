"""Exact sizes from school cross-products against dense matrices, closed forms and published tables."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nestbench.sim.theory.exact import Errors, errors_of, naive_test, robust_test
from tests.oracles import sandwich_exact as dense


def unequal(seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """X [n, 4], B [n, 2], residual variance [n], groups, offsets of 7 unequal schools with a random slope."""
    rng = np.random.default_rng(seed)
    sizes = np.array([3, 9, 4, 14, 6, 5, 11])
    groups = np.repeat(np.arange(7), sizes)
    age = rng.normal(size=len(groups)) + rng.normal(size=7)[groups]
    x = np.column_stack(
        [np.ones(len(groups)), age, rng.normal(size=len(groups)) > 0, rng.normal(size=7)[groups]]
    )
    factors = np.column_stack([np.full(len(groups), 0.7), 0.4 * age])
    variance = (0.5 + rng.random(7))[groups]
    return x, factors, variance, groups, np.concatenate([[0], np.cumsum(sizes)])


@pytest.fixture
def case() -> tuple[Errors, np.ndarray, np.ndarray, np.ndarray]:
    x, factors, variance, groups, offsets = unequal()
    same = groups[:, None] == groups[None, :]
    omega = np.diag(variance) + same * (factors @ factors.T)
    return errors_of(x.T, factors.T, variance, offsets), x, omega, groups


@pytest.mark.parametrize("term", range(4))
@pytest.mark.parametrize(
    ("kind", "reference"), [("cr0", "z"), ("cr1s", "z"), ("cr1s", "t"), ("cr2", "satt"), ("cr3", "t")]
)
def test_robust_against_dense(case: tuple, term: int, kind: str, reference: str) -> None:
    errors, x, omega, groups = case
    got = robust_test(errors, term, kind, reference, 0.95)
    df = {"z": np.inf, "t": 6.0, "satt": dense.satterthwaite_df(x, groups, term)}[reference]
    assert got.df == pytest.approx(df, rel=1e-9)
    critical = stats.norm.ppf(0.975) if np.isinf(df) else stats.t.ppf(0.975, df)
    size, expected, variance = dense.size(x, omega, groups, term, kind, critical)
    assert got.size == pytest.approx(size, abs=1e-7)
    assert (got.expected_variance, got.variance) == pytest.approx((expected, variance), rel=1e-9)


@pytest.mark.parametrize("term", range(4))
def test_naive_against_dense(case: tuple, term: int) -> None:
    errors, x, omega, groups = case
    got = naive_test(errors, term, 0.95)
    assert got is not None
    critical = stats.t.ppf(0.975, len(x) - 4)
    size, expected, variance = dense.size(x, omega, groups, term, "iid", critical)
    assert got.size == pytest.approx(size, abs=1e-7)
    assert (got.expected_variance, got.variance) == pytest.approx((expected, variance), rel=1e-9)


def test_naive_is_unknown_where_residuals_differ_within_schools() -> None:
    x, factors, variance, _, offsets = unequal()
    errors = errors_of(x.T, factors.T, variance + 0.1 * np.arange(len(x)), offsets)
    assert naive_test(errors, 1, 0.95) is None


def treatment(schools: int, students: int, icc: float, treated: int) -> Errors:
    """Intercept and a school-level treatment, equal schools."""
    n = schools * students
    arm = np.repeat(np.arange(schools) < treated, students).astype(float)
    offsets = np.arange(schools + 1) * students
    return errors_of(
        np.vstack([np.ones(n), arm]), np.full((1, n), np.sqrt(icc)), np.full(n, 1.0 - icc), offsets
    )


@pytest.mark.parametrize(
    ("icc", "size"),
    [(0.0, 0.05), (0.05, 0.1615), (0.1, 0.2530), (0.15, 0.3236), (0.2, 0.3792), (0.3, 0.4617)],
)
def test_naive_size_with_ten_schools_of_twenty(icc: float, size: float) -> None:
    """Hedges (2007): the naive t of a school-level treatment."""
    naive = naive_test(treatment(10, 20, icc, 5), 1, 0.95)
    assert naive is not None
    assert naive.size == pytest.approx(size, abs=6e-5)
    assert dense.naive_balanced(10, 20, icc) == pytest.approx(naive.size, abs=2e-4)


@pytest.mark.parametrize("schools", [4, 6, 10, 30])
def test_equal_arms_are_multiples_of_t(schools: int) -> None:
    """Equal arms of equal schools: every sandwich statistic is a multiple of T with G - 2 degrees of freedom."""
    errors, t, n = treatment(schools, 7, 0.15, schools // 2), stats.t(schools - 2), schools * 7
    z, tc = stats.norm.ppf(0.975), stats.t.ppf(0.975, schools - 1)
    expected = {
        ("cr0", "z"): 2 * t.sf(z * np.sqrt((schools - 2) / schools)),
        ("cr1s", "t"): 2 * t.sf(tc * np.sqrt((schools - 2) / (schools - 1) * (n - 1) / (n - 2))),
        ("cr2", "satt"): 0.05,
        ("cr3", "t"): 2 * t.sf(tc * np.sqrt(schools / (schools - 2))),
    }
    for (kind, reference), size in expected.items():
        assert robust_test(errors, 1, kind, reference, 0.95).size == pytest.approx(size, abs=1e-8)


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
    errors = treatment(50, 40, 0.5, treated)
    assert 1 - robust_test(errors, 1, "cr1s", "z", 0.95).size == pytest.approx(cr1s, abs=6e-5)
    satt = robust_test(errors, 1, "cr2", "satt", 0.95)
    assert satt.df == pytest.approx(df, abs=6e-4)
    assert 1 - satt.size == pytest.approx(cr2, abs=6e-5)

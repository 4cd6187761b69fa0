"""The exact interval for a variance ratio: F against its dense definition, coverage at the boundary and away from
it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nestbench.advising.analysis import orthonormal, residuals_of
from nestbench.advising.ratio import Pivot, pivot

SIZES = np.array([2, 7, 1, 12, 4, 3])
OFFSETS = np.concatenate([[0], np.cumsum(SIZES)])
SCHOOL = np.repeat(np.arange(6), SIZES)


def design(rng: np.random.Generator) -> np.ndarray:
    age = rng.normal(size=29)
    return np.stack([np.ones(29), (SCHOOL < 2) * 1.0, age])


def found(x: np.ndarray, z: np.ndarray, y: np.ndarray) -> Pivot:
    made = pivot(z, orthonormal(x), residuals_of(x, y), OFFSETS)
    assert made is not None
    return made


def dense(x: np.ndarray, z: np.ndarray, y: np.ndarray, gamma: float) -> tuple[float, int, int]:
    """F by projection matrices and a pseudo-inverse of the whole covariance."""
    n = len(y)
    big = np.zeros((n, 6))
    big[np.arange(n), SCHOOL] = z
    m = np.eye(n) - x.T @ np.linalg.pinv(x.T)
    both = np.concatenate([x.T, big], axis=1)
    rest = np.eye(n) - both @ np.linalg.pinv(both)
    added = m - rest
    r, v = round(np.trace(added)), round(np.trace(rest))
    covariance = added @ (np.eye(n) + gamma * big @ big.T) @ added
    numerator = y @ np.linalg.pinv(covariance, rcond=1e-10) @ y
    return numerator / r / (y @ rest @ y / v), r, v


@pytest.mark.parametrize("gamma", [0.0, 0.3, 50.0])
@pytest.mark.parametrize("slope", [False, True])
def test_f_is_its_dense_definition(gamma: float, slope: bool) -> None:
    rng = np.random.default_rng(3)
    x = design(rng)
    z, y = x[2] if slope else np.ones(29), rng.normal(size=29)
    made, (expected, r, v) = found(x, z, y), dense(x, z, y, gamma)
    assert (made.r, made.v) == (r, v)
    assert made.f(gamma) == pytest.approx(expected, rel=1e-8)


def test_schools_without_information_cost_their_degrees_of_freedom() -> None:
    """A school whose z is 0 throughout says nothing of a slope."""
    rng = np.random.default_rng(4)
    x = design(rng)
    z = np.where(SCHOOL == 3, 0.0, x[2])
    made = found(x, z, rng.normal(size=29))
    assert made.r == dense(x, z, rng.normal(size=29), 0.0)[1]


@pytest.mark.parametrize("gamma", [0.0, 0.25])
def test_limits_have_their_level(gamma: float) -> None:
    """600 data sets: exact 5 % and 95 % limits, ratio 0 included; false alarm 1e-6."""
    rng, reps = np.random.default_rng(5), 600
    x = design(rng)
    lower = upper = 0
    for _ in range(reps):
        y = rng.normal(size=29) + np.sqrt(gamma) * rng.normal(size=6)[SCHOOL]
        made = found(x, np.ones(29), y)
        lower += made.limit(0.05) > gamma
        upper += made.limit(0.95) < gamma
    wide = stats.binom.ppf([5e-7, 1 - 5e-7], reps, 0.05)
    assert wide[0] <= lower <= wide[1]
    if gamma:  # a ratio of 0 can't lie above the limit
        assert wide[0] <= upper <= wide[1]
    else:
        assert upper == 0


def test_a_limit_solves_its_equation() -> None:
    rng = np.random.default_rng(6)
    made = found(design(rng), np.ones(29), rng.normal(size=29) + 2 * rng.normal(size=6)[SCHOOL])
    for below in (0.05, 0.5, 0.95):
        assert stats.f.cdf(made.f(made.limit(below)), made.r, made.v) == pytest.approx(1 - below, abs=1e-8)


def test_nothing_to_compare_is_no_pivot() -> None:
    x = np.stack([np.ones(29), *[(g == SCHOOL) * 1.0 for g in range(1, 6)]])
    assert pivot(np.ones(29), orthonormal(x), residuals_of(x, np.arange(29.0)), OFFSETS) is None

"""Numbers of the design against their definitions, and limits where they collapse."""

from __future__ import annotations

import numpy as np
import pytest

from nestbench.advising import clusters

SIZES = np.array([3, 8, 5, 2, 6])
OFFSETS = np.concatenate([[0], np.cumsum(SIZES)])
SCHOOL = np.repeat(np.arange(5), SIZES)


@pytest.fixture
def x() -> np.ndarray:
    rng = np.random.default_rng(2)
    return np.stack([np.ones(24), rng.normal(size=24), (SCHOOL < 2) * 1.0])


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("rho", [0.0, 0.3, 1.0])
def test_effective_clusters_are_those_of_the_paper(x: np.ndarray, k: int, rho: float) -> None:
    """gamma_g = a'(X'X)^-1 X_g' Omega_g X_g (X'X)^-1 a; G* = G / (1 + Gamma)."""
    inverse = np.linalg.inv(x @ x.T)[k]
    gamma = []
    for g in range(5):
        own = x[:, g == SCHOOL]
        omega = (1 - rho) * np.eye(own.shape[1]) + rho
        gamma.append(inverse @ own @ omega @ own.T @ inverse)
    spread = np.var(gamma) / np.mean(gamma) ** 2
    found = clusters.effective_clusters(clusters.partial_column(x, k), OFFSETS, rho)
    assert found == pytest.approx(5 / (1 + spread), rel=1e-10)


def test_equal_schools_are_all_effective() -> None:
    offsets = np.arange(0, 41, 10)
    values = np.repeat([0.0, 0.0, 1.0, 1.0], 10)
    partial = clusters.partial_column(np.stack([np.ones(40), values]), 1)
    assert clusters.effective_clusters(partial, offsets, 0.4) == pytest.approx(4.0)
    assert clusters.partial_leverage(partial, offsets) == pytest.approx(0.25)


def test_shifts_are_refits_without_each_school(x: np.ndarray) -> None:
    y = np.random.default_rng(3).normal(size=24)
    whole = np.linalg.lstsq(x.T, y, rcond=None)[0]
    shifts = clusters.shifts(x, 1, y - whole @ x, OFFSETS)
    for g in range(5):
        rest = np.linalg.lstsq(x[:, g != SCHOOL].T, y[g != SCHOOL], rcond=None)[0]
        assert shifts[g] == pytest.approx(rest[1] - whole[1])


def test_a_school_that_alone_identifies_the_term_is_told() -> None:
    x = np.stack([np.ones(24), (SCHOOL == 1) * 1.0])
    assert np.isnan(clusters.shifts(x, 1, np.random.default_rng(1).normal(size=24), OFFSETS)).tolist() == [
        g == 1 for g in range(5)
    ]


def test_between_share_and_carriers(x: np.ndarray) -> None:
    assert clusters.between_share(x[2], OFFSETS) == pytest.approx(1.0)
    assert clusters.between_share(np.tile([0.0, 1.0], 12), np.arange(0, 25, 4)) == pytest.approx(0.0)
    assert clusters.carriers(x[2], OFFSETS) == {0.0: 3, 1.0: 2}
    assert clusters.carriers(x[1], OFFSETS) == {}

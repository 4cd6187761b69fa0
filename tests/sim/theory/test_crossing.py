"""Sizes from tridiagonal forms, against t distributions and against eigenvalues with Imhof's integral."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nestbench.sim.theory import imhof
from nestbench.sim.theory.crossing import positive_probability, tridiagonal

NOTHING = np.zeros(0)


@pytest.mark.parametrize("df", [1, 2, 3, 8, 48, 400, 20_000])
@pytest.mark.parametrize("size", [0.5, 0.05, 0.01, 1e-6])
def test_t_tests_have_their_size(df: int, size: float) -> None:
    """However many degrees of freedom: with many the variance estimate is nearly a number."""
    kappa = float(stats.t.isf(size / 2, df)) ** 2 / df
    found = positive_probability(NOTHING, NOTHING, kappa, 1.0, float(df), 1.0, 0.0, 1.0, kappa)
    assert found == pytest.approx(size, abs=1e-10)


@pytest.mark.parametrize("n", [2, 3, 8, 40])
@pytest.mark.parametrize("rank", [0.4, 1.0, 3.0])
def test_forms_of_any_rank_against_imhof(n: int, rank: float) -> None:
    """x_1^2 - k (x_2^2 + ..) of correlated normals, regular or not."""
    rng = np.random.default_rng(n)
    for kappa in (0.1, 1.0, 10.0):
        half = rng.normal(size=(n, max(2, round(rank * n)))) * rng.gamma(0.5, size=(n, 1))
        form = half @ half.T
        weights = np.linalg.eigvals(np.diag([1.0, *[-kappa] * (n - 1)]) @ form).real
        expected = imhof.positive_probability(
            np.where(abs(weights) > 1e-13 * abs(weights).max(), weights, 0.0)
        )
        diagonal, beside = np.empty(n), np.empty(n - 1)
        tridiagonal(form.copy(), diagonal, beside)
        turned = np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)
        np.testing.assert_allclose(
            np.linalg.eigvalsh(turned), np.linalg.eigvalsh(form), atol=1e-13 * np.trace(form)
        )
        assert diagonal[0] == form[0, 0]
        found = positive_probability(
            diagonal[1:], beside[1:], kappa, 0.0, 0.0, diagonal[0], beside[0] ** 2, 0.0, -kappa
        )
        assert found == pytest.approx(expected, abs=1e-9)

"""The small linear algebra against NumPy, with and without dropped columns."""

from __future__ import annotations

import numpy as np
import pytest

from nestbench.estimators.kernels import linalg

SIZES = (1, 2, 3, 5, 9)


def crossproduct(p: int, seed: int = 1) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(p + 4, p))
    return x.T @ x


@pytest.mark.parametrize("p", SIZES)
def test_cholesky_inverse_solve_and_determinant(p: int) -> None:
    a = crossproduct(p)
    lower, out, b = a.copy(), np.empty((p, p)), np.arange(1.0, p + 1)
    assert linalg.cholesky(lower)
    np.testing.assert_allclose(np.tril(lower), np.linalg.cholesky(a), rtol=1e-12)
    linalg.inverse(lower, out)
    np.testing.assert_allclose(out, np.linalg.inv(a), rtol=1e-9)
    linalg.solve(lower, b)
    np.testing.assert_allclose(b, np.linalg.solve(a, np.arange(1.0, p + 1)), rtol=1e-9)
    assert linalg.log_determinant(lower) == pytest.approx(np.linalg.slogdet(a)[1], rel=1e-12, abs=1e-12)


def test_a_dropped_column_leaves_zeros() -> None:
    a = crossproduct(4)
    a[2, :] = a[:, 2] = 0.0
    keep = [0, 1, 3]
    lower, out, b = a.copy(), np.empty((4, 4)), np.ones(4)
    assert linalg.cholesky(lower)
    linalg.inverse(lower, out)
    expected = np.zeros((4, 4))
    expected[np.ix_(keep, keep)] = np.linalg.inv(a[np.ix_(keep, keep)])
    np.testing.assert_allclose(out, expected, rtol=1e-10, atol=1e-14)
    linalg.solve(lower, b)
    np.testing.assert_allclose(b, expected @ np.ones(4), rtol=1e-10)
    assert linalg.log_determinant(lower) == pytest.approx(np.linalg.slogdet(a[np.ix_(keep, keep)])[1])


def test_an_indefinite_matrix_is_refused() -> None:
    assert not linalg.cholesky(np.array([[1.0, 2.0], [2.0, 1.0]]))
    assert not linalg.cholesky(np.array([[np.nan, 0.0], [0.0, 1.0]]))


@pytest.mark.parametrize("p", SIZES)
@pytest.mark.parametrize("spread", [1.0, 1e8])
def test_eigen_reconstructs(p: int, spread: float) -> None:
    d = np.geomspace(1.0, spread, p)
    a = d[:, None] * crossproduct(p) * d
    values, vectors = np.empty(p), np.empty((p, p))
    linalg.eigen(a.copy(), values, vectors)
    np.testing.assert_allclose(np.sort(values), np.linalg.eigvalsh(a), rtol=1e-9, atol=1e-14 * values.max())
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(p), atol=1e-13)
    np.testing.assert_allclose(vectors @ np.diag(values) @ vectors.T, a, atol=1e-13 * np.abs(a).max())


def test_products() -> None:
    rng = np.random.default_rng(3)
    a, b, x = rng.normal(size=(3, 4)), rng.normal(size=(4, 2)), rng.normal(size=4)
    out, vector = np.empty((3, 2)), np.empty(3)
    linalg.multiply(a, b, out)
    linalg.apply(a, x, vector)
    np.testing.assert_allclose(out, a @ b, rtol=1e-13)
    np.testing.assert_allclose(vector, a @ x, rtol=1e-13)
    s = a.T @ a
    assert linalg.quadratic(s, x) == pytest.approx(x @ s @ x)
    assert linalg.dot(x, x) == pytest.approx(x @ x)

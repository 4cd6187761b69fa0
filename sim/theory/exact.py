"""Exact size of the iid t-test of one data set whose residual variance differs between schools.

|b_j / se_j| > c is the event that a quadratic form in Gaussian errors is positive; its probability is Imhof's integral
over the eigenvalues of that form, in a basis of [X_g, B_g] school by school. `sizes` needs no eigenvalues where all
schools have one residual variance.
"""

from __future__ import annotations

import numpy as np

from nestbench.sim.observed.batch import Floats, Ints
from nestbench.sim.theory.imhof import positive_probability


def uneven_sizes(joint: Floats, residual: Floats, sizes: Ints, contrasts: Floats, critical: float) -> Floats:
    """Return the sizes [k] of the iid t(N - p) tests of some contrasts.

    Parameters
    ----------
    joint : float64 [G, p + q, p + q]
        W_g'W_g of W_g = [X_g B_g]; errors have covariance residual_g I + B_g B_g'.
    residual : float64 [G]
        Residual variances.
    sizes : int64 [G]
        Students.
    contrasts : float64 [k, p]
    critical : float
        Critical value of |t|.
    """
    from scipy.linalg import block_diag

    n, p = int(sizes.sum()), contrasts.shape[1]
    m = np.linalg.inv(joint[:, :p, :p].sum(axis=0))
    roots = [_square_root(cross) for cross in joint]
    x = np.concatenate([root[:, :p] for root in roots])
    half = block_diag(*[_covariance_root(r[:, p:], d) for r, d in zip(roots, residual, strict=True)])
    # outside the span of a school's [X_g, B_g] its errors are white
    outside = np.array([size - len(root) for size, root in zip(sizes, roots, strict=True)], dtype=np.float64)
    projected = half.T @ x
    inner = half.T @ half - projected @ m @ projected.T
    found = []
    for contrast in contrasts:
        a, kappa = projected @ m @ contrast, critical**2 * float(contrast @ m @ contrast) / (n - p)
        values = np.linalg.eigvalsh(np.outer(a, a) - kappa * inner)
        weights = np.concatenate([values, -kappa * residual])
        found.append(positive_probability(weights, np.concatenate([np.ones(len(values)), outside])))
    return np.array(found)


def _square_root(joint: Floats) -> Floats:
    """Return Q'W [r, columns] for an orthonormal basis Q of the r-dimensional span of W, from W'W."""
    values, vectors = np.linalg.eigh(joint)
    kept = values > 1e-12 * max(values[-1], 1e-300)
    return np.asarray((np.sqrt(values[kept]) * vectors[:, kept]).T, dtype=np.float64)


def _covariance_root(b: Floats, noise: float) -> Floats:
    """Return H with H H' = noise I + b b'."""
    return np.asarray(np.linalg.cholesky(noise * np.eye(len(b)) + b @ b.T), dtype=np.float64)

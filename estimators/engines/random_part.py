"""The random part of a model as kernels read it, and its variance components in the coordinates of the terms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nestbench.estimators.engines.mixed_textbook import free_entries
from nestbench.estimators.moments.school_moments import SchoolMoments
from nestbench.sim.observed.batch import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class RandomPart:
    """Z = (column of W + `offset`) * `unit`, u as named = `back` u / s_y, theta_a = Lambda[rows[a], cols[a]].

    Correlated intercept and slopes are the same model in the pivoted columns as in the raw ones; a diagonal
    covariance, or slopes without an intercept, are not: there the offset undoes the pivot.

    Attributes
    ----------
    offset, unit : float64 [R, q]
    back : float64 [R, q, q]
    rows, cols : int64 [m]
    raw : bool
        Whether the pivot is undone.
    """

    offset: Floats
    unit: Floats
    back: Floats
    rows: Ints
    cols: Ints
    raw: bool

    @property
    def arrays(self) -> tuple[Floats, Floats, Ints, Ints]:
        """What kernels take."""
        return self.offset, self.unit, self.rows, self.cols

    def relative(self, theta: Floats) -> Floats:
        """Return Var(u)/sigma^2 of the random effects as named [R, q, q]."""
        factor = np.zeros_like(self.back)
        factor[:, self.rows, self.cols] = theta
        return self._product(self._product(self.back, factor), None)

    def factor_of(self, relative: Floats) -> Floats:
        """Return the theta [R, m] of which `relative` is the covariance [R, q, q]: the inverse of that method.

        Lambda is the Cholesky factor of back^-1 Psi back^-T; a column whose pivot vanishes is zero.
        """
        inverse = np.linalg.inv(self.back)
        psi = inverse @ relative @ np.swapaxes(inverse, 1, 2)
        return np.ascontiguousarray(semidefinite_factor(psi)[:, self.rows, self.cols])

    def _product(self, a: Floats, b: Floats | None) -> Floats:
        """Return a b, or a a' where `b` is None.

        Elementwise sums and not matmul: BLAS may add in another order for another number of matrices, and stored bytes
        must not depend on how replications were cut into batches.
        """
        other = np.swapaxes(a, 1, 2) if b is None else b
        out = np.zeros_like(a)
        for k in range(a.shape[1]):
            out += a[:, :, k, None] * other[:, None, k, :]
        return out


PIVOT = 1e-14
"""A pivot below this share of its variance is a zero."""


def semidefinite_factor(matrix: Floats) -> Floats:
    """Return the lower triangular L with L L' = `matrix` [R, q, q], positive semidefinite; NaN where that is NaN."""
    q = matrix.shape[1]
    rest, factor = matrix.copy(), np.zeros_like(matrix)
    for j in range(q):
        pivot = rest[:, j, j]
        # "not <=", so that NaN stays NaN and isn't taken for a zero.
        positive = ~(pivot <= PIVOT * matrix[:, j, j])
        root = np.sqrt(np.where(positive, pivot, 1.0))
        column = np.where(positive[:, None], rest[:, j:, j] / root[:, None], 0.0)
        factor[:, j:, j] = column
        rest[:, j:, j:] -= column[:, :, None] * column[:, None, :]
    return factor


def random_part_of(moments: SchoolMoments, diagonal: bool) -> RandomPart:
    """Return the random part of a model's moments.

    Parameters
    ----------
    moments : SchoolMoments
    diagonal : bool
        Whether the covariance of the random effects is diagonal: then the pivot is undone, for a shift of a covariate
        correlates intercept and slope.
    """
    z = moments.z
    reps, q = len(moments.scale), len(z)
    pivot, scale = moments.pivot[:, z], moments.scale[:, z]
    raw = diagonal or 0 not in z
    offset = pivot * scale if raw else np.zeros((reps, q))
    # Powers of two: scaling loses no digit.
    unit = 2.0 ** -np.round(0.5 * np.log2(1.0 + offset**2))
    back = np.zeros((reps, q, q))
    index = np.arange(q)
    back[:, index, index] = scale * unit
    if not raw:
        at = int(np.flatnonzero(z == 0)[0])
        back[:, at] -= pivot * scale
        back[:, at, at] = 1.0
    free = np.array(free_entries(q, diagonal), dtype=np.int64)
    return RandomPart(offset, unit, back, free[:, 0].copy(), free[:, 1].copy(), raw)

"""A model's columns over several data sets, moved and scaled so that cross-products keep their digits.

With an intercept every other column is taken about its mean over all rows, then each is divided by its root mean
square. Coefficients as named are a linear map of those of the moved columns: the rows of `contrasts`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nestbench.sim.observed.batch import Batch, Floats, Ints
from nestbench.sim.observed.design import Design
from nestbench.sim.theory.rows import Rows, rows_of_batch


@dataclass(frozen=True, slots=True, eq=False)
class Standardised:
    """Columns, their cross-products, and how coefficients follow.

    Attributes
    ----------
    rows : float64 [p, N]
        The moved columns of R data sets.
    contrasts : float64 [p, p]
        Coefficient j as named is ``contrasts[j] @ moved coefficients``.
    gram, inverse : float64 [R, p, p]
        X'X of each data set and its (pseudo-)inverse.
    offsets : int64 [R + 1]
        First row of each data set.
    full_rank : bool
        Whether X'X is regular in every data set.
    """

    rows: Floats
    contrasts: Floats
    gram: Floats
    inverse: Floats
    offsets: Ints
    full_rank: bool

    def regress(self, y: Floats) -> Floats:
        """Return the least-squares coefficients [R, p] of y [N] on the moved columns."""
        products = np.add.reduceat(self.rows * y, self.offsets[:-1], axis=1)
        return np.asarray(np.einsum("rij,jr->ri", self.inverse, products))

    def fitted(self, coefficients: Floats) -> Floats:
        """Return the fitted values [N] of coefficients [R, p]."""
        spread = np.repeat(coefficients, np.diff(self.offsets), axis=0)
        return np.asarray(np.einsum("np,pn->n", spread, self.rows))


def standardised(design: Design, batch: Batch) -> Standardised:
    """Return the columns of a model over all data sets of a batch."""
    return standardised_on(rows_of_batch(batch), design.fixed(batch), design)


def standardised_on(on: Rows, x: Floats, design: Design) -> Standardised:
    """Return the columns X' [p, N] of a model on some rows.

    A column that isn't finite everywhere (``1 / (age - age)``) is one of zeros: of no rank, and nothing is known of it.
    """
    x = np.where(np.isfinite(x).all(axis=1, keepdims=True), x, 0.0)
    p, contrasts = len(x), np.eye(len(x))
    centre = np.zeros(p)
    if design.intercept:
        first = design.terms.index("Intercept")
        centre = (x * on.unit).sum(axis=1) / (on.unit**2).sum()
        centre[first] = 0.0
    rows = x - centre[:, None] * on.unit
    scale = np.sqrt((rows**2).sum(axis=1) / (on.unit**2).sum())
    # a constant column is nothing but rounding once its mean is taken away
    scale[scale <= 1e-12 * np.abs(x).max(axis=1, initial=0.0)] = np.inf
    rows /= scale[:, None]
    contrasts /= np.where(np.isinf(scale), 1.0, scale)
    if design.intercept:
        contrasts[first] -= centre @ contrasts
    gram = by_row_products(rows, rows, on.offsets)
    values = np.linalg.eigvalsh(gram)
    return Standardised(
        rows=rows,
        contrasts=contrasts,
        gram=gram,
        inverse=np.asarray(np.linalg.pinv(gram, rcond=1e-10, hermitian=True), dtype=np.float64),
        offsets=on.offsets,
        full_rank=bool((values[:, 0] > 1e-10 * values[:, -1]).all()),
    )


def by_row_products(a: Floats, b: Floats, offsets: Ints) -> Floats:
    """Return A_s B_s' [S, k, l] of columns a [k, N] and b [l, N], over the rows of each of S segments.

    Parameters
    ----------
    a, b : float64 [k, N], [l, N]
    offsets : int64 [S + 1]
        First row of each segment.
    """
    sums = np.empty((len(offsets) - 1, len(a), len(b)))
    for i, row in enumerate(a):
        sums[:, i, :] = np.add.reduceat(row * b, offsets[:-1], axis=1).T
    return sums

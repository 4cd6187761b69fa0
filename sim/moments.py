"""School cross-products: the statistic every fast engine works from.

For one model, W = [1, X without its intercept, Z columns not in X, y] of a replication is shifted by a pivot and scaled,
and each school is reduced to its cross-product W_g'W_g. Nothing else of a school enters OLS, CR0-CR3, the jackknife,
the wild bootstrap, within and between estimators or a Gaussian mixed model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nestbench.sim.batch import Batch, Floats, Ints
from nestbench.sim.design import design_of
from nestbench.sim.model import Model


@dataclass(frozen=True, slots=True, eq=False)
class SchoolMoments:
    """Cross-products of the S schools of a batch, R replications, d columns of W.

    Attributes
    ----------
    cross : float64 [S, d, d]
        W_g'W_g of the pivoted, scaled columns ``(w - pivot) * scale``. Column 0 is the constant 1, so ``cross[:, 0, 0]``
        are the school sizes and ``cross[:, 0]`` the school sums; the last column is y.
    replication_offsets : int64 [R + 1]
        First school of each replication.
    x : int64 [p]
        Which columns of W are X, in the order of the design's terms (0 for the intercept).
    z : int64 [q]
        Which columns of W are Z.
    pivot, scale : float64 [R, d]
        Per replication; pivot 0 and scale 1 for column 0; pivot 0 everywhere when the model has no intercept. Scales are
        powers of two, so that scaling is exact.
    contrasts : float64 [R, p, p]
        beta = contrasts @ beta_pivoted + shift gives the coefficients of the terms as named; so does
        Var(beta) = contrasts Var(beta_pivoted) contrasts'.
    shift : float64 [R, p]
    estimable : bool [R, p]
        Whether each term is estimable (its unit vector is in the row space of X).
    """

    cross: Floats
    replication_offsets: Ints
    x: Ints
    z: Ints
    pivot: Floats
    scale: Floats
    contrasts: Floats
    shift: Floats
    estimable: npt.NDArray[np.bool_]


def moments_of(batch: Batch, model: Model) -> SchoolMoments:
    """Return the school moments of a model (call it as ``batch.once(moments_of, model)``)."""
    design = batch.once(design_of, model)
    x_rows, z_rows, y = design.fixed(batch), design.random(batch), design.outcome(batch)
    names = ["Intercept", *[t for t in design.terms if t != "Intercept"]]
    names += [t for t in design.random_terms if t not in names]
    rows = {"Intercept": np.ones(batch.rows)}
    rows |= dict(zip(design.random_terms, z_rows, strict=True)) | dict(zip(design.terms, x_rows, strict=True))
    w = np.vstack([*[rows[name] for name in names], y])
    d, p, reps = len(w), len(design.terms), batch.size
    x = np.array([names.index(t) for t in design.terms], dtype=np.int64)
    z = np.array([names.index(t) for t in design.random_terms], dtype=np.int64)
    cross = np.empty((len(batch.school_offsets) - 1, d, d))
    pivot, scale = np.zeros((reps, d)), np.ones((reps, d))
    contrasts, shift = np.zeros((reps, p, p)), np.zeros((reps, p))
    estimable = np.ones((reps, p), dtype=bool)
    for r in range(reps):
        sample = batch.replication(r)
        v = w[:, sample.rows].copy()
        if design.intercept:
            pivot[r, 1:] = v[1:].mean(axis=1)
            v -= pivot[r][:, None]
        scale[r, 1:] = 2.0 ** -np.round(np.log2(np.maximum(np.sqrt((v[1:] ** 2).mean(axis=1)), 1e-300)))
        v *= scale[r][:, None]
        start, stop = batch.replication_offsets[r : r + 2]
        for s in range(start, stop):
            first = batch.school_offsets[s] - sample.rows.start
            last = batch.school_offsets[s + 1] - sample.rows.start
            cross[s] = v[:, first:last] @ v[:, first:last].T
        contrasts[r] = np.diag(scale[r][x] / scale[r, -1])
        if design.intercept:
            k = int(np.flatnonzero(x == 0)[0])
            contrasts[r, k] -= pivot[r][x] * np.diag(contrasts[r])
            contrasts[r, k, k] = 1.0 / scale[r, -1]
            shift[r, k] = pivot[r, -1]
        rank = np.linalg.matrix_rank(v[x])
        if rank < p:
            estimable[r] = [np.linalg.matrix_rank(np.delete(v[x], j, axis=0)) < rank for j in range(p)]
    return SchoolMoments(cross, batch.replication_offsets, x, z, pivot, scale, contrasts, shift, estimable)

"""A second, well-conditioned pass where columns are nearly dependent: the same moments, from orthogonal columns.

The columns of X are made orthogonal in the data themselves by modified Gram-Schmidt, and y is replaced by its residual,

    W_j = V_j + sum_k R_kj V_k,      y = e + sum_k b_k V_k,

and the cross-products are those of (V, e), whose condition number is about 1. The coefficients of W are then
``R^-1 (coefficients of e on V + b)``: exact algebra, whatever the rounding in R and b. Columns of Z stay as they are.
(Yamamoto et al. 2015, "CholeskyQR2", for the idea.)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nestbench.estimators.moments.blocks import dot
from nestbench.estimators.moments.crossproducts import NOISE, cross_products, evaluate_all, rescale
from nestbench.sim.compiled import kernel
from nestbench.sim.observed.batch import Floats, Ints

EPS = float(np.finfo(np.float64).eps)
DEPENDENT = 1e-8
"""Least length of a refined column relative to the column; below, the replication is left to the careful engine."""


@kernel
def refine_schools(
    replications: Ints,
    starts: Ints,
    kinds: Ints,
    addresses: Ints,
    levels: Ints,
    school_offsets: Ints,
    replication_offsets: Ints,
    x: Ints,
    fixed: Ints,
    intercept: bool,
    scratch: Floats,
    cross: Floats,
    pivot: Floats,
    scale: Floats,
    contrasts: Floats,
    shift: Floats,
    regular: Any,
) -> None:
    """Fill the moments of some replications anew, from columns made orthogonal.

    A kernel apart, because few data sets need it and it takes as long to compile as the other.

    Parameters
    ----------
    replications : int64
        Which, as `reduce_schools` says; it has filled everything else here.
    fixed : int64 [d]
        1 for the columns of Z, which are not to be refined.
    """
    d, p = len(starts) - 1, len(x)
    total, upper, removed = np.empty((d, d)), np.empty((d, d)), np.empty(d)
    for r in replications:
        first, last = replication_offsets[r], replication_offsets[r + 1]
        n = school_offsets[last] - school_offsets[first]
        evaluate_all(
            starts, kinds, addresses, levels, school_offsets, first, last, intercept, scratch, pivot[r]
        )
        cross_products(scratch, school_offsets, first, last, cross, total)
        independent = _orthogonalise(scratch, n, x, fixed, pivot[r], total, upper, removed)
        regular[r] = independent and n > p
        cross_products(scratch, school_offsets, first, last, cross, total)
        rescale(cross, first, last, total, n, scale[r])
        _refined_contrasts(x, intercept, pivot[r], scale[r], upper, removed, contrasts[r], shift[r])


@kernel
def _orthogonalise(
    scratch: Floats,
    n: int,
    x: Ints,
    fixed: Ints,
    pivot: Floats,
    total: Floats,
    upper: Floats,
    removed: Floats,
) -> bool:
    """Make the columns of X orthogonal and y their residual, in place; return whether both are plainly there.

    Columns of Z come first and stay; a dependent column becomes zeros. `upper` is R, `removed` is b.
    """
    p, y = len(x), total.shape[0] - 1
    order = np.empty(p, np.int64)
    k = 0
    for pick in (1, 0):
        for j in x:
            if fixed[j] == pick:
                order[k] = j
                k += 1
    # A column's rounding errors are of its raw values, `spread` times as long as it is after its mean has gone.
    spread = 1.0
    for j in x:
        spread = max(spread, math.sqrt(1.0 + n * pivot[j] * pivot[j] / max(total[j, j], 1e-300)))
    least = max(DEPENDENT, 64.0 * EPS * n * spread)
    full = True
    size = max(abs(pivot[y]), math.sqrt(total[y, y] / n))
    _identity(upper)
    removed[:] = 0.0
    for c in range(p + 1):
        j = order[c] if c < p else y
        for b in range(c):
            k = order[b]
            if c < p and fixed[j] == 1:
                continue
            square = dot(scratch[k], scratch[k], 0, n)
            weight = dot(scratch[k], scratch[j], 0, n) / square if square > 0.0 else 0.0
            for i in range(n):
                scratch[j, i] -= weight * scratch[k, i]
            if c < p:
                upper[k, j] = weight
            else:
                removed[k] = weight
        if c < p:
            length = math.sqrt(dot(scratch[j], scratch[j], 0, n))
            if not length > least * math.sqrt(total[j, j]):
                full = False
                if fixed[j] == 0:
                    for i in range(n):
                        scratch[j, i] = 0.0
    return full and dot(scratch[y], scratch[y], 0, n) > n * (NOISE * size) ** 2


@kernel
def _identity(a: Floats) -> None:
    """Make a matrix the identity, in a loop for numba's sake."""
    a[:] = 0.0
    for j in range(a.shape[0]):
        a[j, j] = 1.0


@kernel
def _refined_contrasts(
    x: Ints,
    intercept: bool,
    pivot: Floats,
    scale: Floats,
    upper: Floats,
    removed: Floats,
    contrasts: Floats,
    shift: Floats,
) -> None:
    """Write the same of refined columns: slopes are ``R^-1 (D beta + b)``."""
    p, y = len(x), len(scale) - 1
    column = np.empty(len(scale))
    for c in range(p + 1):
        for b in range(len(column)):
            column[b] = removed[b] if c == p else 0.0
        if c < p:
            column[x[c]] = scale[x[c]] / scale[y]
        _solve_upper(upper, x, column)
        for a in range(p):
            value = column[x[a]]
            if intercept and x[a] == 0:
                for b in range(p):
                    value -= pivot[x[b]] * column[x[b]]
            if c < p:
                contrasts[a, c] = value
            else:
                shift[a] = value + (pivot[y] if x[a] == 0 else 0.0)


@kernel
def _solve_upper(upper: Floats, x: Ints, column: Floats) -> None:
    """Overwrite `column` by R^-1 column; R is unit triangular in the order of refinement, so p sweeps suffice."""
    d = len(column)
    out, previous = np.zeros(d), np.zeros(d)
    for _ in range(len(x) + 1):
        for j in x:
            out[j] = column[j]
            for k in x:
                if k != j:
                    out[j] -= upper[j, k] * previous[k]
        for j in x:
            previous[j] = out[j]
    for j in x:
        column[j] = out[j]

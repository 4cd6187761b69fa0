"""Least squares from school cross-products.

With C_g = W_g'W_g, A = sum_g C_g over X and M = A^-1,

    beta = M sum_g X_g'y_g,   RSS = y'y - beta'X'y,   s_g = X_g'e_g = X_g'y_g - X_g'X_g beta.

`within` and `between` make the cross-products of two other regressions, which are then fitted by the same kernel: of
deviations from school means, ``C_g - t_g t_g'/n_g`` with the school totals t_g = W_g'1 (school dummies), and of school
means, ``w_g (t_g/n_g)(t_g/n_g)'``. Columns that have no place in them become exact zeros, which `linalg` takes as
dropped.

Data are *regular* when no digits were lost on the way: every column keeps a share of at least `SHARE` of its sum of
squares beside the columns before it, and so does y. Normal equations square the condition number, so data that fail
this are left to the reference engine, which works on X itself by QR or SVD; the tests hold both to the
same numbers where both answer.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from nestbench.estimators.kernels.linalg import cholesky, inverse, solve
from nestbench.sim.compiled import kernel
from nestbench.sim.observed.batch import Floats, Ints

Mask = npt.NDArray[np.bool_]

SHARE = 1e-5
"""Least share of its sum of squares that a column must keep beside the columns before it: at 1e-5 some 11 of 16 digits
are left in the cross-products.
"""
CONSTANT = 1e-12
"""A share of the sum of squares within schools below this is rounding: the column is constant within schools."""


@kernel
def fit(
    cross: Floats,
    offsets: Ints,
    x: Ints,
    contrasts: Floats,
    shift: Floats,
    estimate: Floats,
    unscaled: Floats,
    lower: Floats,
    influence: Floats,
    scores: Floats,
    rss: Floats,
    rank: Ints,
    regular: Mask,
) -> None:
    """Fit every replication.

    Writes into arrays of the caller, as all kernels do: one call allocates nothing that grows with R, and the results
    land where `Estimates` will hold them.

    Parameters
    ----------
    cross [S, d, d], offsets [R + 1], x [p], contrasts [R, p, p], shift [R, p]
        As in `SchoolMoments`.
    estimate, unscaled : float64 [R, p]
        Coefficients of the terms as named, and their variances / sigma^2. Written, as all that follows.
    lower, influence : float64 [R, p, p]
        Cholesky factor L of A; contrasts A^-1, which takes a school's score to its influence on the terms.
    scores : float64 [S, p]
        X_g'e_g: all that a cluster-robust variance needs of the residuals.
    rss : float64 [R]
    rank : int64 [R]
        Number of columns that aren't dropped.
    regular : bool [R]
        Cleared where digits were lost; what is written there is not to be used.
    """
    p, y = len(x), cross.shape[1] - 1
    m, beta = np.empty((p, p)), np.empty(p)
    for r in range(len(rss)):
        first, last = offsets[r], offsets[r + 1]
        a = lower[r]
        squares = _sum_columns(cross, first, last, x, a, beta)
        rank[r] = 0
        for j in range(p):
            # The diagonal before the factorisation, kept where the estimates will be: shares are judged
            # beside it.
            estimate[r, j] = a[j, j]
            # Dropped columns are exact zeros, made by `_drop`; nothing else is.
            rank[r] += a[j, j] != 0.0
        total = beta.copy()
        regular[r] = regular[r] and cholesky(a)
        for j in range(p):
            if not a[j, j] * a[j, j] >= SHARE * estimate[r, j]:
                regular[r] = False
        inverse(a, m)
        solve(a, beta)
        rss[r] = squares
        for j in range(p):
            rss[r] -= beta[j] * total[j]
        # y'y - beta'X'y has lost the digits by which it is smaller than y'y.
        if not rss[r] > SHARE * squares:
            regular[r] = False
        for g in range(first, last):
            for i in range(p):
                score = cross[g, x[i], y]
                for j in range(p):
                    score -= cross[g, x[i], x[j]] * beta[j]
                scores[g, i] = score
        for i in range(p):
            estimate[r, i] = shift[r, i]
            unscaled[r, i] = 0.0
            for j in range(p):
                estimate[r, i] += contrasts[r, i, j] * beta[j]
                value = 0.0
                for k in range(p):
                    value += contrasts[r, i, k] * m[k, j]
                influence[r, i, j] = value
                unscaled[r, i] += value * contrasts[r, i, j]


@kernel
def _sum_columns(cross: Floats, first: int, last: int, x: Ints, a: Floats, xy: Floats) -> float:
    """Write X'X and X'y over some schools; return y'y.

    `first` and `last` are the schools of one replication, the last one excluded; `a` [p, p] and `xy` [p] are
    overwritten.
    """
    p, y = len(x), cross.shape[1] - 1
    for i in range(p):
        xy[i] = 0.0
        for j in range(p):
            a[i, j] = 0.0
    squares = 0.0
    for g in range(first, last):
        squares += cross[g, y, y]
        for i in range(p):
            xy[i] += cross[g, x[i], y]
            for j in range(i + 1):
                a[i, j] += cross[g, x[i], x[j]]
    for i in range(p):
        for j in range(i):
            a[j, i] = a[i, j]
    return squares


@kernel
def within(cross: Floats, offsets: Ints, out: Floats, kept: Mask, clear: Mask) -> None:
    """Write the cross-products of deviations from school means [S, d, d]; columns constant in all schools become zero.

    By Frisch, Waugh and Lovell the slopes of a regression with school dummies are those of deviations from school
    means; the dummies themselves never
    become columns.

    Parameters
    ----------
    cross : float64 [S, d, d]
    offsets : int64 [R + 1]
    out : float64 [S, d, d]
        Written.
    kept : bool [R, d]
        Written: the columns that vary within some school.
    clear : bool [R]
        Written: whether that was clear, with digits to spare. A column that varies by little more than rounding is
        neither constant nor usable, and its data go to the reference.
    """
    d = cross.shape[1]
    before, after = np.empty(d), np.empty(d)
    for r in range(len(clear)):
        for j in range(d):
            before[j] = after[j] = 0.0
        for g in range(offsets[r], offsets[r + 1]):
            for i in range(d):
                for j in range(d):
                    out[g, i, j] = cross[g, i, j] - cross[g, i, 0] * (cross[g, 0, j] / cross[g, 0, 0])
            for j in range(d):
                before[j] += cross[g, j, j]
                after[j] += out[g, j, j]
        clear[r] = after[d - 1] > SHARE * before[d - 1]
        for j in range(d):
            # Column 0 is the constant, which the dummies hold.
            kept[r, j] = j > 0 and after[j] > CONSTANT * before[j]
            if kept[r, j] and not after[j] > SHARE * before[j]:
                clear[r] = False
        _drop(out, offsets[r], offsets[r + 1], kept[r])


@kernel
def between(cross: Floats, offsets: Ints, by_size: bool, out: Floats, kept: Mask, clear: Mask) -> None:
    """Write the cross-products of school means [S, d, d], weighted 1 or by size; columns that vary within become zero.

    A regression of school means can only have columns that are constant in schools: a column that varies within is
    dropped, for its mean is another variable. `kept` and `clear` as in `within`.

    Parameters
    ----------
    by_size : bool
        Weight each school by its students, as OLS on students would; else every school counts once.
    """
    d = cross.shape[1]
    inner, whole = np.empty(d), np.empty(d)
    for r in range(len(clear)):
        for j in range(d):
            inner[j] = whole[j] = 0.0
        for g in range(offsets[r], offsets[r + 1]):
            n = cross[g, 0, 0]
            # Sums t_g stand for means: 1/n^2 makes them means, and a weight of n leaves 1/n.
            weight = 1.0 / n if by_size else 1.0 / (n * n)
            for i in range(d):
                whole[i] += cross[g, i, i]
                inner[i] += cross[g, i, i] - cross[g, i, 0] * (cross[g, 0, i] / n)
                for j in range(d):
                    out[g, i, j] = weight * cross[g, i, 0] * cross[g, 0, j]
        clear[r] = True
        for j in range(d):
            kept[r, j] = j == d - 1 or inner[j] <= CONSTANT * whole[j]
            if not kept[r, j] and not inner[j] > SHARE * whole[j]:
                clear[r] = False
        _drop(out, offsets[r], offsets[r + 1], kept[r])


@kernel
def _drop(cross: Floats, first: int, last: int, kept: Mask) -> None:
    """Zero the rows and columns that aren't kept, in the schools of one replication: `linalg` then takes them as
    dropped.
    """
    for g in range(first, last):
        for i in range(len(kept)):
            for j in range(len(kept)):
                if not (kept[i] and kept[j]):
                    cross[g, i, j] = 0.0


@kernel
def naive_variance(unscaled: Floats, rss: Floats, residual_df: Floats, variance: Floats) -> None:
    """Write ``RSS / df (X'X)^-1`` of the terms [R, p]; NaN where no residual df are left.

    Right if errors are independent with equal variance, which students of one school are not: the standard errors that
    the experiments are about.
    """
    for r in range(len(rss)):
        for j in range(unscaled.shape[1]):
            variance[r, j] = unscaled[r, j] * rss[r] / residual_df[r] if residual_df[r] > 0 else math.nan

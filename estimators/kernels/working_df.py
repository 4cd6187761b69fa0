"""Satterthwaite degrees of freedom of CR0, CR3 and the jackknife under iid errors, from school cross-products.

As CR2's in `kernels.sandwich`, with other adjustments: with K_g = Q_g'Q_g and u = L^-1 c, a school's influence is
``psi_g = w_g'L^-1 s_g``, w_g = u (CR0; the scalings of CR1 cancel) or w_g = (I - K_g)^-1 u (CR3). Under iid errors the
psi_g have the covariance ``Omega = diag(d_g) - B'B``, ``d_g = w_g'K_g w_g``, ``b_g = K_g w_g`` the columns of B, and
``df = tr(Omega)^2 / tr(Omega^2)`` (Bell & McCaffrey 2002).

The jackknife's squares are about their mean, so its matrix is C Omega C with C = I - 11'/G:

    tr(C Omega C) = tr(Omega) - 1'Omega 1 / G,
    tr((C Omega C)^2) = tr(Omega^2) - 2 |Omega 1|^2 / G + (1'Omega 1)^2 / G^2,

and with s = sum_g b_g, ``1'Omega 1 = sum d_g - s's`` and ``|Omega 1|^2 = sum (d_g - b_g's)^2``.
"""

from __future__ import annotations

import math

import numpy as np

from nestbench.estimators.kernels.linalg import cholesky, invert_lower, multiply, solve
from nestbench.estimators.kernels.sandwich import Mask, leverage
from nestbench.sim.compiled import kernel
from nestbench.sim.observed.batch import Floats, Ints

LOST = 1e-5
"""Where less than this share of sum d_g^2 remains in tr(Omega^2), too many digits are lost: for the reference."""


@kernel
def working_df(
    cross: Floats,
    offsets: Ints,
    x: Ints,
    contrasts: Floats,
    lower: Floats,
    inverted: bool,
    centred: bool,
    df: Floats,
    regular: Mask,
) -> None:
    """Write the degrees of freedom of the terms [R, p]: CR0's, CR3's (inverted), the jackknife's (centred, too).

    They answer the question that `reference = "satterthwaite"` asks of these variances: of which scaled chi-squared
    variable would the variance be, if errors were independent with equal variance? Software usually offers G - 1 here.

    Parameters
    ----------
    cross, offsets, x, contrasts, lower : as in `sandwich.cr2`
    inverted : bool
        Whether a school's residuals are multiplied by (I - H_gg)^-1 (CR3, the jackknife).
    centred : bool
        Whether squares are about their mean (the jackknife).
    df : float64 [R, p]
        Written; NaN where `regular` was false or is cleared.
    regular : bool [R]
        Cleared where digits were lost.
    """
    p = len(x)
    inverse, k, rest = np.empty((p, p)), np.empty((p, p)), np.empty((p, p))
    w, b, u = np.empty((p, p)), np.empty((p, p)), np.empty((p, p))
    sums, vectors, outer = np.empty((p, 4)), np.empty((2, p, p)), np.empty((p, p, p))
    for r in range(df.shape[0]):
        for j in range(p):
            df[r, j] = math.nan
        if not regular[r]:
            continue
        invert_lower(lower[r], inverse)
        _rotated(inverse, contrasts[r], u)
        _clear(sums, vectors, outer)
        for g in range(offsets[r], offsets[r + 1]):
            leverage(cross[g], x, inverse, k, rest)
            if not _adjusted(u, k, inverted, rest, w):
                regular[r] = False
                break
            multiply(k, w, b)
            _accumulate(w, b, sums, vectors, outer)
        if regular[r]:
            schools = offsets[r + 1] - offsets[r]
            regular[r] = _ratios(schools, centred, sums, vectors, outer, df[r])


@kernel
def _rotated(inverse: Floats, contrasts: Floats, u: Floats) -> None:
    """Write L^-1 c of every term, a column each."""
    p = len(u)
    for j in range(p):
        for i in range(p):
            u[i, j] = 0.0
            for h in range(i + 1):
                u[i, j] += inverse[i, h] * contrasts[j, h]


@kernel
def _clear(sums: Floats, vectors: Floats, outer: Floats) -> None:
    """Zero the sums over schools of one replication."""
    p = len(sums)
    for j in range(p):
        for i in range(4):
            sums[j, i] = 0.0
        for i in range(p):
            vectors[0, j, i] = vectors[1, j, i] = 0.0
            for h in range(p):
                outer[j, i, h] = 0.0


@kernel
def _adjusted(u: Floats, k: Floats, inverted: bool, rest: Floats, w: Floats) -> bool:
    """Write w of every term, a column each: u, or (I - K)^-1 u when inverted.

    Returns False where I - K is not positive definite: a coefficient hangs on this school alone.
    """
    p = len(w)
    for i in range(p):
        for j in range(p):
            w[i, j] = u[i, j]
            rest[i, j] = (1.0 if i == j else 0.0) - k[i, j]
        if inverted and not rest[i, i] > 0.0:
            return False
    if inverted:
        if not cholesky(rest):
            return False
        for j in range(p):
            solve(rest, w[:, j])
    return True


@kernel
def _accumulate(w: Floats, b: Floats, sums: Floats, vectors: Floats, outer: Floats) -> None:
    """Add one school: d, b'b, d^2, d b'b; b and d b; b b' of every term."""
    p = len(w)
    for j in range(p):
        d = square = 0.0
        for i in range(p):
            d += w[i, j] * b[i, j]
            square += b[i, j] * b[i, j]
        sums[j, 0] += d
        sums[j, 1] += square
        sums[j, 2] += d * d
        sums[j, 3] += d * square
        for i in range(p):
            vectors[0, j, i] += b[i, j]
            vectors[1, j, i] += d * b[i, j]
            for h in range(p):
                outer[j, i, h] += b[i, j] * b[h, j]


@kernel
def _ratios(schools: int, centred: bool, sums: Floats, vectors: Floats, outer: Floats, df: Floats) -> bool:
    """Write tr(Omega)^2 / tr(Omega^2), of C Omega C when centred; return whether the digits sufficed.

    Both traces are differences of sums that can be much larger than they are, when few schools carry a term.
    """
    p, enough = len(df), True
    for j in range(p):
        trace, squares = sums[j, 0] - sums[j, 1], sums[j, 2] - 2.0 * sums[j, 3]
        whole, along = sums[j, 0], sums[j, 2]
        for i in range(p):
            whole -= vectors[0, j, i] * vectors[0, j, i]
            along -= 2.0 * vectors[1, j, i] * vectors[0, j, i]
            for h in range(p):
                squares += outer[j, i, h] * outer[j, i, h]
                along += vectors[0, j, i] * outer[j, i, h] * vectors[0, j, h]
        if centred:
            trace -= whole / schools
            squares += (whole * whole / schools - 2.0 * along) / schools
        # Both are sums over schools that nearly cancel where one school carries a term.
        if squares < LOST * sums[j, 2]:
            enough = False
        df[j] = trace * trace / squares
    return enough

r"""CR2 standard errors and Satterthwaite df after a generalised least squares fit, from school cross-products.

With the fitted V_g (sigma^2 = 1) as working model, C = (X'V^-1X)^-1, R_g = V_g - X_g C X_g', D'D = V_g and
A_g = D'(D R_g D')^(-1/2) D, the symmetric solution of A R A = V,

    Var = C [sum_g X_g'V_g^-1 A_g e_g e_g' A_g V_g^-1 X_g] C.

A_g is the identity outside the span of [X_g Z_g]. With the eigenvectors of its cross-product, S_g = E w E', an
orthonormal basis Q of the span has Q'[X_g Z_g] = w^(1/2) E', and all takes place in at most p + q dimensions. There
D is the symmetric root of V = U Lambda U', in whose eigenvectors D R D' is Lambda (I - H) Lambda with
H = Lambda^(-1/2) U'X C X'U Lambda^(-1/2): graded by Lambda, not ill-conditioned, however large the ICC. So
m' = l'C X'U Lambda^(-1/2) (Lambda (I - H) Lambda)^(-1/2) Lambda^(1/2) U' for a contrast l, and

    l'beta's score  m'e,   P = diag(m_g'V_g m_g) - (X_g'm_g)'C(X_h'm_h),   df = tr(P)^2/tr(P^2).

Sources: Bell & McCaffrey (2002); Pustejovsky & Tipton (2018), whose clubSandwich is the reference for the details.
"""

from __future__ import annotations

import math

import numpy as np

from nestbench.estimators.kernels.designs import most_schools, same_design
from nestbench.estimators.kernels.linalg import eigen, eigen_graded, multiply
from nestbench.estimators.kernels.mixed import MixedFits
from nestbench.estimators.kernels.slopes_likelihood import fill, gather, shrinkage
from nestbench.sim.compiled import kernel
from nestbench.sim.observed.batch import Floats, Ints

THIN = 1e-11
"""A direction of [X_g Z_g] with less than this share of the largest is left to the unadjusted score."""
DETERMINED = 1e-10
"""An eigenvalue of I - H below this is zero: the school determines a coefficient."""


@kernel
def school_basis(s: Floats, values: Floats, vectors: Floats, span: Floats) -> int:
    """Write Q'[X Z] to `span` [k, d] and return k, the dimensions of a school's span.

    Parameters
    ----------
    s : float64 [d, d]
        Cross-product of [X_g Z_g]; overwritten.
    values, vectors : float64 [d], [d, d]
        Written: eigenvalues and eigenvectors of `s` that are kept come first.
    span : float64 [d, d]
        Written.
    """
    d = s.shape[0]
    eigen(s, values, vectors)
    largest, k = 0.0, 0
    for i in range(d):
        largest = max(largest, values[i])
    for i in range(d):
        # A thin direction carries no more than rounding of the score; it stays unadjusted.
        if values[i] > THIN * largest:
            for j in range(d):
                span[k, j] = math.sqrt(values[i]) * vectors[j, i]
            values[k] = values[i]
            for j in range(d):
                vectors[j, k] = vectors[j, i]
            k += 1
    return k


@kernel
def adjusted_school(psi: Floats, c: Floats, k: int, span: Floats, v: Floats, rows: Floats) -> None:
    """Write X'V^-1(A - I) and X'V^-1A in the basis Q to `rows` [2, p, k], V to `v` [k, k]; rows and columns from k on
    are those of an identity.

    Parameters
    ----------
    psi : float64 [q, q]
        Var(u)/sigma^2.
    c : float64 [p, p]
    k, span
        From `school_basis`.
    v, rows
        Written, as said above.
    """
    p, d = len(c), len(v)
    q = d - p
    root, u, b, half, left = np.ones(d), np.empty((d, d)), np.eye(d), np.empty((d, d)), np.empty((p, d))
    for i in range(d):
        for j in range(d):
            v[i, j] = 1.0 if i == j else 0.0
            if i < k and j < k:
                for a in range(q):
                    for m in range(q):
                        v[i, j] += span[i, p + a] * psi[a, m] * span[j, p + m]
            half[i, j] = v[i, j]
    eigen(half, root, u)
    for i in range(d):
        # V is the identity plus something non-negative: its eigenvalues are at least 1.
        root[i] = math.sqrt(root[i])
        for a in range(p):
            left[a, i] = 0.0
            for m in range(k):
                left[a, i] += span[m, a] * u[m, i] / root[i]
    for i in range(d):
        for j in range(d):
            for a in range(p):
                for m in range(p):
                    b[i, j] -= left[a, i] * c[a, m] * left[m, j]
            b[i, j] *= root[i] ** 2 * root[j] ** 2
    inverse_root(b, root, half)
    for a in range(p):
        for j in range(k):
            unadjusted, adjusted = 0.0, 0.0
            for i in range(d):
                unadjusted += left[a, i] / root[i] * u[j, i]
                for m in range(d):
                    adjusted += left[a, i] * half[i, m] * root[m] * u[j, m]
            rows[0, a, j], rows[1, a, j] = adjusted - unadjusted, adjusted


@kernel
def inverse_root(b: Floats, root: Floats, out: Floats) -> None:
    """Write the Moore-Penrose (-1/2)th power of b = Lambda (I - H) Lambda, overwritten, Lambda = diag(`root`^2).

    An eigenvector x of b is one without information where the quotient x'bx / |Lambda x|^2 of I - H vanishes.
    """
    d = len(root)
    values, vectors = np.empty(d), np.empty((d, d))
    eigen_graded(b, values, vectors)
    out[:] = 0.0
    for m in range(d):
        length = 0.0
        for i in range(d):
            length += (root[i] ** 2 * vectors[i, m]) ** 2
        if values[m] > DETERMINED * length:
            for i in range(d):
                for j in range(d):
                    out[i, j] += vectors[i, m] * vectors[j, m] / math.sqrt(values[m])


@kernel
def cr2(
    cross: Floats, offsets: Ints, columns: Ints, z: Ints, offset: Floats, unit: Floats, rows: Ints, cols: Ints,
    contrasts: Floats, fits: MixedFits, variance: Floats, df: Floats,
) -> None:  # fmt: skip
    """Write CR2 variances and df [R, K] of contrasts [R, K, p]; arguments as in `random_slopes.fit`.

    The working model is the fitted one: CR2 is unbiased if V(theta) at the estimate is the truth, and stays consistent
    in the number of schools if it is not. Fits whose sigma2 is NaN are passed over.

    Parameters
    ----------
    cross, offsets, columns, z, offset, unit, rows, cols
        As in `random_slopes.fit`.
    contrasts : float64 [R, K, p]
    fits : MixedFits
    variance, df : float64 [R, K]
        Written; the variance is not in units of sigma^2, for the residuals have theirs.
    """
    p, q, terms = len(columns) - 1, len(z), contrasts.shape[1]
    d = p + q
    most = most_schools(offsets)
    total, cz, zz = np.empty((p + 1, p + 1)), np.empty((most, p + 1, q)), np.empty((most, q, q))
    lam, psi, s = np.empty((q, q)), np.empty((q, q)), np.empty((d, d))
    values, vectors, span = np.empty((most, d)), np.empty((most, d, d)), np.empty((most, d, d))
    sizes, known = np.empty(most, np.int64), -1
    used, v = np.unique(np.concatenate((columns[:p], z))), np.empty((d, d))
    parts, e, qe, m, bc = np.empty((2, p, d)), np.empty(d), np.empty(d), np.empty(d), np.empty(p)
    lc, spread, moment = np.empty((terms, p)), np.empty((terms, 2)), np.empty((terms, p, p))
    for r in range(len(offsets) - 1):
        if math.isnan(fits.sigma2[r]):
            continue
        gather(cross, offsets[r], offsets[r + 1], columns, z, offset[r], unit[r], total, cz, zz)
        fill(fits.theta[r], rows, cols, lam)
        for i in range(q):
            for j in range(q):
                psi[i, j] = 0.0
                for h in range(q):
                    psi[i, j] += lam[i, h] * lam[j, h]
        again = known >= 0 and known == r - 1 and same_design(cross, offsets, used, r)
        known = r
        multiply(contrasts[r], fits.unscaled[r], lc)
        spread[:] = 0.0
        moment[:] = 0.0
        variance[r, :] = 0.0
        for g in range(offsets[r + 1] - offsets[r]):
            school = cross[offsets[r] + g]
            for i in range(p):
                e[i] = school[columns[i], columns[p]]
                for j in range(p):
                    s[i, j] = school[columns[i], columns[j]]
                    e[i] -= s[i, j] * fits.beta[r, j]
                for j in range(q):
                    s[i, p + j] = s[p + j, i] = cz[g, i, j]
            for i in range(q):
                e[p + i] = cz[g, p, i]
                for j in range(q):
                    s[p + i, p + j] = zz[g, i, j]
                for j in range(p):
                    e[p + i] -= cz[g, j, i] * fits.beta[r, j]
            if not again:
                sizes[g] = school_basis(s, values[g], vectors[g], span[g])
            size = sizes[g]
            adjusted_school(psi, fits.unscaled[r], size, span[g], v, parts)
            for i in range(size):
                qe[i] = 0.0
                for j in range(d):
                    qe[i] += vectors[g, j, i] * e[j] / math.sqrt(values[g, i])
            unadjusted_score(lam, zz[g], cz[g], e, bc)
            for k in range(terms):
                score = 0.0
                for i in range(p):
                    score += lc[k, i] * bc[i]
                    for j in range(size):
                        score += lc[k, i] * parts[0, i, j] * qe[j]
                variance[r, k] += score * score
                add_working(lc[k], parts[1], span[g], v, fits.unscaled[r], size, m, spread[k], moment[k])
        for k in range(terms):
            df[r, k] = working_df(fits.unscaled[r], spread[k], moment[k])


@kernel
def unadjusted_score(lam: Floats, zz: Floats, cz: Floats, e: Floats, out: Floats) -> None:
    """Write X'V^-1 e = X'e - X'Z K Z'e to `out` [p], K = Lambda (I + Lambda'Z'Z Lambda)^-1 Lambda'; `e` is [X Z]'e.

    The part of a school's score that needs no root: kept apart because it is exact also where the span of [X_g Z_g] is
    thin.
    """
    p, q = len(out), len(lam)
    m, u, k = np.empty((q, q)), np.empty((q, q)), np.empty((q, q))
    shrinkage(lam, zz, m, u, k)
    for i in range(p):
        out[i] = e[i]
        for j in range(q):
            for h in range(q):
                out[i] -= cz[i, j] * k[j, h] * e[p + h]


@kernel
def add_working(
    lc: Floats, rows: Floats, span: Floats, v: Floats, c: Floats, size: int, m: Floats, spread: Floats, moment: Floats
) -> None:  # fmt: skip
    """Add a school's m'Vm - b'Cb and (m'Vm)^2 - 2 m'Vm b'Cb to `spread`, bb' to `moment` [p, p], b = X'm.

    Parameters
    ----------
    lc : float64 [p]
        The contrast times C.
    rows : float64 [p, k]
        X'V^-1A in the school's basis.
    span, v : float64 [k, d], [k, k]
        From `adjusted_school`.
    c : float64 [p, p]
    size : int
        k, the dimensions of the school's span.
    m : float64 [k]
        Scratch.
    spread, moment : float64 [2], [p, p]
        Added to.
    """
    p = len(lc)
    b = np.empty(p)
    for i in range(size):
        m[i] = 0.0
        for j in range(p):
            m[i] += lc[j] * rows[j, i]
    working, fitted = 0.0, 0.0
    for i in range(size):
        for j in range(size):
            working += m[i] * v[i, j] * m[j]
    for i in range(p):
        b[i] = 0.0
        for j in range(size):
            b[i] += span[j, i] * m[j]
    for i in range(p):
        for j in range(p):
            fitted += b[i] * c[i, j] * b[j]
            moment[i, j] += b[i] * b[j]
    spread[0] += working - fitted
    spread[1] += working * working - 2.0 * working * fitted


@kernel
def working_df(c: Floats, spread: Floats, moment: Floats) -> float:
    """Return tr(P)^2/tr(P^2), from the sums over schools that `add_working` made and the covariance `c` [p, p]."""
    p, square = len(c), 0.0
    for i in range(p):
        for j in range(p):
            left, right = 0.0, 0.0
            for h in range(p):
                left += c[i, h] * moment[h, j]
                right += c[j, h] * moment[h, i]
            square += left * right
    df: float = spread[0] * spread[0] / (spread[1] + square)
    return df

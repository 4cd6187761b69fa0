r"""CR2 standard errors and Satterthwaite df of random-intercept fits: `cr2_gls` in a basis in which V is diagonal.

With Q = [1/sqrt(n), Q_w] of a school, Q_w an orthonormal basis of its columns of X less their means, A_w = E w E' their
cross-product, Q'X = [s'/sqrt(n); w^(1/2) E'] (s the column sums) and

    Q'V_gQ = Lambda = diag(1 + n theta^2, 1, ..., 1),   B = Lambda (I - H) Lambda,   H = Lambda^(-1/2) Q'X C X'Q
    Lambda^(-1/2),

so that the one decomposition that depends on theta is that of B, of as many dimensions as columns vary within the
school and one. Columns that are constant in schools add none. Q_w depends on X alone: of data sets on the same design
it is made once.

Source: as `cr2_gls`, whose notation this is.
"""

from __future__ import annotations

import math

import numpy as np

from nestbench.estimators.kernels.cr2_gls import DETERMINED, THIN, working_df
from nestbench.estimators.kernels.designs import most_schools, same_design
from nestbench.estimators.kernels.linalg import eigen, eigen_graded, multiply
from nestbench.sim.compiled import kernel
from nestbench.sim.observed.batch import Floats, Ints


@kernel
def within_basis(school: Floats, x: Ints, values: Floats, vectors: Floats, span: Floats) -> int:
    """Write Q'X of a school to `span` [k, p] and return k.

    Parameters
    ----------
    school : float64 [d, d]
        Cross-product of W; its column 0 is the constant.
    x : int64 [p]
    values, vectors : float64 [p], [p, p]
        Written: eigenvalues and eigenvectors of A_w, those that are kept come first.
    span : float64 [p + 1, p]
        Written.
    """
    p, n = len(x), school[0, 0]
    a, largest, kept = np.empty((p, p)), n, 0
    for i in range(p):
        largest = max(largest, school[x[i], x[i]])
        span[0, i] = school[0, x[i]] / math.sqrt(n)
        for j in range(p):
            a[i, j] = school[x[i], x[j]] - school[0, x[i]] * school[0, x[j]] / n
    eigen(a, values, vectors)
    for i in range(p):
        # A thin direction carries no more than rounding of the score; it stays unadjusted.
        if values[i] > THIN * largest:
            for j in range(p):
                span[kept + 1, j] = math.sqrt(values[i]) * vectors[j, i]
                vectors[j, kept] = vectors[j, i]
            values[kept] = values[i]
            kept += 1
    return kept + 1


@kernel
def adjusted(
    ratio: float, c: Floats, k: int, span: Floats, root: Floats, left: Floats, b: Floats, d: Floats, e: Floats,
    rows: Floats,
) -> None:  # fmt: skip
    """Write X'V^-1(A - I) and X'V^-1A in the basis Q to `rows` [2, p, k].

    Parameters
    ----------
    ratio : float
        1 + n theta^2.
    c : float64 [p, p]
    k, span
        From `within_basis`.
    root : float64 [p + 1]
        Written: Lambda^(1/2).
    left, b, d, e : float64 [p, p + 1], [p + 1, p + 1], [p + 1], [p + 1, p + 1]
        Scratch.
    rows : float64 [2, p, p + 1]
        Written.
    """
    p = len(c)
    for i in range(k):
        root[i] = math.sqrt(ratio) if i == 0 else 1.0
        for a in range(p):
            left[a, i] = span[i, a] / root[i]
    for i in range(k):
        # C X'Q Lambda^(-1/2), one column at a time.
        for a in range(p):
            d[a] = 0.0
            for m in range(p):
                d[a] += c[a, m] * left[m, i]
        for j in range(i + 1):
            value = 1.0 if i == j else 0.0
            for a in range(p):
                value -= left[a, j] * d[a]
            b[i, j] = b[j, i] = value * root[i] ** 2 * root[j] ** 2
    eigen_graded(b[:k, :k], d[:k], e[:k, :k])
    for m in range(k):
        length = 0.0
        for i in range(k):
            length += (root[i] ** 2 * e[i, m]) ** 2
        d[m] = 1.0 / math.sqrt(d[m]) if d[m] > DETERMINED * length else 0.0
    for i in range(k):
        for j in range(i + 1):
            value = 0.0
            for m in range(k):
                value += d[m] * e[i, m] * e[j, m]
            b[i, j] = b[j, i] = value
    for a in range(p):
        for j in range(k):
            value = 0.0
            for i in range(k):
                value += left[a, i] * b[i, j]
            rows[1, a, j] = value * root[j]
            rows[0, a, j] = rows[1, a, j] - left[a, j] / root[j]


@kernel
def residual_scores(school: Floats, x: Ints, beta: Floats, out: Floats) -> None:
    """Write 1'e and X'e of a school to `out` [1 + p]."""
    p, y = len(x), school.shape[0] - 1
    out[0] = school[0, y]
    for i in range(p):
        out[0] -= school[0, x[i]] * beta[i]
        out[1 + i] = school[x[i], y]
        for j in range(p):
            out[1 + i] -= school[x[i], x[j]] * beta[j]


@kernel
def add_working(
    lc: Floats, rows: Floats, span: Floats, root: Floats, c: Floats, k: int, m: Floats, b: Floats, spread: Floats,
    moment: Floats,
) -> None:  # fmt: skip
    """Add a school's part of tr(P) and tr(P^2) to `spread` and `moment`: as `cr2_gls.add_working`, V being diagonal."""
    p, working, fitted = len(lc), 0.0, 0.0
    b[:] = 0.0
    for i in range(k):
        m[i] = 0.0
        for j in range(p):
            m[i] += lc[j] * rows[j, i]
        working += m[i] * m[i] * root[i] * root[i]
        for j in range(p):
            b[j] += span[i, j] * m[i]
    for i in range(p):
        for j in range(i):
            fitted += 2.0 * b[i] * c[i, j] * b[j]
            moment[i, j] += b[i] * b[j]
        fitted += b[i] * c[i, i] * b[i]
        moment[i, i] += b[i] * b[i]
    spread[0] += working - fitted
    spread[1] += working * working - 2.0 * working * fitted


@kernel
def cr2_intercept(
    cross: Floats, offsets: Ints, x: Ints, contrasts: Floats, theta: Floats, beta: Floats, unscaled: Floats,
    sigma2: Floats, variance: Floats, df: Floats,
) -> None:  # fmt: skip
    """Write CR2 variances and df [R, K] of contrasts [R, K, p] of random-intercept fits.

    Parameters
    ----------
    cross, offsets, x, contrasts
        As in `SchoolMoments`.
    theta, beta, unscaled, sigma2
        Of `MixedFits`; fits whose sigma2 is NaN are passed over.
    variance, df : float64 [R, K]
        Written; the variance is not in units of sigma^2, for the residuals have theirs.
    """
    p, terms, most = len(x), contrasts.shape[1], most_schools(offsets)
    values, vectors, span = np.empty((most, p)), np.empty((most, p, p)), np.empty((most, p + 1, p))
    sizes, known, used = np.empty(most, np.int64), -1, np.unique(np.append(x, 0))
    root, left, b = np.empty(p + 1), np.empty((p, p + 1)), np.empty((p + 1, p + 1))
    d, e, rows = np.empty(p + 1), np.empty((p + 1, p + 1)), np.empty((2, p, p + 1))
    score, qe, m, through = np.empty(p + 1), np.empty(p + 1), np.empty(p + 1), np.empty(p)
    lc, spread, moment = np.empty((terms, p)), np.empty((terms, 2)), np.empty((terms, p, p))
    for r in range(len(offsets) - 1):
        if math.isnan(sigma2[r]):
            continue
        again = known >= 0 and known == r - 1 and same_design(cross, offsets, used, r)
        known = r
        multiply(contrasts[r], unscaled[r], lc)
        spread[:] = 0.0
        moment[:] = 0.0
        variance[r, :] = 0.0
        for g in range(offsets[r + 1] - offsets[r]):
            school = cross[offsets[r] + g]
            if not again:
                sizes[g] = within_basis(school, x, values[g], vectors[g], span[g])
            k, n = sizes[g], school[0, 0]
            ratio = 1.0 + n * theta[r, 0] ** 2
            adjusted(ratio, unscaled[r], k, span[g], root, left, b, d, e, rows)
            residual_scores(school, x, beta[r], score)
            qe[0] = score[0] / math.sqrt(n)
            for i in range(1, k):
                qe[i] = 0.0
                for j in range(p):
                    qe[i] += vectors[g, j, i - 1] * (score[1 + j] - school[0, x[j]] * score[0] / n)
                qe[i] /= math.sqrt(values[g, i - 1])
            for i in range(p):
                # X'V^-1 e, the part that needs no root: exact also where a direction is thin.
                through[i] = score[1 + i] - school[0, x[i]] * theta[r, 0] ** 2 / ratio * score[0]
                for j in range(k):
                    through[i] += rows[0, i, j] * qe[j]
            for t in range(terms):
                value = 0.0
                for i in range(p):
                    value += lc[t, i] * through[i]
                variance[r, t] += value * value
                add_working(lc[t], rows[1], span[g], root, unscaled[r], k, m, d, spread[t], moment[t])
        for t in range(terms):
            for i in range(p):
                for j in range(i):
                    moment[t, j, i] = moment[t, i, j]
            df[r, t] = working_df(unscaled[r], spread[t], moment[t])

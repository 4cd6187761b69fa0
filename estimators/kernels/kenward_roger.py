r"""Kenward-Roger inference for contrasts l'beta, from matrices that are polynomials in school cross-products.

With V = sum_i gamma_i G_i linear in the variances and covariances gamma, Phi = (X'V^-1X)^-1,

    P_i = -X'V^-1G_iV^-1X,   Q_ij = X'V^-1G_iV^-1G_jV^-1X,
    I_ij = tr(V^-1G_iV^-1G_j) - 2 tr(Phi Q_ij) + tr(Phi P_i Phi P_j),   W = 2 I^-1 (expected information),
    Phi_A = Phi + 2 Phi {sum_ij W_ij (Q_ij - P_i Phi P_j)} Phi.

For one contrast their formulas for (lambda, m) reduce to lambda = 1 and

    m = 2 / sum_ij W_ij a_i a_j,   a_i = l'Phi P_i Phi l / l'Phi l,

so the statistic is l'beta / sqrt(l'Phi_A l) on t(m). All is computed for V0 = V/sigma^2, which leaves m as it is.
Random intercept: G_1 = 11', G_2 = I in a school of n, V0^-k 1 = d^k 1 with d = 1/(1 + n lambda), so

    P_1 = -sum d^2 ss',   P_2 = -(A_w + sum d^2 ss'/n),   Q_11 = sum n d^3 ss',   Q_12 = sum d^3 ss',
    Q_22 = A_w + sum d^3 ss'/n,   traces sum n^2 d^2, sum n d^2, sum (n - 1 + d^2).

Sources: Kenward & Roger (1997); Halekoh & Hojsgaard (2014), whose pbkrtest is the reference for the details.
"""

from __future__ import annotations

import math

import numpy as np

from nestbench.estimators.kernels.intercept_profile import Sums, by_size, group_sizes, sums_for
from nestbench.estimators.kernels.linalg import apply, cholesky, dot, inverse, multiply, quadratic, unpack
from nestbench.sim.compiled import accumulate, kernel
from nestbench.sim.observed.batch import Floats, Ints


@kernel
def trace_of_product(a: Floats, b: Floats) -> float:
    """Return tr(AB) of symmetric matrices, read in rows of both."""
    total = 0.0
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            total += a[i, j] * b[i, j]
    return total


@kernel
def trace_of_cross(a: Floats, b: Floats) -> float:
    """Return tr(AB) of any square matrices."""
    total = 0.0
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            total += a[i, j] * b[j, i]
    return total


@kernel
def information_inverse(info: Floats, w: Floats) -> bool:
    """Overwrite `info` and write W = 2 I^-1, by Cholesky after scaling its diagonal to 1.

    Scaled, because variances of random slopes can be orders of magnitude apart. False where the expected information is
    not positive definite; the contrasts then keep the NaN they came with.
    """
    h = info.shape[0]
    scale = np.empty(h)
    for i in range(h):
        # Variances of random slopes differ by orders of magnitude, and so do the entries of I.
        scale[i] = 1.0 / math.sqrt(info[i, i])
    for i in range(h):
        for j in range(h):
            info[i, j] *= scale[i] * scale[j]
    if not cholesky(info):
        return False
    inverse(info, w)
    for i in range(h):
        for j in range(h):
            w[i, j] *= 2.0 * scale[i] * scale[j]
    return True


@kernel
def adjust(
    contrasts: Floats, phi: Floats, pp: Floats, qq: Floats, traces: Floats, variance: Floats, df: Floats
) -> None:  # fmt: skip
    """Write l'Phi_A l and m of each contrast [K, p] to `variance` and `df` [K], for V0 (so for sigma^2 = 1).

    `pp` [h, p, p] are the P_i, `qq` [h, h, p, p] the symmetric parts of Q_ij for i <= j, `traces` [h, h] the
    tr(V^-1G_iV^-1G_j), overwritten by the information.

    Parameters
    ----------
    contrasts : float64 [K, p]
    phi : float64 [p, p]
        (X'V0^-1X)^-1.
    pp, qq, traces
        As said above, sums over all schools.
    variance, df : float64 [K]
        Written.
    """
    h, p = pp.shape[0], pp.shape[1]
    products, u, work, w = np.empty((h, p, p)), np.zeros((p, p)), np.empty((p, p)), np.empty((h, h))
    for i in range(h):
        multiply(phi, pp[i], products[i])
    for i in range(h):
        for j in range(i, h):
            traces[i, j] += trace_of_cross(products[i], products[j]) - 2.0 * trace_of_product(phi, qq[i, j])
            traces[j, i] = traces[i, j]
    if not information_inverse(traces, w):
        return
    for i in range(h):
        for j in range(i, h):
            twice = w[i, j] if i == j else 2.0 * w[i, j]
            multiply(pp[i], products[j], work)
            for a in range(p):
                for b in range(p):
                    u[a, b] += twice * (qq[i, j, a, b] - 0.5 * (work[a, b] + work[b, a]))
    direction, shares = np.empty(p), np.empty(h)
    for k in range(contrasts.shape[0]):
        apply(phi, contrasts[k], direction)
        unadjusted = dot(contrasts[k], direction)
        variance[k] = unadjusted + 2.0 * quadratic(u, direction)
        for i in range(h):
            shares[i] = quadratic(pp[i], direction) / unadjusted
        df[k] = 2.0 / quadratic(w, shares)


@accumulate
def weigh_powers(lam: float, distinct: int, sums: Sums, out: Floats, traces: Floats) -> None:
    """Write -P_1, -P_2, Q_11, Q_12, Q_22 of a random intercept to `out` [5, T], the traces to `traces` [2, 2].

    Schools of one size share d, so the sums that `by_size` made are all that is read; matrices are packed lower
    triangles. P_1 and P_2 come without their minus, so that every weight is positive.
    """
    traces[:] = 0.0
    for j in range(sums.within.shape[0]):
        out[0, j] = out[2, j] = out[3, j] = 0.0
        out[1, j] = out[4, j] = sums.within[j]
    for k in range(distinct):
        n = sums.sizes[k]
        d = 1.0 / (1.0 + n * lam)
        square, cube = d * d, d * d * d
        for j in range(sums.within.shape[0]):
            s = sums.between[j, k]
            out[0, j] += square * s
            out[1, j] += square / n * s
            out[2, j] += n * cube * s
            out[3, j] += cube * s
            out[4, j] += cube / n * s
        traces[0, 0] += sums.counts[k] * n * n * square
        traces[0, 1] += sums.counts[k] * n * square
        traces[1, 1] += sums.counts[k] * (n - 1.0 + square)


@kernel
def random_intercept(
    cross: Floats, offsets: Ints, columns: Ints, contrasts: Floats, theta: Floats, unscaled: Floats,
    variance: Floats, df: Floats,
) -> None:  # fmt: skip
    """Write the adjusted variance / sigma^2 and the df [R, K] of the contrasts [R, K, p] of random-intercept fits.

    Parameters
    ----------
    cross, offsets : as in `SchoolMoments`
    columns : int64 [p]
        The columns of W that are X.
    contrasts : float64 [R, K, p]
    theta, unscaled : float64 [R, 1], [R, p, p]
        Of `MixedFits`; replications whose theta is NaN are passed over.
    variance, df : float64 [R, K]
        Written.
    """
    p = columns.shape[0]
    most = 1
    for r in range(offsets.shape[0] - 1):
        most = max(most, offsets[r + 1] - offsets[r])
    triangle = p * (p + 1) // 2
    sums, distinct = sums_for(most, p), 0
    packed, traces = np.empty((5, triangle)), np.empty((2, 2))
    pp, qq = np.empty((2, p, p)), np.empty((2, 2, p, p))
    for r in range(offsets.shape[0] - 1):
        # Before any `continue`: sizes are compared with those of the replication before.
        distinct = group_sizes(cross, offsets, r, distinct, sums)
        lam = theta[r, 0] ** 2
        if math.isnan(lam):
            continue
        by_size(cross, offsets[r], offsets[r + 1], columns, distinct, sums)
        weigh_powers(lam, distinct, sums, packed, traces)
        for i in range(triangle):
            packed[0, i], packed[1, i] = -packed[0, i], -packed[1, i]
        unpack(packed[0], pp[0])
        unpack(packed[1], pp[1])
        unpack(packed[2], qq[0, 0])
        unpack(packed[3], qq[0, 1])
        unpack(packed[4], qq[1, 1])
        adjust(contrasts[r], unscaled[r], pp, qq, traces, variance[r], df[r])

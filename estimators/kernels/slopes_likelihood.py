r"""The likelihood of random intercepts and slopes, and its derivatives, from school cross-products.

y_g = X_g beta + Z_g u_g + e_g, Var(u_g) = sigma^2 Psi, Psi = (T Lambda)(T Lambda)', theta the free entries of Lambda.
T is the identity, or takes a Lambda that is diagonal for columns of Z far from 0 to centred ones, in which nothing
cancels. With W = [X y], C_g = W_g'Z_g, A = sum W_g'W_g and K_g = T Lambda (I + Lambda'T'Z_g'Z_g T Lambda)^-1 Lambda'T',

    B = sigma^2 W'V^-1W = A - sum C_g K_g C_g',   F_g = sigma^2 W_g'V^-1Z_g = C_g (I - K_g Z_g'Z_g),
    N_g = sigma^2 Z_g'V^-1Z_g = Z_g'Z_g (I - K_g Z_g'Z_g).

The profiled -2l = nu (1 + log(2 pi RSS/nu)) + log|V| [+ log|B_xx|] has these derivatives along D_a = dPsi/dtheta_a,
with B = LL', Omega = L^-T diag(1 .. 1, nu) L^-1 (0 .. 0, nu for ML), H_g = F_g'Omega F_g and
M_a = -L^-1 (sum F_g D_a F_g') L^-T:

    (-2l)_a  = tr(G D_a),   G = sum (N_g - H_g),
    (-2l)_ab = sum tr((2 H_g - N_g) D_a N_g D_b) + tr(G D_ab)
               - nu (2 sum_i M_a,iy M_b,iy + M_a,yy M_b,yy) [- sum_ij M_a,ij M_b,ij].

Source: Bates et al. (2015), with V^-1 by Woodbury's identity school by school.
"""

from __future__ import annotations

import math

import numpy as np

from nestbench.estimators.kernels.linalg import cholesky, invert_lower, whiten
from nestbench.estimators.kernels.mixed import put
from nestbench.sim.compiled import kernel
from nestbench.sim.observed.batch import Floats, Ints


@kernel
def gather(
    cross: Floats, first: int, last: int, columns: Ints, z: Ints, offset: Floats, unit: Floats, a: Floats, cz: Floats,
    zz: Floats,
) -> None:  # fmt: skip
    """Write A [D, D], the C_g [G, D, q] and Z_g'Z_g [G, q, q] of Z = (columns `z` of W + `offset`) * `unit`."""
    size, q = columns.shape[0], z.shape[0]
    a[:] = 0.0
    for g in range(first, last):
        s = cross[g]
        for i in range(size):
            for j in range(size):
                a[i, j] += s[columns[i], columns[j]]
            for k in range(q):
                cz[g - first, i, k] = unit[k] * (s[columns[i], z[k]] + offset[k] * s[columns[i], 0])
        for k in range(q):
            for j in range(q):
                shifted = s[z[k], z[j]] + offset[k] * s[0, z[j]] + offset[j] * s[z[k], 0]
                zz[g - first, k, j] = unit[k] * unit[j] * (shifted + offset[k] * offset[j] * s[0, 0])


@kernel
def shrinkage(lam: Floats, zz: Floats, m: Floats, u: Floats, k: Floats) -> float:
    """Write K = Lambda (I + Lambda'Z'Z Lambda)^-1 Lambda' to `k` and return log|I + Lambda'Z'Z Lambda|."""
    q = lam.shape[0]
    for i in range(q):
        for j in range(q):
            total = 0.0
            for h in range(q):
                total += zz[i, h] * lam[h, j]
            u[i, j] = total
    for i in range(q):
        for j in range(q):
            total = 1.0 if i == j else 0.0
            for h in range(q):
                total += lam[h, i] * u[h, j]
            m[i, j] = total
    if not cholesky(m):
        return math.nan
    log = 0.0
    for i in range(q):
        log += 2.0 * math.log(m[i, i])
        for j in range(q):
            total = lam[j, i]
            for h in range(i):
                total -= m[i, h] * u[h, j]
            u[i, j] = total / m[i, i]
    for i in range(q):
        for j in range(q):
            total = 0.0
            for h in range(q):
                total += u[h, i] * u[h, j]
            k[i, j] = total
    return log


@kernel
def criterion(
    lam: Floats, schools: int, a: Floats, cz: Floats, zz: Floats, nu: float, restricted: bool, b: Floats, kk: Floats,
    work: Floats,
) -> float:  # fmt: skip
    """Return -2l; leave L in `b` [D, D] and the K_g in `kk` [G, q, q]. inf where B is not positive definite."""
    d, q = a.shape[0], lam.shape[0]
    put(a, b)
    log_v = 0.0
    for g in range(schools):
        log_v += shrinkage(lam, zz[g], work[0], work[1], kk[g])
        for i in range(d):
            for k in range(q):
                total = 0.0
                for h in range(q):
                    total += kk[g, k, h] * cz[g, i, h]
                for j in range(i + 1):
                    b[i, j] -= total * cz[g, j, k]
    if not (math.isfinite(log_v) and cholesky(b)):
        return math.inf
    value = nu * (1.0 + math.log(2.0 * math.pi * b[d - 1, d - 1] ** 2 / nu)) + log_v
    if restricted:
        for i in range(d - 1):
            value += 2.0 * math.log(b[i, i])
    return value


@kernel
def accumulate_schools(
    schools: int, cz: Floats, zz: Floats, kk: Floats, omega: Floats, e: Floats, gradient: Floats, tensor: Floats
) -> None:  # fmt: skip
    """Write E_ij = sum F_i F_j' [q, q, D, D] (i >= j), G [q, q] and T_ijkl = sum (2 H - N)_ij N_kl [q, q, q, q]."""
    d, q = cz.shape[1], cz.shape[2]
    f, n, h = np.empty((d, q)), np.empty((q, q)), np.empty((q, q))
    of, rest = np.empty((d, q)), np.empty((q, q))
    e[:] = 0.0
    gradient[:] = 0.0
    tensor[:] = 0.0
    for g in range(schools):
        for i in range(q):
            for j in range(q):
                total = 1.0 if i == j else 0.0
                for k in range(q):
                    total -= kk[g, i, k] * zz[g, k, j]
                rest[i, j] = total
        for i in range(q):
            for j in range(q):
                total = 0.0
                for k in range(q):
                    total += zz[g, i, k] * rest[k, j]
                n[i, j] = total
        for i in range(d):
            for j in range(q):
                total = 0.0
                for k in range(q):
                    total += cz[g, i, k] * rest[k, j]
                f[i, j] = total
        for i in range(d):
            for j in range(q):
                total = 0.0
                for k in range(d):
                    total += omega[i, k] * f[k, j]
                of[i, j] = total
        for i in range(q):
            for j in range(q):
                total = 0.0
                for k in range(d):
                    total += f[k, i] * of[k, j]
                h[i, j] = total
        for i in range(q):
            for j in range(i + 1):
                for k in range(d):
                    for m in range(d):
                        e[i, j, k, m] += f[k, i] * f[m, j]
        for i in range(q):
            for j in range(q):
                gradient[i, j] += n[i, j] - h[i, j]
                twice = 2.0 * h[i, j] - n[i, j]
                for k in range(q):
                    for m in range(q):
                        tensor[i, j, k, m] += twice * n[k, m]


@kernel
def direction(lam: Floats, shear: Floats, row: int, col: int, out: Floats) -> None:
    """Write D_a = T e_row (T Lambda)_col' + (T Lambda)_col (T e_row)'; `lam` is T Lambda, `shear` T."""
    q = lam.shape[0]
    for k in range(q):
        for h in range(q):
            out[k, h] = shear[k, row] * lam[h, col] + lam[k, col] * shear[h, row]


@kernel
def derivatives(
    lam: Floats, shear: Floats, rows: Ints, cols: Ints, schools: int, cz: Floats, zz: Floats, kk: Floats, b: Floats,
    nu: float, restricted: bool, slope: Floats, hessian: Floats, db: Floats, whitened: Floats,
) -> None:  # fmt: skip
    """Write the first derivatives [m] and the Hessian [m, m] of -2l; dB/dtheta to `db`, M to `whitened` [m, D, D].

    `b` holds L.
    """
    d, q, m = b.shape[0], lam.shape[0], rows.shape[0]
    linv, omega, work = np.empty((d, d)), np.empty((d, d)), np.empty((d, d))
    e, gradient, tensor = np.empty((q, q, d, d)), np.empty((q, q)), np.empty((q, q, q, q))
    dd = np.empty((m, q, q))
    invert_lower(b, linv)
    for i in range(d):
        for j in range(d):
            total = nu * linv[d - 1, i] * linv[d - 1, j]
            if restricted:
                for k in range(d - 1):
                    total += linv[k, i] * linv[k, j]
            omega[i, j] = total
    accumulate_schools(schools, cz, zz, kk, omega, e, gradient, tensor)
    for a in range(m):
        direction(lam, shear, rows[a], cols[a], dd[a])
        slope[a] = 0.0
        db[a, :, :] = 0.0
        for i in range(q):
            for j in range(q):
                slope[a] += gradient[i, j] * dd[a, i, j]
                for k in range(d):
                    for h in range(d):
                        db[a, k, h] -= dd[a, i, j] * (e[i, j, k, h] if i >= j else e[j, i, h, k])
        whiten(linv, db[a], work, whitened[a])
    for a in range(m):
        for c in range(a + 1):
            total = 0.0
            for i in range(q):
                for j in range(q):
                    for k in range(q):
                        for h in range(q):
                            total += tensor[i, j, k, h] * dd[a, j, k] * dd[c, h, i]
            if cols[a] == cols[c]:
                for i in range(q):
                    for j in range(q):
                        total += 2.0 * shear[i, rows[a]] * gradient[i, j] * shear[j, rows[c]]
            hessian[a, c] = hessian[c, a] = total - products(whitened[a], whitened[c], nu, restricted)


@kernel
def products(left: Floats, right: Floats, nu: float, restricted: bool) -> float:
    """Return nu (2 sum_i left_iy right_iy + left_yy right_yy) [+ sum_ij left_ij right_ij for REML]."""
    p = left.shape[0] - 1
    total: float = nu * left[p, p] * right[p, p]
    for i in range(p):
        total += 2.0 * nu * left[p, i] * right[p, i]
        if restricted:
            for j in range(p):
                total += left[i, j] * right[i, j]
    return total


@kernel
def fill(theta: Floats, rows: Ints, cols: Ints, lam: Floats) -> None:
    """Write Lambda from its free entries."""
    lam[:] = 0.0
    for a in range(len(theta)):
        lam[rows[a], cols[a]] = theta[a]


@kernel
def fill_sheared(theta: Floats, rows: Ints, cols: Ints, shear: Floats, lam: Floats) -> None:
    """Write T Lambda from the free entries of Lambda."""
    lam[:] = 0.0
    for a in range(len(theta)):
        for k in range(len(lam)):
            lam[k, cols[a]] += shear[k, rows[a]] * theta[a]

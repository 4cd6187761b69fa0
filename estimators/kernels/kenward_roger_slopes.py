r"""Kenward-Roger's matrices for random slopes, school by school from cross-products (notation of `slopes_likelihood`).

With E_I the symmetric unit matrix of entry I = (i, j) of Psi, G_I = Z E_I Z', G_0 = I, and R_g = I - K_g Z_g'Z_g,
F2_g = F_g R_g = X'V^-2Z, N2_g = N_g R_g = Z'V^-2Z:

    P_I = -sum F E_I F',   Q_IJ = sum F E_I N E_J F',   Q_I0 = sum F E_I F2',   Q_00 = X'V^-3X,
    X'V^-1X = sum X'X - C K C',   X'V^-2X = X'V^-1X - F K C',   X'V^-3X = X'V^-2X - F2 K C',
    tr(V^-1G_IV^-1G_J) = tr(N E_I N E_J),   tr(V^-1G_IV^-1) = tr(E_I N2),   tr(V^-2) = n - q + tr(R R).
"""

from __future__ import annotations

import math

import numpy as np

from nestbench.estimators.kernels.kenward_roger import adjust
from nestbench.estimators.kernels.linalg import multiply
from nestbench.estimators.kernels.mixed import MixedFits
from nestbench.estimators.kernels.slopes_likelihood import fill, gather, shrinkage
from nestbench.sim.compiled import kernel
from nestbench.sim.observed.batch import Floats, Ints


@kernel
def add_school(
    n: float, sxx: Floats, c: Floats, zz: Floats, k: Floats, rows: Ints, cols: Ints, small: Floats, tall: Floats,
    pp: Floats, qq: Floats, traces: Floats,
) -> None:  # fmt: skip
    """Add a school's share to P [h, p, p], Q [h, h, p, p] and the traces [h, h]; the last index of each is G_0.

    `small` [3, q, q] and `tall` [3, p, q] are room for R, N, N2 and F, F2, CK.
    """
    p, q = c.shape
    h = len(rows)
    for i in range(q):
        for j in range(q):
            total = 1.0 if i == j else 0.0
            for m in range(q):
                total -= k[i, m] * zz[m, j]
            small[0, i, j] = total
    rest, big, big2 = small[0], small[1], small[2]
    f, f2, ck = tall[0], tall[1], tall[2]
    multiply(zz, rest, big)
    multiply(big, rest, big2)
    multiply(c, rest, f)
    multiply(f, rest, f2)
    multiply(c, k, ck)
    traces[h, h] += n - q
    for i in range(q):
        for j in range(q):
            traces[h, h] += rest[i, j] * rest[j, i]
    for i in range(p):
        for j in range(p):
            first, second, third = sxx[i, j], 0.0, 0.0
            for m in range(q):
                first -= ck[i, m] * c[j, m]
                second += f[i, m] * ck[j, m]
                third += f2[i, m] * ck[j, m]
            pp[h, i, j] -= first - second
            qq[h, h, i, j] += first - second - third
    for a in range(h):
        ia, ja = rows[a], cols[a]
        half = 0.5 if ia == ja else 1.0
        traces[a, h] += half * (big2[ia, ja] + big2[ja, ia])
        for i in range(p):
            for j in range(p):
                pp[a, i, j] -= half * (f[i, ia] * f[j, ja] + f[i, ja] * f[j, ia])
                qq[a, h, i, j] += half * (f[i, ia] * f2[j, ja] + f[i, ja] * f2[j, ia])
        for b in range(a, h):
            ib, jb = rows[b], cols[b]
            both = half * (0.5 if ib == jb else 1.0)
            traces[a, b] += 2.0 * both * (big[ja, ib] * big[jb, ia] + big[ia, ib] * big[jb, ja])
            for i in range(p):
                left, right = both * f[i, ia], both * f[i, ja]
                for j in range(p):
                    qq[a, b, i, j] += left * (big[ja, ib] * f[j, jb] + big[ja, jb] * f[j, ib])
                    qq[a, b, i, j] += right * (big[ia, ib] * f[j, jb] + big[ia, jb] * f[j, ib])


@kernel
def symmetrise(qq: Floats) -> None:
    """Replace each Q_ij by its symmetric part."""
    for a in range(qq.shape[0]):
        for b in range(qq.shape[1]):
            for i in range(qq.shape[2]):
                for j in range(i):
                    qq[a, b, i, j] = qq[a, b, j, i] = 0.5 * (qq[a, b, i, j] + qq[a, b, j, i])


@kernel
def random_slopes(
    cross: Floats, offsets: Ints, x: Ints, z: Ints, offset: Floats, unit: Floats, rows: Ints, cols: Ints,
    contrasts: Floats, fits: MixedFits, variance: Floats, df: Floats,
) -> None:  # fmt: skip
    """Write adjusted variances / sigma^2 and df [R, K] of contrasts [R, K, p]; arguments as in `random_slopes.fit`.

    Schools are visited one by one, where the random intercept's kernel sums them by size: with slopes two schools of
    one size have different Z.
    """
    p, q, h = len(x), len(z), len(rows) + 1
    most = 1
    for r in range(len(offsets) - 1):
        most = max(most, offsets[r + 1] - offsets[r])
    a, cz, zz = np.empty((p, p)), np.empty((most, p, q)), np.empty((most, q, q))
    lam, k, work = np.empty((q, q)), np.empty((q, q)), np.empty((2, q, q))
    small, tall, sxx = np.empty((3, q, q)), np.empty((3, p, q)), np.empty((p, p))
    pp, qq, traces = np.empty((h, p, p)), np.empty((h, h, p, p)), np.empty((h, h))
    for r in range(len(offsets) - 1):
        if math.isnan(fits.sigma2[r]):
            continue
        gather(cross, offsets[r], offsets[r + 1], x, z, offset[r], unit[r], a, cz, zz)
        fill(fits.theta[r], rows, cols, lam)
        pp[:] = 0.0
        qq[:] = 0.0
        traces[:] = 0.0
        for g in range(offsets[r], offsets[r + 1]):
            shrinkage(lam, zz[g - offsets[r]], work[0], work[1], k)
            for i in range(p):
                for j in range(p):
                    sxx[i, j] = cross[g, x[i], x[j]]
            add_school(
                cross[g, 0, 0],
                sxx,
                cz[g - offsets[r]],
                zz[g - offsets[r]],
                k,
                rows,
                cols,
                small,
                tall,
                pp,
                qq,
                traces,
            )
        symmetrise(qq)
        adjust(contrasts[r], fits.unscaled[r], pp, qq, traces, variance[r], df[r])

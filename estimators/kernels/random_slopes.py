r"""Gaussian random intercepts and slopes, exactly, from school cross-products.

y_g = X_g beta + Z_g u_g + e_g, Var(u_g) = sigma^2 Psi, Psi = Lambda Lambda', theta the free entries of Lambda. With
W = [X y], C_g = W_g'Z_g, A = sum W_g'W_g and K_g = Lambda (I + Lambda'Z_g'Z_g Lambda)^-1 Lambda',

    B = sigma^2 W'V^-1W = A - sum C_g K_g C_g',   F_g = sigma^2 W_g'V^-1Z_g = C_g (I - K_g Z_g'Z_g),
    N_g = sigma^2 Z_g'V^-1Z_g = Z_g'Z_g (I - K_g Z_g'Z_g).

The profiled -2l = nu (1 + log(2 pi RSS/nu)) + log|V| [+ log|B_xx|] has these derivatives along D_a = dPsi/dtheta_a,
with B = LL', Omega = L^-T diag(1 .. 1, nu) L^-1 (0 .. 0, nu for ML), H_g = F_g'Omega F_g and
M_a = -L^-1 (sum F_g D_a F_g') L^-T:

    (-2l)_a  = tr(G D_a),   G = sum (N_g - H_g),
    (-2l)_ab = sum tr((2 H_g - N_g) D_a N_g D_b) + tr(G D_ab)
               - nu (2 sum_i M_a,iy M_b,iy + M_a,yy M_b,yy) [- sum_ij M_a,ij M_b,ij].

It is minimised by a trust-region Newton method from the best of a few diagonal starts. Entries Lambda_jj that vanish
are a boundary: there -2l is even in them, so that it is an ordinary stationary point in theta.
Sources: Bates et al. (2015); Nocedal & Wright (2006), ch. 4.
"""

from __future__ import annotations

import math

import numpy as np

from nestbench.estimators.kernels.linalg import cholesky, eigen, invert_lower
from nestbench.estimators.kernels.mixed import (
    BOUNDARY,
    MANY_EFFECTS,
    NO_SCHOOL_DF,
    NO_VARIATION,
    NO_WITHIN,
    NOT_CONVERGED,
    NOT_FINITE,
    OK,
    ONE_STUDENT,
    TOO_FEW,
    MixedFits,
    put,
    put_vector,
)
from nestbench.estimators.kernels.random_intercept import EXACT_FIT, whiten
from nestbench.sim.batch import Floats, Ints
from nestbench.sim.compiled import kernel

STEPS = 200
SMALL = 1e-6
"""A step of Newton's method below this, in units of 1/(root mean square of Z), is the last: its error is its square."""
VANISHED = 1e-5
"""A diagonal entry of Lambda below this is a zero: the optimum is on the boundary."""


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
def direction(lam: Floats, row: int, col: int, out: Floats) -> None:
    """Write D_a = dPsi/dLambda_row,col = e_row Lambda_col' + Lambda_col e_row'."""
    q = lam.shape[0]
    out[:] = 0.0
    for k in range(q):
        out[row, k] += lam[k, col]
        out[k, row] += lam[k, col]


@kernel
def derivatives(
    lam: Floats, rows: Ints, cols: Ints, schools: int, cz: Floats, zz: Floats, kk: Floats, b: Floats, nu: float,
    restricted: bool, slope: Floats, hessian: Floats, db: Floats, whitened: Floats,
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
        direction(lam, rows[a], cols[a], dd[a])
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
                total += 2.0 * gradient[rows[a], rows[c]]
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
def trust_step(
    slope: Floats, hessian: Floats, radius: float, values: Floats, vectors: Floats, step: Floats
) -> float:
    """Write the step that minimises the quadratic model within `radius`; return the reduction it predicts.

    In the eigenvectors of the Hessian, step_i = -slope_i/(value_i + mu) with the least mu >= 0 that makes the sum
    convex and the step short enough. Directions without curvature and slope are left alone.
    """
    m = len(slope)
    copy, along = np.empty((m, m)), np.zeros(m)
    put(hessian, copy)
    eigen(copy, values, vectors)
    largest, least = 0.0, math.inf
    for i in range(m):
        largest, least = max(largest, abs(values[i])), min(least, values[i])
        for j in range(m):
            along[i] += vectors[j, i] * slope[j]
    low = max(0.0, -least + 1e-8 * largest) if least < 0.0 else 0.0
    mu, high = low, 0.0
    for trial in range(60):
        length = 0.0
        for i in range(m):
            denominator = values[i] + mu
            if denominator > 1e-12 * largest:
                length += (along[i] / denominator) ** 2
        if math.sqrt(length) <= radius * (1.0 + 1e-6):
            if trial == 0 or math.sqrt(length) >= 0.8 * radius:
                break
            high = mu
        else:
            low = mu
        mu = 0.5 * (low + high) if high > 0.0 else max(2.0 * mu, 1e-3 * largest)
    step[:] = 0.0
    predicted = 0.0
    for i in range(m):
        denominator = values[i] + mu
        if denominator > 1e-12 * largest:
            size = -along[i] / denominator
            predicted -= along[i] * size + 0.5 * values[i] * size * size
            for j in range(m):
                step[j] += vectors[j, i] * size
    return predicted


@kernel
def fill(theta: Floats, rows: Ints, cols: Ints, lam: Floats) -> None:
    """Write Lambda from its free entries."""
    lam[:] = 0.0
    for a in range(len(theta)):
        lam[rows[a], cols[a]] = theta[a]


@kernel
def start(
    rows: Ints, cols: Ints, schools: int, a: Floats, cz: Floats, zz: Floats, nu: float, restricted: bool, theta: Floats,
    lam: Floats, b: Floats, kk: Floats, work: Floats,
) -> float:  # fmt: skip
    """Write the best diagonal start (one SD for the intercept, one for slopes) to `theta`; return its criterion."""
    best, first, rest = math.inf, math.nan, math.nan
    for i in range(-2, 2):
        for j in range(-2, 2):
            if len(theta) == 1 and i != j:
                continue
            for k in range(len(theta)):
                level = i if rows[k] == 0 else j
                theta[k] = 0.5 * 3.0**level if rows[k] == cols[k] else 0.0
            fill(theta, rows, cols, lam)
            value = criterion(lam, schools, a, cz, zz, nu, restricted, b, kk, work)
            if value < best:
                best, first, rest = value, 0.5 * 3.0**i, 0.5 * 3.0**j
    for k in range(len(theta)):
        theta[k] = (first if rows[k] == 0 else rest) if rows[k] == cols[k] else 0.0
    return best


@kernel
def maximise(
    rows: Ints, cols: Ints, schools: int, a: Floats, cz: Floats, zz: Floats, nu: float, restricted: bool, theta: Floats,
    slope: Floats, hessian: Floats, db: Floats, whitened: Floats, b: Floats, kk: Floats,
) -> tuple[int, int]:  # fmt: skip
    """Write the optimum to `theta`; return the evaluations it took and a code.

    A step is taken if it reduces the criterion as predicted, or if what it predicts is below rounding.
    """
    q, m = cz.shape[2], len(theta)
    lam, work = np.empty((q, q)), np.empty((2, q, q))
    values, vectors, step, trial = np.empty(m), np.empty((m, m)), np.empty(m), np.empty(m)
    now = start(rows, cols, schools, a, cz, zz, nu, restricted, theta, lam, b, kk, work)
    radius, fresh = 1.0, True
    if not math.isfinite(now):
        return 0, NO_VARIATION
    for count in range(STEPS):
        if fresh:
            fill(theta, rows, cols, lam)
            criterion(lam, schools, a, cz, zz, nu, restricted, b, kk, work)
            derivatives(lam, rows, cols, schools, cz, zz, kk, b, nu, restricted, slope, hessian, db, whitened)
        predicted = trust_step(slope, hessian, radius, values, vectors, step)
        length, largest, least = 0.0, 0.0, math.inf
        for i in range(m):
            trial[i] = theta[i] + step[i]
            length = max(length, abs(step[i]))
            largest, least = max(largest, abs(values[i])), min(least, values[i])
        convex = least > -1e-9 * largest
        if convex and length <= SMALL * radius_of(theta):
            put_vector(trial, theta)
            return count + 1, OK
        if not convex and length <= SMALL * radius_of(theta):
            for i in range(m):
                trial[i] = theta[i]
                for j in range(m):
                    if values[j] == least:
                        trial[i] += 0.1 * vectors[i, j]
        fill(trial, rows, cols, lam)
        after = criterion(lam, schools, a, cz, zz, nu, restricted, b, kk, work)
        noise = 1e-11 * (1.0 + abs(now))
        fresh = now - after >= 0.1 * predicted or (convex and predicted < noise and after - now < noise)
        if fresh:
            if now - after >= 0.75 * predicted:
                radius = min(2.0 * radius, 1e6)
            put_vector(trial, theta)
            now = after
        else:
            radius *= 0.25
            if radius < 1e-14:
                return count + 1, NOT_CONVERGED
    return STEPS, NOT_CONVERGED


@kernel
def radius_of(theta: Floats) -> float:
    """Return the size that steps are judged by: the largest entry, at most 1 and at least 0.01."""
    largest = 0.01
    for i in range(len(theta)):
        largest = max(largest, abs(theta[i]))
    return min(largest, 1.0)


@kernel
def settle(theta: Floats, rows: Ints, cols: Ints) -> bool:
    """Make the diagonal of Lambda non-negative, what has vanished exactly 0; return whether any has."""
    vanished = False
    for a in range(len(theta)):
        if rows[a] != cols[a]:
            continue
        if abs(theta[a]) < VANISHED:
            theta[a] = 0.0
            vanished = True
        elif theta[a] < 0.0:
            for b in range(len(theta)):
                if cols[b] == cols[a]:
                    theta[b] = -theta[b]
    return vanished


@kernel
def identified(schools: int, a: Floats, cz: Floats, zz: Floats, b: Floats) -> bool:
    """Whether every random effect leaves a trace in the residuals of X: tr(P_0 Z_jZ_j') > 0."""
    d, q = a.shape[0], cz.shape[2]
    linv = np.empty((d, d))
    put(a, b)
    if schools < 2 or not cholesky(b):
        return False
    invert_lower(b, linv)
    for j in range(q):
        left, whole = 0.0, 0.0
        for g in range(schools):
            left += zz[g, j, j]
            whole += zz[g, j, j]
            for i in range(d - 1):
                total = 0.0
                for k in range(i + 1):
                    total += linv[i, k] * cz[g, k, j]
                left -= total * total
        if left <= 1e-8 * whole:
            return False
    return True


@kernel
def fit(
    cross: Floats, offsets: Ints, columns: Ints, z: Ints, offset: Floats, unit: Floats, rows: Ints, cols: Ints,
    restricted: bool, given: Floats, fits: MixedFits,
) -> None:  # fmt: skip
    """Fit every replication; theta is estimated, or taken from `given` [R, m] where that is not NaN.

    `cross` [S, d, d], `offsets` [R + 1]; `columns` [p + 1] of W are [X y], `z` [q] those of Z; Z is
    (column + `offset` [R, q]) * `unit` [R, q]; theta_a is Lambda's entry `rows`[a], `cols`[a].
    """
    d, q, m = len(columns), len(z), len(rows)
    most = 1
    for r in range(len(offsets) - 1):
        most = max(most, offsets[r + 1] - offsets[r])
    a, b, cz, zz = np.empty((d, d)), np.empty((d, d)), np.empty((most, d, q)), np.empty((most, q, q))
    kk, lam, work = np.empty((most, q, q)), np.empty((q, q)), np.empty((2, q, q))
    slope, hessian = np.empty(m), np.empty((m, m))
    db, whitened = np.empty((m, d, d)), np.empty((m, d, d))
    theta = np.empty(m)
    for r in range(len(offsets) - 1):
        schools = offsets[r + 1] - offsets[r]
        gather(cross, offsets[r], offsets[r + 1], columns, z, offset[r], unit[r], a, cz, zz)
        students = 0.0
        for g in range(offsets[r], offsets[r + 1]):
            students += cross[g, 0, 0]
        nu = students - (d - 1) if restricted else students
        fits.students[r], fits.nu[r] = students, nu
        total = a[d - 1, d - 1]
        if not math.isfinite(total):
            fits.code[r] = NOT_FINITE
        elif students <= d - 1:
            fits.code[r] = TOO_FEW
        elif not identified(schools, a, cz, zz, b):
            fits.code[r] = NO_SCHOOL_DF
        elif students <= q * schools:
            fits.code[r] = MANY_EFFECTS if q > 1 else ONE_STUDENT
        else:
            fits.code[r] = OK
        if fits.code[r] != OK:
            continue
        put_vector(given[r], theta)
        if math.isnan(theta[0]):
            fits.steps[r], fits.code[r] = maximise(
                rows, cols, schools, a, cz, zz, nu, restricted, theta, slope, hessian, db, whitened, b, kk
            )
            if fits.code[r] != OK:
                continue
            if settle(theta, rows, cols):
                fits.code[r] = BOUNDARY
        fill(theta, rows, cols, lam)
        fits.criterion[r] = criterion(lam, schools, a, cz, zz, nu, restricted, b, kk, work)
        if not b[d - 1, d - 1] ** 2 > EXACT_FIT * total:
            fits.code[r] = NO_WITHIN
            continue
        derivatives(lam, rows, cols, schools, cz, zz, kk, b, nu, restricted, slope, hessian, db, whitened)
        record(r, theta, b, slope, hessian, db, whitened, fits)


@kernel
def record(
    r: int, theta: Floats, b: Floats, slope: Floats, hessian: Floats, db: Floats, whitened: Floats, fits: MixedFits
) -> None:  # fmt: skip
    """Write the fit at theta, whose criterion and derivatives have just been evaluated."""
    p, m = b.shape[0] - 1, len(theta)
    linv = np.empty((p + 1, p + 1))
    invert_lower(b, linv)
    root = b[p, p]
    fits.sigma2[r] = root * root / fits.nu[r]
    fits.score[r] = 0.0
    for a in range(m):
        fits.theta[r, a] = theta[a]
        fits.tilt[r, a] = -whitened[a, p, p]
        fits.score[r] = max(fits.score[r], 0.5 * abs(slope[a]))
        for c in range(m):
            fits.curvature[r, a, c] = hessian[a, c]
        for i in range(p):
            for j in range(p):
                fits.spread[r, a, i, j] = -db[a, i, j]
    for i in range(p):
        fits.beta[r, i] = -linv[p, i] * root
        for j in range(p):
            total = 0.0
            for h in range(p):
                total += linv[h, i] * linv[h, j]
            fits.unscaled[r, i, j] = total

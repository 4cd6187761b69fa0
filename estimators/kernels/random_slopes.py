r"""Gaussian random intercepts and slopes, exactly: the maximum of `slopes_likelihood` over theta.

-2l is minimised by a trust-region Newton method from every low point of a coarse grid, and of a pair's faces. Entries
Lambda_jj that vanish are a boundary: there -2l is even in them, so that it is an ordinary stationary point in theta.
Sources: Bates et al. (2015); Nocedal & Wright (2006), ch. 4.
"""

from __future__ import annotations

import math

import numpy as np

from nestbench.estimators.kernels.linalg import cholesky, invert_lower
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
from nestbench.estimators.kernels.random_intercept import EXACT_FIT
from nestbench.estimators.kernels.slopes_faces import (
    FEW,
    apart,
    descend,
    directions,
    floor_near,
    on_face,
    radii,
    survey_faces,
)
from nestbench.estimators.kernels.slopes_likelihood import (
    criterion,
    derivatives,
    fill_sheared,
    gather,
)
from nestbench.estimators.kernels.slopes_survey import axes, ladder, least_around, place, survey
from nestbench.estimators.kernels.trust_region import SMALL, STEPS, VANISHED, radius_of, trust_step
from nestbench.sim.compiled import kernel
from nestbench.sim.observed.batch import Floats, Ints

MARGIN = 0.02
"""A minimum on a face is climbed from if its -2l, which is not quite the minimum's, is at most this above the best."""
NEXT_TO, FAR_FROM, SAME = 0.3, 0.75, 0.1
"""Columns that differ by less, relative to the longer, lead to one optimum: points of a fine grid, of a coarse one, and
minima."""


@kernel
def maximise(
    rows: Ints, cols: Ints, schools: int, a: Floats, cz: Floats, zz: Floats, nu: float, restricted: bool, unit: Floats,
    shear: Floats, theta: Floats, slope: Floats, hessian: Floats, db: Floats, whitened: Floats, b: Floats, kk: Floats,
) -> tuple[int, int]:  # fmt: skip
    """Write the optimum to `theta`; return the evaluations it took and a code.

    The criterion is surveyed on a coarse grid; from every point without a lower neighbour a climb starts, for there may
    be several maxima, and the best of their ends is the answer. Of a pair the faces are looked at as well.
    """
    q, m = cz.shape[2], len(theta)
    levels, lam, work = ladder(unit), np.empty((q, q)), np.empty((2, q, q))
    sizes = axes(levels, m, q)
    here, best, steps, code = np.empty(m), math.inf, 0, NO_VARIATION
    values = survey(sizes, rows, cols, shear, schools, a, cz, zz, nu, restricted, levels, here, lam, b)
    least = least_around(values, sizes)
    for k in range(len(values)):
        if values[k] == least[k] and math.isfinite(values[k]):
            place(k, sizes, rows, cols, levels, here)
            taken, outcome, value = climb(
                rows, cols, shear, schools, a, cz, zz, nu, restricted, here, slope, hessian, db, whitened, b, kk, lam,
                work
            )  # fmt: skip
            steps += taken
            if outcome != OK:  # of two ends within rounding the one that converged
                value += 1e-9 * (1.0 + abs(value))
            if value < best:
                best, code = value, outcome
                put_vector(here, theta)
    if q != 2:
        return steps, code
    taken, better = climb_from_faces(
        rows, cols, schools, a, cz, zz, nu, restricted, levels, shear, best, theta, slope, hessian, db, whitened, b, kk,
        lam, work
    )  # fmt: skip
    return steps + taken, OK if better else code


@kernel
def climb_from_faces(
    rows: Ints, cols: Ints, schools: int, a: Floats, cz: Floats, zz: Floats, nu: float, restricted: bool,
    levels: Floats, shear: Floats, best: float, theta: Floats, slope: Floats, hessian: Floats, db: Floats,
    whitened: Floats, b: Floats, kk: Floats, lam: Floats, work: Floats,
) -> tuple[int, bool]:  # fmt: skip
    """Climb from minima on the faces of a pair that are about as low as `best`, the -2l of the optimum so far.

    A better end is written to `theta`; return the evaluations that climbs took and whether there is one.
    """
    m, steps, better, ours, other = len(theta), 0, False, np.empty(2), np.empty(2)
    here, around, radius = np.empty(m), directions(m, schools), radii(levels, schools)
    values = survey_faces(around, radius, shear, schools, a, cz, zz, nu, restricted, b)
    constant = nu * (1.0 + math.log(2.0 * math.pi / nu))
    turn, stretch = (0.5 * math.pi / len(around) if m == 3 else 0.0), 0.5 * math.log(radius[1] / radius[0])
    for k in range(len(around)):
        for h in range(len(radius)):
            # Values of the survey leave the constant out.
            bar = best - constant + MARGIN
            if not floor_near(values, k, h, m == 3) < bar:
                continue
            other[0], other[1] = radius[h] * around[k, 0], radius[h] * around[k, 1]
            there = on_face(theta, ours)
            if there and not apart(ours, other, NEXT_TO if schools < FEW else FAR_FROM):
                continue
            angle = math.atan2(around[k, 1], around[k, 0])
            least = descend(
                angle, radius[h], turn, stretch, bar, shear, schools, a, cz, zz, nu, restricted, b, other
            )
            if least > bar or (there and not apart(ours, other, SAME)):
                continue
            here[:] = 0.0
            here[:2] = other
            taken, outcome, value = climb(
                rows, cols, shear, schools, a, cz, zz, nu, restricted, here, slope, hessian, db, whitened, b, kk, lam,
                work
            )  # fmt: skip
            steps += taken
            if outcome == OK and value < best - 1e-9 * (1.0 + abs(best)):
                best, better = value, True
                put_vector(here, theta)
    return steps, better


@kernel
def climb(
    rows: Ints, cols: Ints, shear: Floats, schools: int, a: Floats, cz: Floats, zz: Floats, nu: float, restricted: bool,
    theta: Floats, slope: Floats, hessian: Floats, db: Floats, whitened: Floats, b: Floats, kk: Floats, lam: Floats,
    work: Floats,
) -> tuple[int, int, float]:  # fmt: skip
    """Follow -2l from `theta` down to a minimum, written to `theta`; return evaluations, a code and -2l.

    A step is taken if it reduces the criterion as predicted, or if what it predicts is below rounding.
    """
    m = len(theta)
    values, vectors, step, trial = np.empty(m), np.empty((m, m)), np.empty(m), np.empty(m)
    radius, fresh, now = 1.0, True, math.inf
    for count in range(STEPS):
        if fresh:
            fill_sheared(theta, rows, cols, shear, lam)
            now = criterion(lam, schools, a, cz, zz, nu, restricted, b, kk, work)
            derivatives(
                lam, shear, rows, cols, schools, cz, zz, kk, b, nu, restricted, slope, hessian, db, whitened
            )
        predicted = trust_step(slope, hessian, radius, values, vectors, step)
        length, largest, least = 0.0, 0.0, math.inf
        for i in range(m):
            trial[i] = theta[i] + step[i]
            length = max(length, abs(step[i]))
            largest, least = max(largest, abs(values[i])), min(least, values[i])
        convex = least > -1e-9 * largest
        if convex and length <= SMALL * radius_of(theta):
            put_vector(trial, theta)
            return count + 1, OK, now
        # A saddle has no gradient to leave by.
        if not convex and length <= SMALL * radius_of(theta):
            for i in range(m):
                trial[i] = theta[i]
                for j in range(m):
                    if values[j] == least:
                        trial[i] += 0.1 * vectors[i, j]
        fill_sheared(trial, rows, cols, shear, lam)
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
                return count + 1, NOT_CONVERGED, now
    return STEPS, NOT_CONVERGED, now


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
    intercept: int, restricted: bool, given: Floats, fits: MixedFits,
) -> None:  # fmt: skip
    """Fit every replication; theta is estimated, or taken from `given` [R, m] where that is not NaN.

    `cross` [S, d, d], `offsets` [R + 1]; `columns` [p + 1] of W are [X y], `z` [q] those of Z; Z is
    (column + `offset` [R, q]) * `unit` [R, q]; theta_a is Lambda's entry `rows`[a], `cols`[a]. Where column `intercept`
    of Z is one (else -1), offsets and units go into T and Z is used as it is.
    """
    d, q, m = len(columns), len(z), len(rows)
    most = 1
    for r in range(len(offsets) - 1):
        most = max(most, offsets[r + 1] - offsets[r])
    a, b, cz, zz = np.empty((d, d)), np.empty((d, d)), np.empty((most, d, q)), np.empty((most, q, q))
    kk, lam, work = np.empty((most, q, q)), np.empty((q, q)), np.empty((2, q, q))
    slope, hessian = np.empty(m), np.empty((m, m))
    db, whitened = np.empty((m, d, d)), np.empty((m, d, d))
    theta, shear, nothing, ones = np.empty(m), np.eye(q), np.zeros(q), np.ones(q)
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
        if intercept >= 0:
            gather(cross, offsets[r], offsets[r + 1], columns, z, nothing, ones, a, cz, zz)
            for j in range(q):
                shear[j, j] = unit[r, j]
                if j != intercept:
                    shear[intercept, j] = offset[r, j] * unit[r, j]
        put_vector(given[r], theta)
        if math.isnan(theta[0]):
            fits.steps[r], fits.code[r] = maximise(
                rows, cols, schools, a, cz, zz, nu, restricted, unit[r], shear, theta, slope, hessian, db, whitened, b,
                kk
            )  # fmt: skip
            if fits.code[r] != OK:
                continue
            if settle(theta, rows, cols):
                fits.code[r] = BOUNDARY
        fill_sheared(theta, rows, cols, shear, lam)
        fits.criterion[r] = criterion(lam, schools, a, cz, zz, nu, restricted, b, kk, work)
        if not b[d - 1, d - 1] ** 2 > EXACT_FIT * total:
            fits.code[r] = NO_WITHIN
            continue
        derivatives(
            lam, shear, rows, cols, schools, cz, zz, kk, b, nu, restricted, slope, hessian, db, whitened
        )
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

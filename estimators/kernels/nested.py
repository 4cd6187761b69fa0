r"""Classes in schools, exactly, from class sums and school cross-products.

V_g/sigma^2 = I + lambda_c blockdiag(11') + lambda_s 11'. With s_c = W_c'1, d_c = 1/(1 + n_c lambda_c), a_c = n_c d_c
and, per school, s = sum d_c s_c, M = sum a_c, kappa = lambda_s/(1 + lambda_s M),

    B = sum_g [W_g'W_g - sum_c lambda_c d_c s_c s_c' - kappa s s'],
    F_s = s/(1 + lambda_s M),   F_c = d_c s_c - kappa a_c s          (W'V^-1 1 of the school, of a class),
    dB/dlambda_s = -sum F_s F_s',   dB/dlambda_c = -sum F_c F_c',
    d2B: 2 N_ss F_s F_s' (ss),  sum_c N_sc (F_s F_c' + F_c F_s') (sc),  2 sum F_c N_cc' F_c'' (cc),
    N_ss = M/(1 + lambda_s M),   N_sc = a_c/(1 + lambda_s M),   N_cc' = a_c 1(c = c') - kappa a_c a_c',

and log|V| = sum log(1 + n_c lambda_c) + sum log(1 + lambda_s M), with derivatives sums of N and of -N^2. The profiled
criterion and its derivatives then are as for the random intercept, theta = (sqrt lambda_c, sqrt lambda_s).
"""

from __future__ import annotations

import math

import numpy as np

from nestbench.estimators.kernels.linalg import cholesky, invert_lower, whiten
from nestbench.estimators.kernels.mixed import (
    BOUNDARY,
    CONFOUNDED,
    NO_SCHOOL_DF,
    NO_VARIATION,
    NO_WITHIN,
    NOT_CONVERGED,
    NOT_FINITE,
    OK,
    TOO_FEW,
    MixedFits,
    put,
    put_vector,
)
from nestbench.estimators.kernels.random_intercept import EXACT_FIT
from nestbench.estimators.kernels.slopes_likelihood import products
from nestbench.estimators.kernels.slopes_survey import least_around
from nestbench.estimators.kernels.trust_region import SMALL, STEPS, VANISHED, radius_of, trust_step
from nestbench.sim.compiled import kernel
from nestbench.sim.observed.batch import Floats, Ints

LOWEST, RATIO, GRID = 0.03, 3.0, 7
"""The survey: relative SDs from LOWEST by factors of RATIO, GRID of each."""


@kernel
def class_sums(
    x: Floats, y: Floats, weight: Floats, classes: Ints, rows: Ints, contrasts: Floats, shift: Floats, unit: Floats,
    sums: Floats, sizes: Floats,
) -> None:  # fmt: skip
    """Write s_c [C, p + 1] of the pivoted columns [X y] and n_c [C].

    Cross-products are kept a school, not a class, for all other methods need no more; the sums of classes are made here
    from the columns themselves, in the coordinates of the school moments: X_pivoted = unit X contrasts and y_pivoted =
    unit (y - X shift), by replication.

    Parameters
    ----------
    x, y : float64 [p, N], [N]
        Of students, or the means of groups of them.
    weight : float64 [N]
        How many students each stands for.
    classes : int64 [N]
        Class of each student, numbered over all replications.
    rows : int64 [R + 1]
        First student of each replication.
    contrasts, shift, unit : float64 [R, p, p], [R, p], [R]
        As in `SchoolMoments`.
    sums, sizes : float64 [C, p + 1], [C]
        Written.
    """
    p = x.shape[0]
    sums[:] = 0.0
    sizes[:] = 0.0
    for r in range(len(rows) - 1):
        for i in range(rows[r], rows[r + 1]):
            c = classes[i]
            sizes[c] += weight[i]
            residual = y[i]
            for j in range(p):
                residual -= x[j, i] * shift[r, j]
                total = 0.0
                for k in range(p):
                    total += x[k, i] * contrasts[r, k, j]
                sums[c, j] += weight[i] * (unit[r] * total)
            sums[c, p] += weight[i] * (unit[r] * residual)


@kernel
def add_product(weight: float, u: Floats, v: Floats, out: Floats) -> None:
    """Add weight (u v' + v u')/2 to `out`."""
    d = len(u)
    for i in range(d):
        for j in range(d):
            out[i, j] += 0.5 * weight * (u[i] * v[j] + v[i] * u[j])


@kernel
def add_school(
    first: int, last: int, sums: Floats, sizes: Floats, class_ratio: float, school_ratio: float, mats: Floats,
    vectors: Floats, counts: Floats,
) -> None:  # fmt: skip
    """Add what a school, classes ``first : last``, gives to B, -dB and d2B in `mats`[:6] and to `counts`.

    `mats` [8, D, D]: B, K_c, K_s (sums of F F') and the second derivatives cc, cs, ss. `counts` [6]: log|V|, its first
    derivatives c, s, and minus its second ones cc, cs, ss. `vectors` [4, D] is scratch.
    """
    b, kc, ks, qcc, qcs, qss = mats[0], mats[1], mats[2], mats[3], mats[4], mats[5]
    total, fs, fc, sum_fc = vectors[0], vectors[1], vectors[2], vectors[3]
    d = len(total)
    mass, a2, a3 = 0.0, 0.0, 0.0
    for i in range(d):
        total[i], sum_fc[i] = 0.0, 0.0
    for c in range(first, last):
        dc = 1.0 / (1.0 + sizes[c] * class_ratio)
        ac = sizes[c] * dc
        counts[0] -= math.log(dc)
        mass += ac
        a2 += ac * ac
        a3 += ac * ac * ac
        for i in range(d):
            total[i] += dc * sums[c, i]
        add_product(-class_ratio * dc, sums[c], sums[c], b)
    shrink = 1.0 / (1.0 + school_ratio * mass)
    kappa = school_ratio * shrink
    counts[0] -= math.log(shrink)
    counts[1] += mass - kappa * a2
    counts[2] += mass * shrink
    counts[3] += a2 - 2.0 * kappa * a3 + (kappa * a2) ** 2
    counts[4] += a2 * shrink * shrink
    counts[5] += (mass * shrink) ** 2
    add_product(-kappa, total, total, b)
    for i in range(d):
        fs[i] = shrink * total[i]
    add_product(1.0, fs, fs, ks)
    add_product(2.0 * mass * shrink, fs, fs, qss)
    for c in range(first, last):
        dc = 1.0 / (1.0 + sizes[c] * class_ratio)
        ac = sizes[c] * dc
        for i in range(d):
            fc[i] = dc * sums[c, i] - ac * kappa * total[i]
            sum_fc[i] += ac * fc[i]
        add_product(1.0, fc, fc, kc)
        add_product(2.0 * ac, fc, fc, qcc)
        add_product(2.0 * ac * shrink, fs, fc, qcs)
    add_product(-2.0 * kappa, sum_fc, sum_fc, qcc)


@kernel
def with_respect_to_theta(theta: Floats, slope: Floats, hessian: Floats) -> None:
    """Turn derivatives with respect to lambda = theta^2 into derivatives with respect to theta, in place.

    On theta the boundary lambda = 0 is an interior point with slope 0, so the climb needs no constraint.
    """
    for i in range(2):
        for j in range(2):
            hessian[i, j] *= 4.0 * theta[i] * theta[j]
        hessian[i, i] += 2.0 * slope[i]
    for i in range(2):
        slope[i] *= 2.0 * theta[i]


@kernel
def profile(
    theta: Floats, a: Floats, first: int, last: int, schools: Ints, sums: Floats, sizes: Floats, nu: float,
    restricted: bool, mats: Floats, whitened: Floats, slope: Floats, hessian: Floats,
) -> float:  # fmt: skip
    """Return -2l at theta = (theta_c, theta_s); write its derivatives with respect to theta.

    `a` [D, D] is W'W, `schools` [S + 1] the first class of each school. Leaves L in `mats`[0], K_c, K_s in `mats`[1:3],
    L^-1 in `mats`[6], M_c and M_s in `whitened`[:2].
    """
    d = a.shape[0]
    vectors, counts = np.empty((4, d)), np.zeros(6)
    mats[:] = 0.0
    b, inverted = mats[0], mats[6]
    put(a, b)
    for g in range(first, last):
        add_school(
            schools[g], schools[g + 1], sums, sizes, theta[0] * theta[0], theta[1] * theta[1], mats, vectors, counts
        )  # fmt: skip
    if not (math.isfinite(counts[0]) and cholesky(b)):
        return math.inf
    invert_lower(b, inverted)
    for i in range(5):
        whiten(inverted, mats[1 + i], mats[7], whitened[i])
    p = d - 1
    value: float = nu * (1.0 + math.log(2.0 * math.pi * b[p, p] ** 2 / nu)) + counts[0]
    for i in range(2):
        slope[i] = counts[1 + i] - nu * whitened[i, p, p]
        for j in range(i, 2):
            both = products(whitened[i], whitened[j], nu, restricted)
            hessian[i, j] = nu * whitened[2 + i + j, p, p] - counts[3 + i + j] - both
    if restricted:
        for k in range(p):
            value += 2.0 * math.log(b[k, k])
            for i in range(2):
                slope[i] -= whitened[i, k, k]
                for j in range(i, 2):
                    hessian[i, j] += whitened[2 + i + j, k, k]
    hessian[1, 0] = hessian[0, 1]
    with_respect_to_theta(theta, slope, hessian)
    return value


@kernel
def tells_schools_apart(first: int, last: int, schools: Ints, sizes: Floats, whitened: Floats) -> bool:
    """Whether X leaves school means free: N - tr(M_s) at theta = 0 is not rounding.

    With a dummy a school, or as many school-constant columns as schools, nothing is left to estimate a school variance
    from.
    """
    p = whitened.shape[1] - 1
    left, students = 0.0, 0.0
    for c in range(schools[first], schools[last]):
        students += sizes[c]
    for i in range(p):
        left += whitened[1, i, i]
    return students - left > 1e-8 * students


@kernel
def maximise(
    theta: Floats, a: Floats, first: int, last: int, schools: Ints, sums: Floats, sizes: Floats, nu: float,
    restricted: bool, mats: Floats, whitened: Floats, slope: Floats, hessian: Floats,
) -> tuple[int, int]:  # fmt: skip
    """Write the optimum to `theta`; return the evaluations it took and a code.

    theta = 0 shows what is identified. Then -2l is surveyed on a grid of SDs from .03 to 22, and climbed down from
    every point without a lower neighbour, for there may be several maxima; the best of the ends is the answer.
    """
    theta[0] = theta[1] = 0.0
    profile(theta, a, first, last, schools, sums, sizes, nu, restricted, mats, whitened, slope, hessian)
    if not tells_schools_apart(first, last, schools, sizes, whitened):
        return 0, NO_SCHOOL_DF
    values, here, best, steps, code = np.empty(GRID * GRID), np.empty(2), math.inf, 0, NO_VARIATION
    for k in range(GRID * GRID):
        here[0], here[1] = LOWEST * RATIO ** (k % GRID), LOWEST * RATIO ** (k // GRID)
        values[k] = profile(
            here, a, first, last, schools, sums, sizes, nu, restricted, mats, whitened, slope, hessian
        )
    least = least_around(values, np.full(2, GRID))
    for k in range(GRID * GRID):
        if values[k] > least[k] or not math.isfinite(values[k]):
            continue
        here[0], here[1] = LOWEST * RATIO ** (k % GRID), LOWEST * RATIO ** (k // GRID)
        taken, outcome, value = climb(
            here, a, first, last, schools, sums, sizes, nu, restricted, mats, whitened, slope, hessian
        )
        steps += taken
        # Values within rounding of each other are one maximum, reached twice.
        if outcome != OK:  # of two ends within rounding the one that converged
            value += 1e-9 * (1.0 + abs(value))
        if value < best:
            best, code = value, outcome
            put_vector(here, theta)
    return steps, code


@kernel
def climb(
    theta: Floats, a: Floats, first: int, last: int, schools: Ints, sums: Floats, sizes: Floats, nu: float,
    restricted: bool, mats: Floats, whitened: Floats, slope: Floats, hessian: Floats,
) -> tuple[int, int, float]:  # fmt: skip
    """Follow -2l from `theta` down to a minimum, written to `theta`; return evaluations, a code and -2l.

    A step is kept if it gains a tenth of what the quadratic model promised, or if what is promised is below the
    rounding of -2l itself: at the minimum values can't decide any more. At a saddle (a short step, but an eigenvalue
    below 0) it moves on along the direction of negative curvature.
    """
    values, vectors, step, trial = np.empty(2), np.empty((2, 2)), np.zeros(2), np.empty(2)
    new_slope, new_hessian = np.empty(2), np.empty((2, 2))
    now, radius, predicted, convex = math.inf, 1.0, 0.0, True
    put_vector(theta, trial)
    for count in range(STEPS):
        after = profile(
            trial, a, first, last, schools, sums, sizes, nu, restricted, mats, whitened, new_slope, new_hessian
        )  # fmt: skip
        noise = 1e-11 * (1.0 + abs(now)) if count > 0 else 0.0
        gain = now - after
        better = count == 0 or gain >= 0.1 * predicted or (convex and predicted < noise and -gain < noise)
        if count > 0 and gain >= 0.75 * predicted:
            radius = min(2.0 * radius, 1e6)
        if better:
            now = after
            put_vector(trial, theta)
            put_vector(new_slope, slope)
            put(new_hessian, hessian)
        else:
            radius *= 0.25
        # Nothing can be gained by steps as short as rounding.
        if radius < 1e-14:
            return count, NOT_CONVERGED, now
        predicted = trust_step(slope, hessian, radius, values, vectors, step)
        least, largest = min(values[0], values[1]), max(abs(values[0]), abs(values[1]))
        # An eigenvalue of rounding error counts as 0: at the boundary the Hessian is singular.
        convex = least > -1e-9 * largest
        for i in range(2):
            trial[i] = theta[i] + step[i]
        if max(abs(step[0]), abs(step[1])) <= SMALL * radius_of(theta):
            if convex:
                put_vector(trial, theta)
                return count, OK, now
            for i in range(2):
                # A saddle has no gradient to leave by.
                trial[i] = theta[i] + 0.1 * (vectors[i, 0] if values[0] == least else vectors[i, 1])
    return STEPS, NOT_CONVERGED, now


@kernel
def fit(
    cross: Floats, offsets: Ints, columns: Ints, schools: Ints, sums: Floats, sizes: Floats, restricted: bool,
    fits: MixedFits,
) -> None:  # fmt: skip
    """Fit every replication.

    Parameters
    ----------
    cross, offsets : as in `SchoolMoments`
    columns : int64 [p + 1]
        The columns of W that are [X y].
    schools : int64 [S + 1]
        First class of each school.
    sums, sizes : float64 [C, p + 1], [C]
        From `class_sums`.
    restricted : bool
        REML, else ML.
    fits : MixedFits
        Written; theta = (theta_c, theta_s). A replication without an answer keeps NaN and gets a code.
    """
    d = len(columns)
    p = d - 1
    a, mats, whitened = np.empty((d, d)), np.empty((8, d, d)), np.empty((5, d, d))
    theta, slope, hessian = np.empty(2), np.empty(2), np.empty((2, 2))
    for r in range(len(offsets) - 1):
        first, last = offsets[r], offsets[r + 1]
        students = 0.0
        a[:] = 0.0
        for g in range(first, last):
            students += cross[g, 0, 0]
            for i in range(d):
                for j in range(d):
                    a[i, j] += cross[g, columns[i], columns[j]]
        nu = students - p if restricted else students
        classes = schools[last] - schools[first]
        fits.students[r], fits.nu[r], total = students, nu, a[p, p]
        if not math.isfinite(total):
            fits.code[r] = NOT_FINITE
        elif students <= p:
            fits.code[r] = TOO_FEW
        elif last - first < 2:
            fits.code[r] = NO_SCHOOL_DF
        elif classes == last - first or classes >= students:
            fits.code[r] = CONFOUNDED
        else:
            theta[0] = theta[1] = math.nan
            fits.steps[r], fits.code[r] = maximise(
                theta, a, first, last, schools, sums, sizes, nu, restricted, mats, whitened, slope, hessian
            )
        if fits.code[r] != OK:
            continue
        for i in range(2):
            # theta and -theta are the same model: the climb isn't told of the boundary.
            theta[i] = abs(theta[i])
            if theta[i] < VANISHED:
                theta[i] = 0.0
                fits.code[r] = BOUNDARY
        fits.criterion[r] = profile(
            theta, a, first, last, schools, sums, sizes, nu, restricted, mats, whitened, slope, hessian
        )
        root = mats[0, p, p]
        if not root * root > EXACT_FIT * total:
            fits.code[r] = NO_WITHIN
            continue
        fits.sigma2[r] = root * root / nu
        fits.score[r] = 0.5 * max(abs(slope[0]), abs(slope[1]))
        for k in range(2):
            fits.theta[r, k] = theta[k]
            fits.tilt[r, k] = 2.0 * theta[k] * whitened[k, p, p]
            for i in range(2):
                fits.curvature[r, k, i] = hessian[k, i]
            for i in range(p):
                for j in range(p):
                    fits.spread[r, k, i, j] = 2.0 * theta[k] * mats[1 + k, i, j]
        for i in range(p):
            fits.beta[r, i] = -mats[6, p, i] * root
            for j in range(p):
                fits.unscaled[r, i, j] = 0.0
                for h in range(p):
                    fits.unscaled[r, i, j] += mats[6, h, i] * mats[6, h, j]

r"""The Gaussian random-intercept model, exactly, from school cross-products.

y_g = X_g beta + u_g 1 + e_g, Var(u_g) = lambda sigma^2, Var(e) = sigma^2. With W = [X y], s_g = W_g'1 and
d_g = 1/(1 + n_g lambda),

    B(lambda) = W'V^-1W sigma^2 = sum_g (W_g'W_g - s_g s_g'/n_g) + sum_g (d_g/n_g) s_g s_g',

a sum of non-negative parts: nothing cancels however large lambda is. Schools of one size share d_g, so their s_g s_g'
are added first and equal schools cost no more than one. Profiled over beta and sigma^2, nu = N - p (REML) or N (ML),

    -2 l(lambda) = nu (1 + log(2 pi RSS/nu)) + sum_g log(1 + n_g lambda) [+ log|B_xx| for REML],

where B = LL', RSS = L_yy^2 is the Schur complement of B_xx, and the last row of L^-1 is (-beta', 1)/L_yy. With
K = -dB/dlambda = sum d_g^2 s_g s_g', K' = -2 sum n_g d_g^3 s_g s_g' and M = L^-1 K L^-T, M' = L^-1 K' L^-T, sums over
i, j in x,

    (-2l)'  = sum n_g d_g - nu M_yy [- sum M_ii],
    (-2l)'' = -sum (n_g d_g)^2 - nu (M'_yy + 2 sum M_iy^2 + M_yy^2) [- sum M'_ii - sum M_ij^2],

the terms in brackets for REML.

The optimum is bracketed by the sign of the first derivative on a grid from lambda = 0 and refined by Newton's method
inside its bracket; several local maxima are compared by their likelihood. Source: Pinheiro & Bates (2000), ch. 2.
"""

from __future__ import annotations

import math

import numpy as np

from nestbench.estimators.kernels.linalg import cholesky, invert_lower
from nestbench.estimators.kernels.mixed import (
    BOUNDARY,
    NO_SCHOOL_DF,
    NO_VARIATION,
    NO_WITHIN,
    NOT_CONVERGED,
    NOT_FINITE,
    OK,
    ONE_STUDENT,
    TOO_FEW,
    MixedFits,
)
from nestbench.sim.batch import Floats, Ints
from nestbench.sim.compiled import accumulate, kernel

LOWEST, FACTOR, HIGHEST = 0.02, 4.0, 1e17
"""The grid: from LOWEST/n_max by factors of FACTOR past 50/n_min, on to HIGHEST while the likelihood still rises."""
STEPS = 80
EXACT_FIT = 1e-13
"""A residual sum of squares below this share of y'y is rounding error."""


@kernel
def by_size(
    cross: Floats, first: int, last: int, columns: Ints, sizes: Floats, counts: Floats, between: Floats, within: Floats
) -> int:  # fmt: skip
    """Sum schools `first`..`last` - 1 by size; return how many sizes there are.

    Writes the distinct `sizes` and their `counts` [G], ``between[k] = sum s_g s_g'`` [G, T] and
    ``within = sum (W_g'W_g - s_g s_g'/n_g)`` [T], both as packed lower triangles.
    """
    d = columns.shape[0]
    within[:] = 0.0
    found, k = 0, 0
    for g in range(first, last):
        n = cross[g, 0, 0]
        if found == 0 or sizes[k] != n:
            k = 0
            while k < found and sizes[k] != n:
                k += 1
            if k == found:
                sizes[k], counts[k] = n, 0.0
                between[k, :] = 0.0
                found += 1
        counts[k] += 1.0
        at = 0
        for i in range(d):
            a = columns[i]
            for j in range(i + 1):
                b = columns[j]
                product = cross[g, 0, a] * cross[g, 0, b]
                between[k, at] += product
                within[at] += cross[g, a, b] - product / n
                at += 1
    return found


@accumulate
def weigh(
    lam: float, found: int, sizes: Floats, counts: Floats, between: Floats, within: Floats, out: Floats
) -> None:
    """Write B, K and K' to `out` [3, T]."""
    size = within.shape[0]
    for j in range(size):
        out[0, j], out[1, j], out[2, j] = within[j], 0.0, 0.0
    for k in range(found):
        n = sizes[k]
        d = 1.0 / (1.0 + n * lam)
        w, w1, w2 = d / n, d * d, -2.0 * n * d * d * d
        for j in range(size):
            out[0, j] += w * between[k, j]
            out[1, j] += w1 * between[k, j]
            out[2, j] += w2 * between[k, j]


@kernel
def unpack(packed: Floats, out: Floats) -> None:
    """Write a packed lower triangle to both triangles of `out`."""
    at = 0
    for i in range(out.shape[0]):
        for j in range(i + 1):
            out[i, j] = out[j, i] = packed[at]
            at += 1


@kernel
def whiten(linv: Floats, k: Floats, work: Floats, out: Floats) -> None:
    """Write L^-1 K L^-T to `out`, both triangles."""
    d = linv.shape[0]
    for i in range(d):
        for j in range(d):
            total = 0.0
            for h in range(i + 1):
                total += linv[i, h] * k[h, j]
            work[i, j] = total
    for i in range(d):
        for j in range(i + 1):
            total = 0.0
            for h in range(j + 1):
                total += work[i, h] * linv[j, h]
            out[i, j] = out[j, i] = total


@kernel
def second_order(m: Floats, nu: float, restricted: bool) -> float:
    """Return nu (2 sum_i M_iy^2 + M_yy^2) [+ sum_ij M_ij^2 for REML], the products of first derivatives in (-2l)''."""
    p = m.shape[0] - 1
    total = nu * m[p, p] * m[p, p]
    for i in range(p):
        total += 2.0 * nu * m[p, i] * m[p, i]
        if restricted:
            for j in range(p):
                total += m[i, j] * m[i, j]
    return total


@kernel
def profile(
    lam: float, found: int, sizes: Floats, counts: Floats, between: Floats, within: Floats, nu: float,
    restricted: bool, packed: Floats, full: Floats,
) -> tuple[float, float, float, float]:  # fmt: skip
    """Evaluate the profiled criterion -2l at `lam`.

    Leaves B's Cholesky factor L in ``full[0]``, K in ``full[1]``, K' in ``full[2]``, L^-1 in ``full[3]``, M in
    ``full[4]`` and M' in ``full[5]``, each [p + 1, p + 1].

    Returns
    -------
    criterion, slope, curvature : float
        -2l and its derivatives with respect to lambda; NaN if B is not positive definite.
    freedom : float
        tr(P Z Z') at this lambda: 0 where the school variance leaves no trace in the residuals.
    """
    p = full.shape[1] - 1
    weigh(lam, found, sizes, counts, between, within, packed)
    for m in range(3):
        unpack(packed[m], full[m])
    if not cholesky(full[0]):
        return math.nan, math.nan, math.nan, math.nan
    invert_lower(full[0], full[3])
    whiten(full[3], full[1], full[6], full[4])
    whiten(full[3], full[2], full[6], full[5])
    log_v, trace, square, fixed, fixed2 = 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(found):
        e = sizes[k] / (1.0 + sizes[k] * lam)
        log_v += counts[k] * math.log1p(sizes[k] * lam)
        trace += counts[k] * e
        square += counts[k] * e * e
    for i in range(p):
        fixed += full[4, i, i]
        fixed2 += full[5, i, i]
    rss = full[0, p, p] ** 2
    criterion = nu * (1.0 + math.log(2.0 * math.pi * rss / nu)) + log_v
    slope = trace - nu * full[4, p, p]
    curvature = -square - nu * full[5, p, p] - second_order(full[4], nu, restricted)
    if restricted:
        for i in range(p):
            criterion += 2.0 * math.log(full[0, i, i])
        slope -= fixed
        curvature -= fixed2
    return criterion, slope, curvature, trace - fixed


@kernel
def refine(
    low: float, high: float, found: int, sizes: Floats, counts: Floats, between: Floats, within: Floats, nu: float,
    restricted: bool, packed: Floats, full: Floats,
) -> tuple[float, int]:  # fmt: skip
    """Return the root of the slope between `low` (negative) and `high` (positive) and the steps it took.

    Newton's method on lambda, or on log lambda where the bracket stays away from 0; a step that leaves the bracket or
    does not halve the one before is replaced by bisection. The last step is below 1e-9, so the error is rounding.
    """
    logs = low > 0.0
    lam = math.sqrt(low * high) if logs else 0.5 * (low + high)
    before = high - low
    for step in range(STEPS):
        _, slope, curvature, _ = profile(
            lam, found, sizes, counts, between, within, nu, restricted, packed, full
        )
        if slope < 0.0:
            low = lam
        else:
            high = lam
        if logs:
            guess = lam * math.exp(max(-3.0, min(3.0, -slope / (slope + lam * curvature))))
        else:
            guess = lam - slope / curvature
        if abs(guess - lam) <= 1e-9 * lam or high - low <= 1e-15 * high:
            return guess, step + 1
        if not low < guess < high or abs(guess - lam) > 0.5 * before:
            guess = math.sqrt(low * high) if logs else 0.5 * (low + high)
        before = abs(guess - lam)
        lam = guess
    return math.nan, STEPS


@kernel
def maximise(
    found: int, sizes: Floats, counts: Floats, between: Floats, within: Floats, nu: float, restricted: bool,
    packed: Floats, full: Floats,
) -> tuple[float, int, int]:  # fmt: skip
    """Return the lambda of the highest likelihood on [0, inf), the steps taken and a code."""
    smallest, largest, students, schools = sizes[0], sizes[0], 0.0, 0.0
    for k in range(found):
        smallest, largest = min(smallest, sizes[k]), max(largest, sizes[k])
        students += sizes[k] * counts[k]
        schools += counts[k]
    best_at, best, steps = math.nan, math.inf, 0
    low = 0.0
    criterion, before, _, freedom = profile(
        0.0, found, sizes, counts, between, within, nu, restricted, packed, full
    )
    if not math.isfinite(before):
        return math.nan, 0, NO_VARIATION
    if schools < 2.0 or freedom <= 1e-8 * students:
        return math.nan, 0, NO_SCHOOL_DF
    if largest == 1.0:
        return math.nan, 0, ONE_STUDENT
    if before >= 0.0:
        best_at, best = 0.0, criterion
    high = LOWEST / largest
    while high < 50.0 * FACTOR / smallest or (before < 0.0 and high < HIGHEST):
        slope = profile(high, found, sizes, counts, between, within, nu, restricted, packed, full)[1]
        if before < 0.0 <= slope:
            lam, used = refine(low, high, found, sizes, counts, between, within, nu, restricted, packed, full)
            criterion = profile(lam, found, sizes, counts, between, within, nu, restricted, packed, full)[0]
            steps += used
            if criterion < best:
                best_at, best = lam, criterion
            elif not math.isfinite(criterion):
                return math.nan, steps, NOT_CONVERGED
        low, before = high, slope
        steps += 1
        high *= FACTOR
    if math.isnan(before):
        return math.nan, steps, NO_WITHIN
    if before < 0.0:
        return math.nan, steps, NO_WITHIN
    return best_at, steps, BOUNDARY if best_at == 0.0 else OK


@kernel
def record(
    r: int, lam: float, curvature: float, slope: float, criterion: float, full: Floats, fits: MixedFits
) -> None:
    """Write the fit at `lam`, which `profile` has just evaluated, in terms of theta = sqrt(lambda).

    d/dtheta = 2 theta d/dlambda; the second derivative is 4 lambda (-2l)'' + 2 (-2l)', so that at theta = 0 it is the
    slope at the boundary.
    """
    p = full.shape[1] - 1
    theta = math.sqrt(lam)
    root = full[0, p, p]
    fits.theta[r, 0] = theta
    fits.sigma2[r] = root * root / fits.nu[r]
    fits.criterion[r] = criterion
    fits.score[r] = -0.5 * slope
    fits.curvature[r, 0, 0] = 4.0 * lam * curvature + 2.0 * slope
    fits.tilt[r, 0] = 2.0 * theta * full[4, p, p]
    for i in range(p):
        fits.beta[r, i] = -full[3, p, i] * root
        for j in range(p):
            fits.spread[r, 0, i, j] = 2.0 * theta * full[1, i, j]
            total = 0.0
            for h in range(p):
                total += full[3, h, i] * full[3, h, j]
            fits.unscaled[r, i, j] = total


@kernel
def fit(
    cross: Floats, offsets: Ints, columns: Ints, restricted: bool, given: Floats, fits: MixedFits
) -> None:  # fmt: skip
    """Fit every replication; theta is estimated, or taken from `given` [R] where that is not NaN.

    `cross` [S, d, d], `offsets` [R + 1], `columns` [p + 1] of W that are [X y].
    """
    d = columns.shape[0]
    most = 1
    for r in range(offsets.shape[0] - 1):
        most = max(most, offsets[r + 1] - offsets[r])
    triangle = d * (d + 1) // 2
    sizes, counts, between = np.empty(most), np.empty(most), np.empty((most, triangle))
    within, packed, full = np.empty(triangle), np.empty((3, triangle)), np.empty((7, d, d))
    for r in range(offsets.shape[0] - 1):
        found = by_size(cross, offsets[r], offsets[r + 1], columns, sizes, counts, between, within)
        students, total = 0.0, within[triangle - 1]
        for k in range(found):
            students += counts[k] * sizes[k]
            total += between[k, triangle - 1] / sizes[k]
        fits.students[r] = students
        fits.nu[r] = students - (d - 1) if restricted else students
        if not math.isfinite(total):
            fits.code[r] = NOT_FINITE
            continue
        if students - (d - 1) < 1.0:
            fits.code[r] = TOO_FEW
            continue
        lam = given[r] * given[r]
        if math.isnan(lam):
            lam, fits.steps[r], fits.code[r] = maximise(
                found, sizes, counts, between, within, fits.nu[r], restricted, packed, full
            )
        if math.isnan(lam):
            continue
        criterion, slope, curvature, _ = profile(
            lam, found, sizes, counts, between, within, fits.nu[r], restricted, packed, full
        )
        if math.isnan(criterion) or full[0, d - 1, d - 1] ** 2 <= EXACT_FIT * total:
            fits.code[r] = NO_VARIATION if lam == 0.0 else NO_WITHIN
            continue
        record(r, lam, curvature, slope, criterion, full, fits)

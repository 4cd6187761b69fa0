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
from nestbench.sim.compiled import accumulate, kernel
from nestbench.sim.observed.batch import Floats, Ints

LOWEST, FACTOR, HIGHEST = 0.02, 4.0, 1e17
"""The grid: from LOWEST/n_max by factors of FACTOR past 50/n_min, on to HIGHEST while the likelihood still rises."""
STEPS = 400
"""Bound on the evaluations of one replication, the grid's included."""
LAST = 1e-9
"""A step of Newton's method below this share is the last: its error is its square, below rounding."""
EXACT_FIT = 1e-13
"""A residual sum of squares below this share of y'y is rounding error."""


@kernel
def by_size(
    cross: Floats, first: int, last: int, columns: Ints, sizes: Floats, counts: Floats, between: Floats, within: Floats
) -> int:  # fmt: skip
    """Sum schools `first`..`last` - 1 by size; return how many sizes there are.

    Equal schools cost no more than one from here on, however often the likelihood is evaluated. Writes the distinct
    `sizes` and their `counts` [G], ``between[k] = sum s_g s_g'`` [G, T] and ``within = sum (W_g'W_g - s_g s_g'/n_g)``
    [T], both as packed lower triangles.
    """
    d = columns.shape[0]
    within[:] = 0.0
    distinct, k = 0, 0
    for g in range(first, last):
        n = cross[g, 0, 0]
        if distinct == 0 or sizes[k] != n:
            k = 0
            while k < distinct and sizes[k] != n:
                k += 1
            if k == distinct:
                sizes[k], counts[k] = n, 0.0
                between[k, :] = 0.0
                distinct += 1
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
    return distinct


@accumulate
def weigh(
    lam: float, distinct: int, sizes: Floats, counts: Floats, between: Floats, within: Floats, out: Floats
) -> None:
    """Write B, K and K' to `out` [3, T].

    The only loop over distinct sizes; `accumulate` lets the compiler keep several partial sums, which is allowed to
    change the last digit and nothing else.
    """
    size = within.shape[0]
    for j in range(size):
        out[0, j], out[1, j], out[2, j] = within[j], 0.0, 0.0
    for k in range(distinct):
        n = sizes[k]
        d = 1.0 / (1.0 + n * lam)
        w, w1, w2 = d / n, d * d, -2.0 * n * d * d * d
        for j in range(size):
            out[0, j] += w * between[k, j]
            out[1, j] += w1 * between[k, j]
            out[2, j] += w2 * between[k, j]


@kernel
def unpack(packed: Floats, out: Floats) -> None:
    """Write a packed lower triangle [T] to both triangles of `out`."""
    at = 0
    for i in range(out.shape[0]):
        for j in range(i + 1):
            out[i, j] = out[j, i] = packed[at]
            at += 1


@kernel
def whiten(linv: Floats, k: Floats, work: Floats, out: Floats) -> None:
    """Write L^-1 K L^-T to `out`, both triangles; `work` is scratch of the same shape.

    In these coordinates B is the identity, so that traces and squared entries are the derivatives' terms.
    """
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
    total: float = nu * m[p, p] * m[p, p]
    for i in range(p):
        total += 2.0 * nu * m[p, i] * m[p, i]
        if restricted:
            for j in range(p):
                total += m[i, j] * m[i, j]
    return total


@kernel
def profile(
    lam: float, distinct: int, sizes: Floats, counts: Floats, between: Floats, within: Floats, nu: float,
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
    weigh(lam, distinct, sizes, counts, between, within, packed)
    for m in range(3):
        unpack(packed[m], full[m])
    # Exactly fitted data: B is singular at every lambda.
    if not cholesky(full[0]):
        return math.nan, math.nan, math.nan, math.nan
    invert_lower(full[0], full[3])
    whiten(full[3], full[1], full[6], full[4])
    whiten(full[3], full[2], full[6], full[5])
    log_v, product, trace, square, fixed, fixed2 = 0.0, 1.0, 0.0, 0.0, 0.0, 0.0
    for k in range(distinct):
        e = sizes[k] / (1.0 + sizes[k] * lam)
        # Logarithms cost as much as all else here: single schools share one.
        if counts[k] > 1.0 or product > 1e100:
            log_v += counts[k] * math.log1p(sizes[k] * lam)
        else:
            product *= 1.0 + sizes[k] * lam
        trace += counts[k] * e
        square += counts[k] * e * e
    for i in range(p):
        fixed += full[4, i, i]
        fixed2 += full[5, i, i]
    log_v += math.log(product)
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
def newton(lam: float, slope: float, curvature: float, low: float, high: float, before: float) -> float:
    """Return the next point of a search for the slope's root inside (`low`, `high`).

    Newton's method on lambda, or on log lambda where the bracket stays away from 0: far out the likelihood depends on
    the order of magnitude of lambda, and steps on lambda itself would creep. A step that leaves the bracket or does not
    halve the one `before` is replaced by bisection, unless it is so small that it is the last.
    """
    logs = low > 0.0
    guess = lam - slope / curvature
    if logs:
        # At most a factor of e^3: the quadratic model of log lambda holds no farther.
        guess = lam * math.exp(max(-3.0, min(3.0, -slope / (slope + lam * curvature))))
    if abs(guess - lam) <= LAST * lam or (low < guess < high and abs(guess - lam) <= 0.5 * before):
        return guess
    return math.sqrt(low * high) if logs else 0.5 * (low + high)


@kernel
def maximise(
    given: float, distinct: int, sizes: Floats, counts: Floats, between: Floats, within: Floats, nu: float,
    restricted: bool, packed: Floats, full: Floats,
) -> tuple[float, float, float, float, int, int]:  # fmt: skip
    """Return the lambda of the highest likelihood on [0, inf), -2l there with slope and curvature, steps, and a code.

    The grid is walked from 0; where the slope turns from negative to positive there is a maximum, which is refined; the
    best is evaluated last, so that `full` is left at it. A `given` lambda that isn't NaN is only evaluated. All phases
    share one call of `profile`, which would otherwise be compiled once for each.

    Why a grid: the profiled likelihood of unequal schools can have several maxima, and a search from one start finds
    the one it is near. Why the slope and not the value decides: it changes sign exactly where rounding hides which of
    two values is the larger.

    Returns
    -------
    lam, criterion, slope, curvature : float
        NaN for `lam` where there is no answer.
    steps : int
        Evaluations of the profile.
    code : int
        What became of it (`kernels.mixed`): OK, BOUNDARY, or why there is no answer.
    """
    smallest, largest, students, schools = sizes[0], sizes[0], 0.0, 0.0
    for k in range(distinct):
        smallest, largest = min(smallest, sizes[k]), max(largest, sizes[k])
        students += sizes[k] * counts[k]
        schools += counts[k]
    best_at, best, code = math.nan, math.inf, OK
    grid, ahead, ahead_slope, before = 0.0, LOWEST / largest, 0.0, 0.0
    low, high, moved = 0.0, 0.0, 0.0
    refining, settled, last = False, False, not math.isnan(given)
    lam = given if last else 0.0
    for step in range(STEPS):
        criterion, slope, curvature, freedom = profile(
            lam, distinct, sizes, counts, between, within, nu, restricted, packed, full
        )
        if not (math.isfinite(criterion) and math.isfinite(slope)):
            return math.nan, criterion, slope, curvature, step, NO_VARIATION if step == 0 else NO_WITHIN
        if last:
            return lam, criterion, slope, curvature, step, code
        if step == 0:
            # What is identified is seen at lambda = 0, before anything is searched for.
            if schools < 2.0 or freedom <= 1e-8 * students:
                return math.nan, criterion, slope, curvature, step, NO_SCHOOL_DF
            if largest == 1.0:
                return math.nan, criterion, slope, curvature, step, ONE_STUDENT
            # The likelihood falls from 0 on: the boundary is a maximum, if not the only one.
            if slope >= 0.0:
                best_at, best = 0.0, criterion
            before, lam = slope, ahead
            continue
        if refining and not settled:
            if slope < 0.0:
                low = lam
            else:
                high = lam
            guess = newton(lam, slope, curvature, low, high, moved)
            moved = abs(guess - lam)
            settled = moved <= LAST * lam or high - low <= 1e-15 * high
            lam = guess
            continue
        if not refining and before < 0.0 <= slope:
            low, high, ahead_slope = grid, ahead, slope
            lam, moved = math.sqrt(low * high) if low > 0.0 else 0.5 * high, high - low
            refining, settled = True, False
            continue
        # Several maxima are compared by their values, all evaluated by the same code.
        if refining and criterion < best:
            best_at, best = lam, criterion
        before, grid = ahead_slope if refining else slope, ahead
        refining = False
        ahead *= FACTOR
        lam = ahead
        if not (ahead < 50.0 * FACTOR / smallest or (before < 0.0 and ahead < HIGHEST)):
            if before < 0.0:
                return math.nan, criterion, slope, curvature, step, NO_WITHIN
            last, lam, code = True, best_at, BOUNDARY if best_at == 0.0 else OK
    return math.nan, math.nan, math.nan, math.nan, STEPS, NOT_CONVERGED


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

    Parameters
    ----------
    cross : float64 [S, d, d]
    offsets : int64 [R + 1]
    columns : int64 [p + 1]
        The columns of W that are [X y].
    restricted : bool
        REML, else ML.
    given : float64 [R]
        theta = school SD / residual SD; NaN: estimate it.
    fits : MixedFits
        Written; a replication without an answer keeps NaN and gets a code.
    """
    d = columns.shape[0]
    most = 1
    for r in range(offsets.shape[0] - 1):
        most = max(most, offsets[r + 1] - offsets[r])
    triangle = d * (d + 1) // 2
    sizes, counts, between = np.empty(most), np.empty(most), np.empty((most, triangle))
    within, packed, full = np.empty(triangle), np.empty((3, triangle)), np.empty((7, d, d))
    for r in range(offsets.shape[0] - 1):
        distinct = by_size(cross, offsets[r], offsets[r + 1], columns, sizes, counts, between, within)
        students, total = 0.0, within[triangle - 1]
        for k in range(distinct):
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
        lam, criterion, slope, curvature, fits.steps[r], fits.code[r] = maximise(
            given[r] * given[r],
            distinct,
            sizes,
            counts,
            between,
            within,
            fits.nu[r],
            restricted,
            packed,
            full,
        )
        if math.isnan(lam):
            continue
        if full[0, d - 1, d - 1] ** 2 <= EXACT_FIT * total:
            fits.code[r] = NO_VARIATION if lam == 0.0 else NO_WITHIN
            continue
        record(r, lam, curvature, slope, criterion, full, fits)

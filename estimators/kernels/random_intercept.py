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

(-2l)' is volume - fall: `volume`, the derivative of the determinants, and `fall` = nu M_yy, that of -nu log RSS. Both
are positive and fall with lambda (volume = sum mu/(1 + mu lambda) over the nonzero eigenvalues mu of ZZ' among the
contrasts; RSS is log-convex).

The optimum is bracketed by the sign of the slope on a grid from lambda = 0, whose points are evaluated together
(`intercept_grid`), and refined in its bracket by Newton's method for volume / fall = 1: where all mu are n, as in
balanced data with school-level covariates, that ratio is linear in lambda, and nearly so elsewhere, so the line between
the ends of the bracket is a start that few steps improve. Several local maxima are compared by their likelihood.
Source: Pinheiro & Bates (2000), ch. 2.
"""

from __future__ import annotations

import math

from nestbench.estimators.kernels.intercept_grid import slopes_at_points
from nestbench.estimators.kernels.intercept_profile import (
    POINTS,
    Room,
    Sums,
    by_size,
    criterion,
    group_sizes,
    profile,
    room_for,
    sums_for,
)
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
from nestbench.sim.compiled import kernel
from nestbench.sim.observed.batch import Floats, Ints

LOWEST, FACTOR, HIGHEST = 0.02, 4.0, 1e17
"""The grid: from LOWEST/n_max by factors of FACTOR past 50/n_min, on to HIGHEST while the likelihood still rises."""
STEPS = 400
"""Bound on the evaluations in one bracket."""
LAST, NONE = 1e-9, 1e-13
"""A step of Newton's method below the share LAST is the last: its error is its square. Below NONE none is made."""
EXACT_FIT = 1e-13
"""A residual sum of squares below this share of y'y is rounding error."""


@kernel
def newton(
    lam: float, volume: float, fall: float, volume_slope: float, fall_slope: float, low: float, high: float,
    before: float,
) -> float:  # fmt: skip
    """Return the next point of a search for volume = fall inside (`low`, `high`).

    A step that leaves the bracket or does not halve the one `before` is replaced by bisection, unless it is so small
    that it is the last.
    """
    guess = lam - (volume - fall) * fall / (volume_slope * fall - volume * fall_slope)
    if abs(guess - lam) <= LAST * lam or (low < guess < high and abs(guess - lam) <= 0.5 * before):
        return guess
    return math.sqrt(low * high) if low > 0.0 else 0.5 * (low + high)


@kernel
def climb(
    lam: float, low: float, high: float, sums: Sums, distinct: int, nu: float, restricted: bool, room: Room
) -> tuple[float, float, float, int]:
    """Return the lambda of the maximum between `low` and `high`, searched for from `lam`, where `room` is evaluated.

    Returns
    -------
    lam, slope, curvature : float
        Of -2l; the slope is NaN where the search failed.
    steps : int
        Evaluations.
    """
    moved, last = high - low, low == high
    for step in range(1, STEPS):
        volume, fall, volume_slope, fall_slope = profile(lam, sums, distinct, nu, restricted, room)
        slope, curvature = volume - fall, volume_slope - fall_slope
        if last or not math.isfinite(slope):
            return lam, slope, curvature, step
        if slope < 0.0:
            low = lam
        else:
            high = lam
        guess = newton(lam, volume, fall, volume_slope, fall_slope, low, high, moved)
        moved = abs(guess - lam)
        if moved <= NONE * lam:
            return lam, slope, curvature, step
        last = moved <= LAST * lam or high - low <= 1e-15 * high
        lam = guess
    return lam, math.nan, math.nan, STEPS


@kernel
def start_between(low: float, high: float, at_low: float, at_high: float) -> float:
    """Return where the line through ``volume / fall - 1`` at both ends of a bracket is 0."""
    lam = low + (high - low) * at_low / (at_low - at_high)
    return lam if low < lam < high else 0.5 * (low + high)


@kernel
def place(points: Floats, start: float, zero: bool) -> float:
    """Write the next points of the grid, 0 before them if `zero`; return the one after them."""
    for at in range(POINTS):
        if at == 0 and zero:
            points[at] = 0.0
        else:
            points[at] = start
            start *= FACTOR
    return start


@kernel
def unidentified(slope: float, freedom: float, sums: Sums, distinct: int) -> int:
    """Return why no school variance can be estimated, seen at lambda = 0 before one is searched for; else OK."""
    schools, students, largest = 0.0, 0.0, 0.0
    for k in range(distinct):
        schools += sums.counts[k]
        students += sums.sizes[k] * sums.counts[k]
        largest = max(largest, sums.sizes[k])
    if not math.isfinite(slope):
        return NO_VARIATION
    if schools < 2.0 or freedom <= 1e-8 * students:
        return NO_SCHOOL_DF
    return ONE_STUDENT if largest == 1.0 else OK


@kernel
def maximise(
    sums: Sums, distinct: int, nu: float, restricted: bool, room: Room
) -> tuple[float, float, float, int, int]:
    """Return the lambda of the highest likelihood on [0, inf), the slope and curvature of -2l there, steps, and a code.

    The grid is walked from 0; where the slope turns from negative to positive there is a maximum, which is refined. The
    best is evaluated last, so that `room` is left at it.

    Why a grid: the profiled likelihood of unequal schools can have several maxima, and a search from one start finds
    the one it is near. Why the slope and not the value decides: it changes sign exactly where rounding hides which of
    two values is the larger.

    Returns
    -------
    lam, slope, curvature : float
        NaN for `lam` where there is no answer.
    steps : int
        Points at which the slope was evaluated.
    code : int
        What became of it (`kernels.mixed`): OK, BOUNDARY, or why there is no answer.
    """
    # Not `.min()`: with it comes numba's linear algebra, and SciPy's, whenever the kernel is loaded.
    smallest, largest = math.inf, 0.0
    for k in range(distinct):
        smallest, largest = min(smallest, sums.sizes[k]), max(largest, sums.sizes[k])
    best_at, best, here, slope, curvature, steps = math.nan, math.inf, math.nan, math.nan, math.nan, 0
    low, at_low, before, ahead, at = 0.0, 0.0, 0.0, LOWEST / largest, POINTS
    for _ in range(STEPS):
        if at == POINTS:
            ahead, at = place(room.points, ahead, steps == 0), 0
            slopes_at_points(sums, distinct, nu, restricted, room)
        lam, volume, fall, steps = room.points[at], room.found[0, at], room.found[1, at], steps + 1
        rise, top = volume - fall, math.nan
        if steps == 1:
            code = unidentified(rise, room.found[2, at], sums, distinct)
            if code != OK:
                return math.nan, rise, math.nan, steps, code
            # The likelihood falls from 0 on: the boundary is a maximum, if not the only one.
            if rise >= 0.0:
                top = 0.0
        elif not math.isfinite(rise):
            return math.nan, rise, math.nan, steps, NO_WITHIN
        elif before < 0.0 <= rise:
            top = start_between(low, lam, at_low, volume / fall - 1.0)
        if not math.isnan(top):
            here, slope, curvature, more = climb(top, low, lam, sums, distinct, nu, restricted, room)
            value, steps = criterion(here, sums, distinct, nu, restricted, room), steps + more
            if math.isnan(slope):
                return math.nan, slope, curvature, steps, NOT_CONVERGED
            if value < best:
                best_at, best = here, value
        low, at_low, before, at = lam, volume / fall - 1.0, rise, at + 1
        if steps > 1 and not (
            FACTOR * lam < 50.0 * FACTOR / smallest or (rise < 0.0 and FACTOR * lam < HIGHEST)
        ):
            break
    if before < 0.0:
        return math.nan, before, math.nan, steps, NO_WITHIN
    if here != best_at:
        here, slope, curvature, more = climb(best_at, best_at, best_at, sums, distinct, nu, restricted, room)
        steps += more
    return here, slope, curvature, steps, BOUNDARY if here == 0.0 else OK


@kernel
def record(
    r: int, lam: float, curvature: float, slope: float, value: float, room: Room, fits: MixedFits
) -> None:
    """Write the fit at `lam`, which `profile` has just evaluated, in terms of theta = sqrt(lambda).

    d/dtheta = 2 theta d/dlambda; the second derivative is 4 lambda (-2l)'' + 2 (-2l)', so that at theta = 0 it is the
    slope at the boundary.
    """
    p = room.work.shape[0] - 1
    linv, last = room.packed[0], p * (p + 1) // 2
    theta = math.sqrt(lam)
    root = 1.0 / linv[last + p]
    fits.theta[r, 0] = theta
    fits.sigma2[r] = root * root / fits.nu[r]
    fits.criterion[r] = value
    fits.score[r] = -0.5 * slope
    fits.curvature[r, 0, 0] = 4.0 * lam * curvature + 2.0 * slope
    fits.tilt[r, 0] = 2.0 * theta * room.packed[3, last + p]
    at = 0
    for i in range(p):
        fits.beta[r, i] = -linv[last + i] * root
        for j in range(i + 1):
            fits.spread[r, 0, i, j] = fits.spread[r, 0, j, i] = 2.0 * theta * room.packed[1, at]
            at += 1
            total, row = 0.0, i * (i + 1) // 2
            for h in range(i, p):
                total += linv[row + i] * linv[row + j]
                row += h + 1
            fits.unscaled[r, i, j] = fits.unscaled[r, j, i] = total


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
    d, most = columns.shape[0], 1
    for r in range(offsets.shape[0] - 1):
        most = max(most, offsets[r + 1] - offsets[r])
    last = d * (d + 1) // 2 - 1
    sums, room, distinct = sums_for(most, d), room_for(most, d), 0
    for r in range(offsets.shape[0] - 1):
        distinct = group_sizes(cross, offsets, r, distinct, sums)
        by_size(cross, offsets[r], offsets[r + 1], columns, distinct, sums)
        students, total = 0.0, sums.within[last]
        for k in range(distinct):
            students += sums.counts[k] * sums.sizes[k]
            total += sums.between[last, k] / sums.sizes[k]
        nu = students - (d - 1) if restricted else students
        fits.students[r], fits.nu[r] = students, nu
        if not math.isfinite(total):
            fits.code[r] = NOT_FINITE
            continue
        if students - (d - 1) < 1.0:
            fits.code[r] = TOO_FEW
            continue
        if math.isnan(given[r]):
            lam, slope, curvature, fits.steps[r], fits.code[r] = maximise(
                sums, distinct, nu, restricted, room
            )
        else:
            at = given[r] * given[r]
            lam, slope, curvature, fits.steps[r] = climb(at, at, at, sums, distinct, nu, restricted, room)
            if math.isnan(slope):
                lam, fits.code[r] = math.nan, NO_VARIATION
        if math.isnan(lam):
            continue
        if room.packed[0, last] ** -2 <= EXACT_FIT * total:
            fits.code[r] = NO_VARIATION if lam == 0.0 else NO_WITHIN
            continue
        value = criterion(lam, sums, distinct, nu, restricted, room)
        record(r, lam, curvature, slope, value, room, fits)

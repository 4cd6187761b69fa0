r"""The slope of the profiled likelihood at several lambda at once: all points of a grid for the price of one or two.

What `intercept_profile` does at one lambda, without the second derivatives, in loops whose innermost runs over
`POINTS` lambda: bounds and indices are worked out once for all of them.
"""

from __future__ import annotations

import math

from nestbench.estimators.kernels.intercept_profile import POINTS, Room, Sums
from nestbench.sim.compiled import accumulate, kernel
from nestbench.sim.observed.batch import Floats


@accumulate
def weigh_at_points(
    lams: Floats, distinct: int, sums: Sums, weights: Floats, b: Floats, k: Floats, traces: Floats
) -> None:  # fmt: skip
    """Write B and K [T, POINTS] at each of `lams`, and sum n d to `traces` [POINTS]; `weights` [4, G] is scratch.

    In pairs of points, so that the loop over sizes, which is the long one, reads `between` once for four sums.
    """
    counts, between, within = sums.counts, sums.between, sums.within
    for at in range(0, POINTS, 2):
        first, second = 0.0, 0.0
        for g in range(distinct):
            n, m = sums.sizes[g], sums.inverses[g]
            one, two = 1.0 / (1.0 + n * lams[at]), 1.0 / (1.0 + n * lams[at + 1])
            weights[0, g], weights[1, g], weights[2, g], weights[3, g] = (
                one * m,
                two * m,
                one * one,
                two * two,
            )
            first += counts[g] * n * one
            second += counts[g] * n * two
        traces[at], traces[at + 1] = first, second
        for j in range(within.shape[0]):
            b1, b2, k1, k2 = within[j], within[j], 0.0, 0.0
            for g in range(distinct):
                s = between[j, g]
                b1 += weights[0, g] * s
                b2 += weights[1, g] * s
                k1 += weights[2, g] * s
                k2 += weights[3, g] * s
            b[j, at], b[j, at + 1], k[j, at], k[j, at + 1] = b1, b2, k1, k2


@kernel
def invert_roots(a: Floats, d: int, work: Floats) -> None:
    """Overwrite packed matrices A = LL' [T, POINTS] by L^-1; NaN where one is not positive definite."""
    for j in range(d):
        row = j * (j + 1) // 2
        for i in range(j, d):
            below = i * (i + 1) // 2
            for at in range(POINTS):
                work[0, at] = a[below + j, at]
            for h in range(j):
                for at in range(POINTS):
                    work[0, at] -= a[below + h, at] * a[row + h, at]
            for at in range(POINTS):
                if i == j:
                    work[1, at] = 1.0 / math.sqrt(work[0, at])
                    a[below + j, at] = work[1, at]
                else:
                    a[below + j, at] = work[0, at] * work[1, at]
    for i in range(1, d):
        below = i * (i + 1) // 2
        for j in range(i):
            for at in range(POINTS):
                work[0, at] = 0.0
            for h in range(j, i):
                row = h * (h + 1) // 2
                for at in range(POINTS):
                    work[0, at] -= a[below + h, at] * a[row + j, at]
            for at in range(POINTS):
                a[below + j, at] = work[0, at] * a[below + i, at]


@kernel
def quadratic_rows(linv: Floats, k: Floats, i: int, work: Floats) -> None:
    """Write l'K l to ``work[0]`` [POINTS], l the i-th rows of L^-1."""
    mine = i * (i + 1) // 2
    for at in range(POINTS):
        work[0, at] = 0.0
    for h in range(i + 1):
        row = h * (h + 1) // 2
        for at in range(POINTS):
            work[1, at] = k[row + h, at] * linv[mine + h, at]
        for q in range(h):
            for at in range(POINTS):
                work[1, at] += 2.0 * k[row + q, at] * linv[mine + q, at]
        for at in range(POINTS):
            work[0, at] += work[1, at] * linv[mine + h, at]


@kernel
def slopes_at_points(sums: Sums, distinct: int, nu: float, restricted: bool, room: Room) -> None:
    """Write volume, fall and freedom at each of ``room.points`` to ``room.found``; NaN where B isn't positive definite.

    volume - fall is the slope of -2l; freedom is tr(P Z Z'), 0 where the school variance leaves no trace in residuals.
    """
    d, points, found = room.work.shape[0], room.points, room.found
    linv, k, lanes = room.roots, room.slopes, room.lanes
    weigh_at_points(points, distinct, sums, room.weights, linv, k, found[0])
    invert_roots(linv, d, lanes)
    for at in range(POINTS):
        found[2, at] = found[0, at]
    for i in range(d):
        quadratic_rows(linv, k, i, lanes)
        for at in range(POINTS):
            if i == d - 1:
                found[1, at] = nu * lanes[0, at]
            else:
                found[2, at] -= lanes[0, at]
    if restricted:
        for at in range(POINTS):
            found[0, at] = found[2, at]

r"""The profiled likelihood of the random-intercept model at one lambda, from sums over schools of one size.

`random_intercept` has the formulas. Matrices [p + 1, p + 1] are packed lower triangles [T], entry (i, j) at
i (i + 1) / 2 + j: a replication's work then fits into few cache lines, and loops over T have no holes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from nestbench.sim.compiled import accumulate, kernel
from nestbench.sim.observed.batch import Floats, Ints

POINTS = 8
"""Points of a grid that are evaluated together: as many as it has for schools of one size, with lambda = 0."""


class Sums(NamedTuple):
    """A replication's sums over schools of one size; G sizes at most.

    Attributes
    ----------
    sizes, inverses, counts : [G]
        The distinct sizes n, 1/n, and how many schools have each.
    slots : int64 [G]
        Which of the sizes each school has.
    between : [T, G]
        sum s_g s_g' of each size.
    within : [T]
        sum (W_g'W_g - s_g s_g'/n_g).
    """

    sizes: Floats
    inverses: Floats
    counts: Floats
    slots: Ints
    between: Floats
    within: Floats


class Room(NamedTuple):
    """What an evaluation leaves: at one lambda in `packed`, at the points of a grid in `found`.

    Attributes
    ----------
    packed : [4, T]
        L^-1, K, K' and M.
    weights : [4, G]
        Scratch, as are `work` [p + 1], `roots`, `slopes` [T, POINTS] and `lanes` [2, POINTS].
    points : [POINTS]
    found : [3, POINTS]
        volume, fall and freedom at the points.
    """

    packed: Floats
    weights: Floats
    work: Floats
    points: Floats
    found: Floats
    roots: Floats
    slopes: Floats
    lanes: Floats


@kernel
def sums_for(most: int, d: int) -> Sums:
    """Return room for the sums of `most` schools and d = p + 1 columns."""
    t = d * (d + 1) // 2
    sizes, inverses, counts = np.empty(most), np.empty(most), np.empty(most)
    return Sums(sizes, inverses, counts, np.empty(most, np.int64), np.empty((t, most)), np.empty(t))


@kernel
def room_for(most: int, d: int) -> Room:
    """Return room for evaluations."""
    t = d * (d + 1) // 2
    return Room(
        np.empty((4, t)),
        np.empty((4, most)),
        np.empty(d),
        np.empty(POINTS),
        np.empty((3, POINTS)),
        np.empty((t, POINTS)),
        np.empty((t, POINTS)),
        np.empty((2, POINTS)),
    )


@kernel
def group_sizes(cross: Floats, offsets: Ints, r: int, before: int, sums: Sums) -> int:
    """Write replication r's distinct sizes, their counts and slots; return how many there are.

    Often they are those of the replication before, which had `before` of them: seen in one pass without a search.
    """
    first, last = offsets[r], offsets[r + 1]
    if r > 0 and last - first == first - offsets[r - 1]:
        earlier = offsets[r - 1]
        g = 0
        while g < last - first and cross[first + g, 0, 0] == cross[earlier + g, 0, 0]:
            g += 1
        if g == last - first:
            return before
    sizes, distinct, k = sums.sizes, 0, 0
    for g in range(first, last):
        n = cross[g, 0, 0]
        if distinct == 0 or sizes[k] != n:
            k = 0
            while k < distinct and sizes[k] != n:
                k += 1
            if k == distinct:
                sizes[k], sums.inverses[k], sums.counts[k] = n, 1.0 / n, 0.0
                distinct += 1
        sums.counts[k] += 1.0
        sums.slots[g - first] = k
    return distinct


@kernel
def by_size(cross: Floats, first: int, last: int, columns: Ints, distinct: int, sums: Sums) -> None:
    """Write the sums over schools `first`..`last` - 1 of each size.

    Equal schools cost no more than one from here on, however often the likelihood is evaluated.
    """
    between, within = sums.between, sums.within
    for at in range(within.shape[0]):
        within[at] = 0.0
        for k in range(distinct):
            between[at, k] = 0.0
    for g in range(first, last):
        own, k, at = cross[g], sums.slots[g - first], 0
        for i in range(columns.shape[0]):
            a = columns[i]
            s = own[0, a]
            for j in range(i + 1):
                b = columns[j]
                between[at, k] += s * own[0, b]
                within[at] += own[a, b]
                at += 1
    less_means(distinct, sums)
    if columns[0] == 0:
        # Exactly, or rounding errors would be all that is left of the intercept where lambda is large.
        within[0] = 0.0


@accumulate
def less_means(distinct: int, sums: Sums) -> None:
    """Subtract sum s_g s_g'/n_g from `within`."""
    for at in range(sums.within.shape[0]):
        total = 0.0
        for k in range(distinct):
            total += sums.between[at, k] * sums.inverses[k]
        sums.within[at] -= total


@accumulate
def weigh(lam: float, distinct: int, sums: Sums, weights: Floats, out: Floats) -> None:
    """Write B, K and K' to the first rows of `out` [3, T]; `weights` [3, G] is scratch.

    The only loop over distinct sizes; `accumulate` lets the compiler keep several partial sums, which is allowed to
    change the last digit and nothing else.
    """
    for k in range(distinct):
        n = sums.sizes[k]
        d = 1.0 / (1.0 + n * lam)
        weights[0, k], weights[1, k], weights[2, k] = d * sums.inverses[k], d * d, -2.0 * n * d * d * d
    for j in range(sums.within.shape[0]):
        b, first, second = sums.within[j], 0.0, 0.0
        for k in range(distinct):
            s = sums.between[j, k]
            b += weights[0, k] * s
            first += weights[1, k] * s
            second += weights[2, k] * s
        out[0, j], out[1, j], out[2, j] = b, first, second


@kernel
def invert_root(a: Floats, d: int) -> bool:
    """Overwrite a packed matrix A = LL' by L^-1; False, half written, unless it is positive definite."""
    for j in range(d):
        row = j * (j + 1) // 2
        pivot = a[row + j]
        for k in range(j):
            pivot -= a[row + k] * a[row + k]
        # "not >", so that NaN fails too
        if not pivot > 0.0:
            return False
        scale = 1.0 / math.sqrt(pivot)
        a[row + j] = scale
        below = row
        for i in range(j + 1, d):
            below += i
            total = a[below + j]
            for k in range(j):
                total -= a[below + k] * a[row + k]
            a[below + j] = total * scale
    below = 0
    for i in range(1, d):
        below += i
        for j in range(i):
            total, row = 0.0, j * (j + 1) // 2
            for k in range(j, i):
                total -= a[below + k] * a[row + j]
                row += k + 1
            a[below + j] = total * a[below + i]
    return True


@kernel
def quadratic_row(linv: Floats, k: Floats, i: int) -> float:
    """Return l'K l, l the i-th row of L^-1: entry (i, i) of L^-1 K L^-T, both packed."""
    mine, row, total = i * (i + 1) // 2, 0, 0.0
    for h in range(i + 1):
        row += h
        part = 0.5 * k[row + h] * linv[mine + h]
        for q in range(h):
            part += k[row + q] * linv[mine + q]
        total += part * linv[mine + h]
    return 2.0 * total


@kernel
def whiten_packed(linv: Floats, k: Floats, work: Floats, out: Floats, d: int) -> None:
    """Write L^-1 K L^-T to `out`, all packed; `work` [d] is scratch.

    In these coordinates B is the identity, so that traces and squared entries are the derivatives' terms.
    """
    mine = 0
    for i in range(d):
        mine += i
        # `work` becomes row i of L^-1 K, read from the half of K that is stored
        for h in range(i + 1):
            work[h] = 0.0
        row = 0
        for h in range(i + 1):
            row += h
            total = k[row + h] * linv[mine + h]
            for q in range(h):
                total += k[row + q] * linv[mine + q]
                work[q] += k[row + q] * linv[mine + h]
            work[h] += total
        row = 0
        for j in range(i + 1):
            row += j
            total = 0.0
            for h in range(j + 1):
                total += work[h] * linv[row + h]
            out[mine + j] = total


@kernel
def profile(
    lam: float, sums: Sums, distinct: int, nu: float, restricted: bool, room: Room
) -> tuple[float, float, float, float]:
    """Evaluate the derivatives of the profiled criterion -2l at `lam`; leaves L^-1, K, K' and M in ``room.packed``.

    Returns
    -------
    volume, fall : float
        The two parts of the slope (-2l)' = volume - fall; NaN if B is not positive definite.
    volume_slope, fall_slope : float
        Their derivatives.
    """
    d, packed = room.work.shape[0], room.packed
    weigh(lam, distinct, sums, room.weights, packed)
    linv, second, m = packed[0], packed[2], packed[3]
    # Exactly fitted data: B is singular at every lambda.
    if not invert_root(linv, d):
        return math.nan, math.nan, math.nan, math.nan
    whiten_packed(linv, packed[1], room.work, m, d)
    volume, volume_slope, row = 0.0, 0.0, 0
    for k in range(distinct):
        e = sums.sizes[k] * sums.sizes[k] * room.weights[0, k]
        volume += sums.counts[k] * e
        volume_slope -= sums.counts[k] * e * e
    for i in range(d - 1):
        row += i
        if restricted:
            volume -= m[row + i]
            volume_slope -= quadratic_row(linv, second, i) + m[row + i] * m[row + i]
            for j in range(i):
                volume_slope -= 2.0 * m[row + j] * m[row + j]
    row += d - 1
    bend = quadratic_row(linv, second, d - 1) + m[row + d - 1] * m[row + d - 1]
    for i in range(d - 1):
        bend += 2.0 * m[row + i] * m[row + i]
    return volume, nu * m[row + d - 1], volume_slope, nu * bend


@kernel
def criterion(lam: float, sums: Sums, distinct: int, nu: float, restricted: bool, room: Room) -> float:
    """Return -2l at the lambda that `profile` has just been evaluated at.

    Apart from the derivatives: logarithms cost as much as all of these, and only maxima are compared by value.
    """
    linv, d = room.packed[0], room.work.shape[0]
    last = linv[d * (d + 1) // 2 - 1]
    total, product, row = 0.0, 1.0, 0
    for k in range(distinct):
        # Single schools share a logarithm.
        if sums.counts[k] > 1.0 or product > 1e100:
            total += sums.counts[k] * math.log1p(sums.sizes[k] * lam)
        else:
            product *= 1.0 + sums.sizes[k] * lam
    total += math.log(product) + nu * (1.0 + math.log(2.0 * math.pi / (last * last * nu)))
    if restricted:
        for i in range(d - 1):
            row += i
            total -= 2.0 * math.log(linv[row + i])
    return total

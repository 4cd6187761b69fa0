"""The kernel behind `SchoolMoments`: from long columns to one cross-product a school, in one pass over the data.

For replication r the columns of W are evaluated into a scratch that stays in the cache, shifted by their
means (the pivot, when X has an intercept) and reduced to ``C_g = W_g'W_g`` school by school. Squares of
shifted columns keep the digits that squares of raw columns lose: uncentred, the iid standard error is off
by 2.5e-4 at a mean of 1e6.

Nearly dependent columns lose digits again, in proportion to the square of their condition number. Where that
matters (`REFINE`) the data set is left to `refinement`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nestbench.estimators.moments.blocks import cross_product
from nestbench.estimators.moments.blocks import total as total_of
from nestbench.estimators.moments.pointers import codes_at, floats_at
from nestbench.sim.compiled import kernel
from nestbench.sim.observed.batch import Floats, Ints

REFINE = 1e-4
"""Least share of a column's (or y's) sum of squares that must be left by the columns before it, or it is refined."""
NOISE = 1e-12
"""Standard deviation relative to the mean at which a column may be constant but for rounding."""


@kernel
def reduce_schools(
    starts: Ints,
    kinds: Ints,
    addresses: Ints,
    levels: Ints,
    school_offsets: Ints,
    replication_offsets: Ints,
    x: Ints,
    intercept: bool,
    scratch: Floats,
    cross: Floats,
    pivot: Floats,
    scale: Floats,
    contrasts: Floats,
    shift: Floats,
    regular: Any,
    near: Any,
) -> None:
    """Fill the moments of all replications.

    Parameters
    ----------
    starts : int64 [d + 1]
        Column j of W is the product of the factors ``starts[j] : starts[j + 1]``.
    kinds, addresses, levels : int64 [F]
        Each factor: its `FactorKind`, where its column starts in memory, its level.
    x : int64 [p]
        Columns of W that are X, by term.
    intercept : bool
        Whether X has column 0.
    scratch : float64 [d + 1, rows of the largest replication]
    cross [S, d, d], pivot, scale [R, d], contrasts [R, p, p], shift [R, p], regular [R]
        Written; see `SchoolMoments`.
    near : bool [R]
        Written: whether columns are so nearly dependent that `refine_schools` is to follow.
    """
    d, p = len(starts) - 1, len(x)
    total = np.empty((d, d))
    for r in range(len(replication_offsets) - 1):
        first, last = replication_offsets[r], replication_offsets[r + 1]
        n = school_offsets[last] - school_offsets[first]
        evaluate_all(
            starts, kinds, addresses, levels, school_offsets, first, last, intercept, scratch, pivot[r]
        )
        cross_products(scratch, school_offsets, first, last, cross, total)
        finite = all_finite(total)
        near[r] = finite and least_share(total, x, pivot[r], n) < REFINE
        regular[r] = finite and n > p
        rescale(cross, first, last, total, n, scale[r])
        contrasts_of(x, intercept, pivot[r], scale[r], contrasts[r], shift[r])


@kernel
def evaluate_all(
    starts: Ints,
    kinds: Ints,
    addresses: Ints,
    levels: Ints,
    school_offsets: Ints,
    first: int,
    last: int,
    intercept: bool,
    scratch: Floats,
    pivot: Floats,
) -> None:
    """Write the columns of W of one replication, schools ``first : last``, to the scratch, shifted by their means."""
    for j in range(len(starts) - 1):
        _evaluate(j, starts, kinds, addresses, levels, school_offsets, first, last, scratch)
    _shift_by_means(scratch, school_offsets[last] - school_offsets[first], intercept, pivot)


@kernel
def _evaluate(
    j: int,
    starts: Ints,
    kinds: Ints,
    addresses: Ints,
    levels: Ints,
    school_offsets: Ints,
    first: int,
    last: int,
    scratch: Floats,
) -> None:
    """Write column j of W, a product of factors, to its row of the scratch (which has one row more, for factors)."""
    n = school_offsets[last] - school_offsets[first]
    column, factor = scratch[j], scratch[len(starts) - 1]
    if starts[j] == starts[j + 1]:
        for i in range(n):
            column[i] = 1.0
    for f in range(starts[j], starts[j + 1]):
        out = column if f == starts[j] else factor
        _factor(kinds[f], addresses[f], levels[f], school_offsets, first, last, out)
        if f > starts[j]:
            for i in range(n):
                column[i] *= factor[i]


@kernel
def _factor(
    kind: int, address: int, level: int, school_offsets: Ints, first: int, last: int, out: Floats
) -> None:
    """Write one factor: 0 the numbers, 1 an indicator, 2 their school means, 3 deviations from the means."""
    start, stop = school_offsets[first], school_offsets[last]
    if kind == 1:
        codes = codes_at(address, stop)[start:stop]
        for i in range(len(codes)):
            out[i] = 1.0 if codes[i] == level else 0.0
        return
    values = floats_at(address, stop)[start:stop]
    for i in range(len(values)):
        out[i] = values[i]
    if kind == 0:
        return
    for s in range(first, last):
        a, b = school_offsets[s] - start, school_offsets[s + 1] - start
        mean = total_of(out, a, b) / (b - a)
        for i in range(a, b):
            out[i] = mean if kind == 2 else out[i] - mean


@kernel
def _shift_by_means(scratch: Floats, n: int, intercept: bool, pivot: Floats) -> None:
    """Subtract the mean from every column but the constant; not at all without an intercept."""
    pivot[:] = 0.0
    if not intercept:
        return
    for j in range(1, len(pivot)):
        column = scratch[j]
        mean = total_of(column, 0, n) / n
        pivot[j] = mean
        for i in range(n):
            column[i] -= mean


@kernel
def cross_products(
    scratch: Floats, school_offsets: Ints, first: int, last: int, cross: Floats, total: Floats
) -> None:
    """Write ``cross[s] = W_s'W_s`` for the schools of one replication, and their sum; column 0 is the constant 1."""
    start = school_offsets[first]
    for s in range(first, last):
        cross_product(scratch, school_offsets[s] - start, school_offsets[s + 1] - start, cross[s])
    sum_schools(cross, first, last, total)


@kernel
def sum_schools(cross: Floats, first: int, last: int, total: Floats) -> None:
    """Write the sum of the schools' cross-products."""
    d = total.shape[0]
    total[:] = 0.0
    for s in range(first, last):
        for i in range(d):
            for j in range(d):
                total[i, j] += cross[s, i, j]


@kernel
def all_finite(total: Floats) -> bool:
    """Whether a sum of cross-products is finite: one value that isn't makes its column's square so."""
    trace = 0.0
    for j in range(total.shape[0]):
        trace += total[j, j]
    return math.isfinite(trace)


@kernel
def least_share(total: Floats, x: Ints, pivot: Floats, n: int) -> float:
    """Return the least share of a column's sum of squares that the columns of X before it leave; y is last.

    A column whose spread is rounding error beside its mean has no share.
    """
    p = len(x)
    order = np.empty(p + 1, np.int64)
    for j in range(p):
        order[j] = x[j]
    order[p] = total.shape[0] - 1
    lower = np.empty((p + 1, p + 1))
    least = 1.0
    for j in range(p + 1):
        if not total[order[j], order[j]] > n * (NOISE * pivot[order[j]]) ** 2:
            return 0.0
        for i in range(j, p + 1):
            rest = total[order[i], order[j]]
            for k in range(j):
                rest -= lower[i, k] * lower[j, k]
            if i == j:
                share = rest / total[order[j], order[j]]
                # What is left is the rounding error of the squares, perhaps below 0; `not` lets NaN end here too.
                if not share > 1e-12:
                    return 0.0
                least = min(least, share)
                lower[j, j] = math.sqrt(rest)
            else:
                lower[i, j] = rest / lower[j, j]
    return least


@kernel
def rescale(cross: Floats, first: int, last: int, total: Floats, n: int, scale: Floats) -> None:
    """Choose the scales from the sums of squares over a replication and apply them to its schools."""
    d = len(scale)
    for j in range(d):
        # Powers of two, for they change no digit.
        scale[j] = _power_of_two(total[j, j] / n) if j else 1.0
    for s in range(first, last):
        for i in range(d):
            for j in range(d):
                cross[s, i, j] *= scale[i] * scale[j]


@kernel
def _power_of_two(mean_square: float) -> float:
    """Return the power of two that brings a column's root mean square near 1."""
    if not (mean_square > 0.0 and math.isfinite(mean_square)):
        return 1.0
    return 2.0 ** -round(0.5 * math.log2(mean_square))


@kernel
def contrasts_of(
    x: Ints, intercept: bool, pivot: Floats, scale: Floats, contrasts: Floats, shift: Floats
) -> None:
    """Write how the coefficients of the terms follow from those of the shifted, scaled columns.

    With D = diag(scale_j / scale_y): slopes are ``D beta``, the intercept takes ``pivot_y - sum_j pivot_j slope_j``
    more.
    """
    p, y = len(x), len(scale) - 1
    for a in range(p):
        shift[a] = pivot[y] if x[a] == 0 else 0.0
        for c in range(p):
            contrasts[a, c] = 0.0
    for c in range(p):
        slope = scale[x[c]] / scale[y]
        contrasts[c, c] = slope
        for a in range(p):
            if intercept and x[a] == 0:
                contrasts[a, c] -= pivot[x[c]] * slope

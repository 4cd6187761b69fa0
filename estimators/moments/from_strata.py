"""School cross-products from strata: the same statistics as from students, in a time that depends on schools alone.

In a stratum of n students a column of W that is affine there (`nestbench.sim.observed.affine`) has mean m_i and the row
F_i = slope_i F_v of the factor, so that W_g'W_g is the sum over the school's strata of n m_i m_j + F_i F_j'.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nestbench.estimators.moments.crossproducts import (
    REFINE,
    all_finite,
    contrasts_of,
    least_share,
    rescale,
    sum_schools,
)
from nestbench.sim.compiled import kernel
from nestbench.sim.observed.affine import affine_columns, strata_of
from nestbench.sim.observed.batch import Batch, Floats, Ints
from nestbench.sim.observed.design import Design

Arrays = tuple[Floats, Ints, Ints, Floats, Ints, Floats, Ints]


def strata_columns(batch: Batch, design: Design, names: Sequence[str]) -> Arrays | None:
    """Return the columns `names` and y on the batch's strata, as `reduce_strata` takes them.

    None where the batch has no strata, or a column of the design isn't affine within them.
    """
    strata = strata_of(batch)
    if strata is None:
        return None
    columns = affine_columns(
        [
            (("Intercept",), ((),)),
            (design.random_terms, design.random_products),
            (design.terms, design.rhs_products),
            ((design.response,), design.lhs_products),
        ],
        strata,
    )
    if columns is None:
        return None
    labels = ["Intercept", *design.random_terms, *design.terms, "(y)"]
    named = dict(zip(labels, columns, strict=True))
    chosen = [named[name] for name in [*names, "(y)"]]
    moving = np.array([j for j, column in enumerate(chosen) if column.varying >= 0], dtype=np.int64)
    slope = np.ones((len(strata.count), len(moving)))
    for k, j in enumerate(moving):
        if (factor := chosen[j].slope) is not None:
            slope[:, k] = factor
    return (
        np.stack([column.mean for column in chosen], axis=1),
        moving,
        np.array([chosen[j].varying for j in moving], dtype=np.int64),
        slope,
        strata.count,
        strata.factor,
        strata.offsets,
    )


@kernel
def reduce_strata(
    mean: Floats,
    moving: Ints,
    varying: Ints,
    slope: Floats,
    count: Ints,
    factor: Floats,
    offsets: Ints,
    replication_offsets: Ints,
    x: Ints,
    intercept: bool,
    cross: Floats,
    pivot: Floats,
    scale: Floats,
    contrasts: Floats,
    shift: Floats,
    regular: Any,
    near: Any,
) -> None:
    """Fill the moments of all replications; as `crossproducts.reduce_schools`, but for the data.

    Parameters
    ----------
    mean : float64 [T, d]
        Of the columns of W on strata; used up.
    moving, varying : int64 [m]
        Columns of W that vary within strata, and which varying column of the strata each is affine in.
    slope : float64 [T, m]
    count [T], factor [T, c, f], offsets [S + 1]
        As in `Strata`.
    """
    d, p = mean.shape[1], len(x)
    total = np.empty((d, d))
    for r in range(len(replication_offsets) - 1):
        first, last = replication_offsets[r], replication_offsets[r + 1]
        start, stop = offsets[first], offsets[last]
        n = 0
        for t in range(start, stop):
            n += count[t]
        shift_by_means(mean, count, start, stop, n, intercept, pivot[r])
        for s in range(first, last):
            cross_product(mean, moving, varying, slope, count, factor, offsets[s], offsets[s + 1], cross[s])
        sum_schools(cross, first, last, total)
        finite = all_finite(total)
        near[r] = finite and least_share(total, x, pivot[r], n) < REFINE
        regular[r] = finite and n > p
        rescale(cross, first, last, total, n, scale[r])
        contrasts_of(x, intercept, pivot[r], scale[r], contrasts[r], shift[r])


@kernel
def shift_by_means(
    mean: Floats, count: Ints, start: int, stop: int, n: int, intercept: bool, pivot: Floats
) -> None:
    """Subtract the mean over a replication from every column but the constant; not at all without an intercept."""
    pivot[:] = 0.0
    if not intercept:
        return
    for t in range(start, stop):
        for j in range(1, len(pivot)):
            pivot[j] += count[t] * mean[t, j]
    for j in range(1, len(pivot)):
        pivot[j] /= n
    # In place: `strata_columns` has stacked the means anew, so that no column of the batch is shifted.
    for t in range(start, stop):
        for j in range(1, len(pivot)):
            mean[t, j] -= pivot[j]


@kernel
def cross_product(
    mean: Floats,
    moving: Ints,
    varying: Ints,
    slope: Floats,
    count: Ints,
    factor: Floats,
    start: int,
    stop: int,
    out: Floats,
) -> None:
    """Write W'W of one school, whose strata are ``start : stop``, both triangles."""
    d = mean.shape[1]
    out[:] = 0.0
    for t in range(start, stop):
        if count[t] == 0:
            continue
        for i in range(d):
            weighted = count[t] * mean[t, i]
            for j in range(i + 1):
                out[i, j] += weighted * mean[t, j]
        for a in range(len(moving)):
            for b in range(a + 1):
                value = 0.0
                for k in range(factor.shape[2]):
                    value += factor[t, varying[a], k] * factor[t, varying[b], k]
                out[moving[a], moving[b]] += slope[t, a] * slope[t, b] * value
    for i in range(d):
        for j in range(i):
            out[j, i] = out[i, j]

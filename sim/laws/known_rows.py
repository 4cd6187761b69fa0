"""Rows and statistics of an outcome on a known design, in both directions: the loops of `known_design`.

In a school of n rows with Q [n, p] (orthonormal columns, orthogonal to the constant; those from its rank on are 0) an
outcome is y = mean + Q c + l d, with c = Q'y, d of length 1 orthogonal to the constant and Q, and l >= 0.
"""

from __future__ import annotations

import math

import numpy as np

from nestbench.sim.compiled import accumulate, kernel
from nestbench.sim.observed.batch import Floats, Ints

PASSES = 2
"""Times that a direction is made orthogonal: one leaves rounding errors of what it took off."""


@accumulate
def centre(row: Floats) -> float:
    """Subtract the mean from a row [n], and return it."""
    n, mean = len(row), 0.0
    for i in range(n):
        mean += row[i]
    mean /= n
    for i in range(n):
        row[i] -= mean
    return mean


@accumulate
def take_off(row: Floats, direction: Floats) -> float:
    """Subtract the part of a row [n] along a direction of length 1, and return how long it is."""
    along = 0.0
    for i in range(len(row)):
        along += row[i] * direction[i]
    for i in range(len(row)):
        row[i] -= along * direction[i]
    return along


@accumulate
def length(row: Floats) -> float:
    """Return the length of a row [n]."""
    square = 0.0
    for i in range(len(row)):
        square += row[i] * row[i]
    return math.sqrt(square)


@accumulate
def add_to(row: Floats, factor: float, direction: Floats) -> None:
    """Add a multiple of a direction [n] to a row [n]."""
    for i in range(len(row)):
        row[i] += factor * direction[i]


@kernel
def statistics_of(outcome: Floats, q: Floats, starts: Ints, rank: Ints, mean: Floats, factor: Floats) -> None:
    """Write the mean, and c and l, of the outcome in every school and data set.

    Parameters
    ----------
    outcome : float64 [R, N]
    q : float64 [p, N]
    starts : int64 [G + 1]
        First row of each school.
    rank : int64 [G]
    mean : float64 [R, G]
        Written.
    factor : float64 [R, G, p + 1]
        Written: c, and l last.
    """
    p, row = len(q), np.empty(outcome.shape[1])
    for r in range(len(outcome)):
        row[:] = outcome[r]
        for g in range(len(rank)):
            start, stop = starts[g], starts[g + 1]
            part = row[start:stop]
            mean[r, g] = centre(part)
            factor[r, g] = 0.0
            for k in range(rank[g]):
                factor[r, g, k] = take_off(part, q[k, start:stop])
            if stop - start - 1 > rank[g]:
                factor[r, g, p] = length(part)


@kernel
def make_directions(rows: Floats, q: Floats, starts: Ints, rank: Ints) -> None:
    """Make of rows [R, N], in place, the direction d of every school; 0 where nothing is left."""
    for r in range(len(rows)):
        for g in range(len(rank)):
            start, stop = starts[g], starts[g + 1]
            part = rows[r, start:stop]
            if stop - start - 1 <= rank[g]:
                part[:] = 0.0
                continue
            size = 0.0
            for _ in range(PASSES):
                centre(part)
                for k in range(rank[g]):
                    take_off(part, q[k, start:stop])
                size = length(part)
                if size > 0.0:
                    for i in range(len(part)):
                        part[i] /= size


@kernel
def write_rows(
    mean: Floats, factor: Floats, q: Floats, starts: Ints, rank: Ints, directions: Floats, out: Floats
) -> None:
    """Write mean + Q c + l d to `out` [R, N], from what `statistics_of` and `make_directions` write."""
    p = len(q)
    for r in range(len(out)):
        for g in range(len(rank)):
            start, stop = starts[g], starts[g + 1]
            part = out[r, start:stop]
            part[:] = mean[r, g]
            for k in range(rank[g]):
                add_to(part, factor[r, g, k], q[k, start:stop])
            add_to(part, factor[r, g, p], directions[r, start:stop])

"""Students who belong to given statistics: exactly the conditional distribution of normal rows given mean and scatter.

Let v_1 .. v_n be independent N(mu, Sigma) in c dimensions, V [n, c] the deviations from their mean. With Z [n, c] of
standard normals, centred, and Z = Q R (R with a positive diagonal), V is distributed as Z Sigma^(1/2)', and in the QR
decomposition of a centred Gaussian matrix Q and R are independent: Q is uniform on the orthonormal frames of the n - 1
dimensions beside the constant, whatever Sigma is. So given the mean m and the scatter S = F F',

    rows = m + Q F',      Q from another Z,

is a draw from the conditional distribution: any F with F F' = S does, for two of them differ by a rotation, under which
that of Q is invariant. Cross-products of the rows are those given, as Q'Q = I and Q'1 = 0, to rounding error. Where
n - 1 is less than c only n - 1 columns of Q exist, and F has as many columns that are not 0. Last, a school's rows are
put in random order: within a school they are exchangeable, given how many are of which stratum.

The numbers come from the stream "students" of each replication: f N standard normals, then N uniforms.
(Eaton 1983, Multivariate Statistics, ch. 7-8: invariance and the independence of Q and R.)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nestbench.sim.compiled import accumulate, kernel
from nestbench.sim.observed.batch import Floats, Ints
from nestbench.sim.streams import StreamSource


def complete(
    offsets: Ints,
    count: Ints,
    mean: Floats,
    factor: Floats,
    replication_offsets: Ints,
    replications: Ints,
    streams: StreamSource,
) -> tuple[Floats, Ints]:
    """Return the varying columns [c, N] of the students of strata, and the stratum of each [N].

    Parameters
    ----------
    offsets, count, mean, factor
        As in `nestbench.sim.observed.strata.Strata`.
    replication_offsets : int64 [R + 1]
        First school of each replication.
    """
    values, stratum = np.empty((mean.shape[1], int(count.sum()))), np.empty(int(count.sum()), dtype=np.int64)
    row, f = 0, factor.shape[2]
    for i, number in enumerate(replications):
        first, last = int(replication_offsets[i]), int(replication_offsets[i + 1])
        rows = int(count[offsets[first] : offsets[last]].sum())
        generator = streams.at(int(number), "students")
        z, u = generator.standard_normal(f * rows), generator.random(rows)
        part = slice(row, row + rows)
        complete_schools(offsets, first, last, count, mean, factor, z, u, values[:, part], stratum[part])
        row += rows
    return values, stratum


@kernel
def complete_schools(
    offsets: Any,
    first: int,
    last: int,
    count: Any,
    mean: Any,
    factor: Any,
    z: Any,
    u: Any,
    values: Any,
    stratum: Any,
) -> None:
    """Write the students of the schools ``first : last`` of one replication; `z` is used up."""
    f = factor.shape[2]
    row = 0
    for s in range(first, last):
        start = row
        for t in range(offsets[s], offsets[s + 1]):
            for _ in range(count[t]):
                stratum[row] = t
                row += 1
        shuffle(stratum[start:row], u[start:row])
        used = start
        for t in range(offsets[s], offsets[s + 1]):
            if count[t] > 0:
                orthonormal(z[f * used : f * (used + count[t])].reshape(f, count[t]))
                used += count[t]
        place(
            offsets[s],
            count[offsets[s] : offsets[s + 1]],
            mean,
            factor,
            z[f * start :],
            stratum[start:row],
            values[:, start:row],
        )


@kernel
def shuffle(items: Any, u: Any) -> None:
    """Put items in random order, in place, by uniforms of the same number."""
    for i in range(len(items) - 1, 0, -1):
        # The largest double below 1 gives i at most; a u of 1 would write beyond the array, which compiled code does.
        j = min(int(u[i] * (i + 1)), i)
        items[i], items[j] = items[j], items[i]


@kernel
def orthonormal(q: Any) -> None:
    """Make the rows of q [f, n] orthonormal and orthogonal to the constant, in place; those that can't be become 0.

    Gram-Schmidt, twice, as a first pass leaves rounding errors in proportion to the condition number.
    """
    f, n = q.shape
    for j in range(f):
        if j >= n - 1:
            q[j] = 0.0
            continue
        for _ in range(2):
            subtract(q[j], total(q[j]) / n)
            for k in range(j):
                subtract_multiple(q[j], dot(q[j], q[k]), q[k])
            scale(q[j], 1.0 / np.sqrt(dot(q[j], q[j])))


@kernel
def place(first: int, count: Any, mean: Any, factor: Any, q: Any, stratum: Any, values: Any) -> None:
    """Write the rows mean + Q F' of a school, whose strata start at `first`, each to the next place of its stratum.

    Q of a stratum of n is ``q[f b : f (b + n)]``, by columns, where the strata before it have b students.
    """
    f = factor.shape[2]
    begin, done = np.zeros(len(count), np.int64), np.zeros(len(count), np.int64)
    for t in range(1, len(count)):
        begin[t] = begin[t - 1] + f * count[t - 1]
    for i in range(len(stratum)):
        t, k = stratum[i], stratum[i] - first
        at = begin[k] + done[k]
        done[k] += 1
        for c in range(mean.shape[1]):
            value = 0.0
            for j in range(f):
                value += factor[t, c, j] * q[at + j * count[k]]
            values[c, i] = mean[t, c] + value


@accumulate
def total(a: Any) -> float:
    """Return the sum of a."""
    result = 0.0
    for i in range(len(a)):
        result += a[i]
    return result


@accumulate
def dot(a: Any, b: Any) -> float:
    """Return the sum of products."""
    result = 0.0
    for i in range(len(a)):
        result += a[i] * b[i]
    return result


@kernel
def subtract(a: Any, value: float) -> None:
    """Subtract a number, in place."""
    for i in range(len(a)):
        a[i] -= value


@kernel
def subtract_multiple(a: Any, weight: float, b: Any) -> None:
    """Subtract a multiple of b from a, in place."""
    for i in range(len(a)):
        a[i] -= weight * b[i]


@kernel
def scale(a: Any, weight: float) -> None:
    """Multiply by a number, in place."""
    for i in range(len(a)):
        a[i] *= weight

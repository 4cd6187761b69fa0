"""What of a random-intercept fit's CR2 standard errors depends on X alone: schools side by side, in blocks of lanes.

Its notation is that of `cr2_intercept`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from nestbench.estimators.kernels.cr2_gls import THIN
from nestbench.estimators.kernels.linalg import eigen
from nestbench.sim.compiled import kernel
from nestbench.sim.observed.batch import Floats, Ints


class Design(NamedTuple):
    """What of the schools of a data set depends on X alone, in blocks of lanes; k is 1 + p.

    Attributes
    ----------
    size : [blocks, lanes]
        Students.
    sums : [blocks, p, lanes]
        Of the columns.
    span : [blocks, k, p, lanes]
        Q'X.
    back : [blocks, k, 1 + p, lanes]
        What makes Q'e of 1'e and X'e.
    """

    size: Floats
    sums: Floats
    span: Floats
    back: Floats


@kernel
def design_for(schools: int, p: int, lanes: int) -> Design:
    """Return room for what X decides of so many schools."""
    blocks = -(-schools // lanes)
    return Design(
        np.empty((blocks, lanes)),
        np.empty((blocks, p, lanes)),
        np.empty((blocks, p + 1, p, lanes)),
        np.empty((blocks, p + 1, p + 1, lanes)),
    )


@kernel
def within_basis(school: Floats, x: Ints, values: Floats, vectors: Floats, span: Floats) -> int:
    """Write Q'X of a school to `span` [k, p] and return k.

    Parameters
    ----------
    school : float64 [d, d]
        Cross-product of W; its column 0 is the constant.
    x : int64 [p]
    values, vectors : float64 [p], [p, p]
        Written: eigenvalues and eigenvectors of A_w, those that are kept come first.
    span : float64 [p + 1, p]
        Written.
    """
    p, n = len(x), school[0, 0]
    a, largest, kept = np.empty((p, p)), n, 0
    for i in range(p):
        largest = max(largest, school[x[i], x[i]])
        span[0, i] = school[0, x[i]] / math.sqrt(n)
        for j in range(p):
            a[i, j] = school[x[i], x[j]] - school[0, x[i]] * school[0, x[j]] / n
    eigen(a, values, vectors)
    for i in range(p):
        # A thin direction carries no more than rounding of the score; it stays unadjusted.
        if values[i] > THIN * largest:
            for j in range(p):
                span[kept + 1, j] = math.sqrt(values[i]) * vectors[j, i]
                vectors[j, kept] = vectors[j, i]
            values[kept] = values[i]
            kept += 1
    return kept + 1


@kernel
def describe(cross: Floats, x: Ints, design: Design) -> int:
    """Write what X alone decides of the schools [G, d, d] to `design`; return the most dimensions of a school."""
    p, lanes, most = len(x), design.size.shape[1], 1
    values, vectors, span = np.empty(p), np.empty((p, p)), np.empty((p + 1, p))
    design.size[:] = 0.0
    design.sums[:] = 0.0
    design.span[:] = 0.0
    design.back[:] = 0.0
    for g in range(len(cross)):
        block, at, n = g // lanes, g % lanes, cross[g, 0, 0]
        k = within_basis(cross[g], x, values, vectors, span)
        most = max(most, k)
        design.size[block, at] = n
        design.back[block, 0, 0, at] = 1.0 / math.sqrt(n)
        for j in range(p):
            design.sums[block, j, at] = cross[g, 0, x[j]]
            for i in range(k):
                design.span[block, i, j, at] = span[i, j]
            for i in range(1, k):
                # vectors'(X'e - s 1'e / n), in SDs
                weight = vectors[j, i - 1] / math.sqrt(values[i - 1])
                design.back[block, i, 1 + j, at] = weight
                design.back[block, i, 0, at] -= weight * cross[g, 0, x[j]] / n
    return most

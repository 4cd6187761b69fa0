"""Variances of least squares that are robust to unequal variances of observations, from their rows.

With M = (X'X)^-1 and a row c of `contrasts`, an observation's influence on the term is ``psi_i = c'M x_i e_i`` and

    var = sum_i w_i psi_i^2,    w_i = 1,  1 / (1 - h_i)  or  1 / (1 - h_i)^2,    h_i = x_i'M x_i = |L^-1 x_i|^2.

The squares of residuals stand with products of two columns, so that no cross-product holds them; all else is taken
from the fit of the cross-products.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nestbench.estimators.kernels.linalg import forward, solve
from nestbench.sim.compiled import kernel
from nestbench.sim.observed.batch import Floats, Ints

DETERMINED = 1e-8
"""1 - h below which an observation is taken to determine a coefficient alone: its residual is a rounding error."""


@kernel
def variances(
    columns: Floats,
    outcome: Floats,
    row_offsets: Ints,
    cross: Floats,
    offsets: Ints,
    x: Ints,
    pivot: Floats,
    scale: Floats,
    lower: Floats,
    influence: Floats,
    power: int,
    variance: Floats,
    regular: Any,
) -> None:
    """Write the variances of the terms [R, p].

    Parameters
    ----------
    columns, outcome : float64 [p, N], [N]
        X and y as they are.
    row_offsets : int64 [R + 1]
    cross, offsets, x, pivot, scale
        As in `SchoolMoments`, not refined.
    lower, influence : float64 [R, p, p]
        From `kernels.ols.fit`.
    power : int
        Of 1 / (1 - h).
    variance : float64 [R, p]
        Written.
    regular : bool [R]
        Cleared where an observation determines a coefficient; where it is False nothing is computed.
    """
    p, y = len(x), cross.shape[1] - 1
    beta, row, half = np.empty(p), np.empty(p), np.empty(p)
    for r in range(len(variance)):
        variance[r] = 0.0
        if not regular[r]:
            continue
        beta[:] = 0.0
        for g in range(offsets[r], offsets[r + 1]):
            for j in range(p):
                beta[j] += cross[g, x[j], y]
        solve(lower[r], beta)
        for i in range(row_offsets[r], row_offsets[r + 1]):
            e = (outcome[i] - pivot[r, y]) * scale[r, y]
            for j in range(p):
                row[j] = half[j] = (columns[j, i] - pivot[r, x[j]]) * scale[r, x[j]]
                e -= row[j] * beta[j]
            weight = 1.0
            if power > 0:
                forward(lower[r], half)
                for j in range(p):
                    weight -= half[j] * half[j]
                if weight < DETERMINED:
                    regular[r] = False
                    break
                weight = 1.0 / weight if power == 1 else 1.0 / (weight * weight)
            for j in range(p):
                psi = 0.0
                for k in range(p):
                    psi += influence[r, j, k] * row[k]
                variance[r, j] += weight * psi * psi * e * e

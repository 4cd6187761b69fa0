"""Newton's method within a trust region, for a handful of parameters: the step, and when it is the last.

Plain Newton steps fail here in two ways: far from a maximum the Hessian of -2l is indefinite, and near the boundary,
where a variance component vanishes, the quadratic model holds on a shrinking scale. A region in which the model is
trusted answers both, and keeps quadratic convergence at the end. Source: Nocedal & Wright (2006), ch. 4.
"""

from __future__ import annotations

import math

import numpy as np

from nestbench.estimators.kernels.linalg import eigen
from nestbench.estimators.kernels.mixed import put
from nestbench.sim.compiled import kernel
from nestbench.sim.observed.batch import Floats

STEPS = 200
"""Bound on the steps of one climb."""
SMALL = 1e-6
"""A step of Newton's method below this, in units of 1/(root mean square of Z), is the last: its error is its square."""
VANISHED = 1e-5
"""A diagonal entry of Lambda below this is a zero: the optimum is on the boundary."""


@kernel
def trust_step(
    slope: Floats, hessian: Floats, radius: float, values: Floats, vectors: Floats, step: Floats
) -> float:
    """Write the step that minimises the quadratic model within `radius`; return the reduction it predicts.

    In the eigenvectors of the Hessian, step_i = -slope_i/(value_i + mu) with the least mu >= 0 that makes the sum
    convex and the step short enough. Directions without curvature and slope are left alone.

    Parameters
    ----------
    slope, hessian : float64 [m], [m, m]
        Derivatives of -2l at the point.
    radius : float
        Longest step allowed.
    values, vectors : float64 [m], [m, m]
        Written: the Hessian's eigenvalues and eigenvectors, from which the caller sees whether it is convex there.
    step : float64 [m]
        Written.
    """
    m = len(slope)
    copy, along = np.empty((m, m)), np.zeros(m)
    put(hessian, copy)
    eigen(copy, values, vectors)
    largest, least = 0.0, math.inf
    for i in range(m):
        largest, least = max(largest, abs(values[i])), min(least, values[i])
        for j in range(m):
            along[i] += vectors[j, i] * slope[j]
    # Below this shift the model has no minimum.
    low = max(0.0, -least + 1e-8 * largest) if least < 0.0 else 0.0
    mu, high = low, 0.0
    for trial in range(60):
        length = 0.0
        for i in range(m):
            denominator = values[i] + mu
            if denominator > 1e-12 * largest:
                length += (along[i] / denominator) ** 2
        if math.sqrt(length) <= radius * (1.0 + 1e-6):
            # The radius is a guess itself: to hit it within a fifth is exact enough.
            if trial == 0 or math.sqrt(length) >= 0.8 * radius:
                break
            high = mu
        else:
            low = mu
        # Doubled until some shift is too large, halved between the two after that.
        mu = 0.5 * (low + high) if high > 0.0 else max(2.0 * mu, 1e-3 * largest)
    step[:] = 0.0
    predicted = 0.0
    for i in range(m):
        denominator = values[i] + mu
        if denominator > 1e-12 * largest:
            size = -along[i] / denominator
            predicted -= along[i] * size + 0.5 * values[i] * size * size
            for j in range(m):
                step[j] += vectors[j, i] * size
    return predicted


@kernel
def radius_of(theta: Floats) -> float:
    """Return the size that steps are judged by: the largest entry, at most 1 and at least 0.01."""
    largest = 0.01
    for i in range(len(theta)):
        largest = max(largest, abs(theta[i]))
    return min(largest, 1.0)

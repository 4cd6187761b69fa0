r"""Satterthwaite degrees of freedom of contrasts l'beta after a mixed-model fit, for any number of variance parameters.

With v(theta, sigma^2) = sigma^2 c(theta), c = l'Cl, and H the Hessian of -2l in (theta, sigma^2), not profiled,

    df = 2 v^2 / (g' 2 H^-1 g),   g = dv/d(theta, sigma^2).

Partitioned by sigma^2, whose block of H is nu/sigma^4, H^-1 is that of the *profiled* Hessian P and

    1/df = 1/nu + gamma'P^-1 gamma,   gamma_a = (dc/dtheta_a)/c + (dRSS/dtheta_a)/RSS,   dc/dtheta_a = l'C S_a C l,

S_a = -dB_xx/dtheta_a. Observed information in (theta, sigma), as in lmerTest; at theta = 0 gamma is 0, so df = nu.
Directions in which P is not positive carry no information and are left out, as there.
Sources: Giesbrecht & Burns (1985); Kuznetsova, Brockhoff & Christensen (2017).
"""

from __future__ import annotations

import numpy as np

from nestbench.estimators.kernels.linalg import apply, dot, eigen, quadratic
from nestbench.estimators.kernels.mixed import put
from nestbench.sim.compiled import kernel
from nestbench.sim.observed.batch import Floats

FLAT = 1e-10
"""An eigenvalue of P below this share of the largest is a direction without information."""


@kernel
def satterthwaite(
    contrasts: Floats, unscaled: Floats, curvature: Floats, tilt: Floats, spread: Floats, nu: Floats, df: Floats
) -> None:  # fmt: skip
    """Write the df of each row of `contrasts` [R, K, p] to `df` [R, K]; NaN where there is no fit.

    Parameters
    ----------
    contrasts : float64 [R, K, p]
        The terms as named, in the fit's pivoted coordinates.
    unscaled : float64 [R, p, p]
        C, the variances of the coefficients / sigma^2.
    curvature : float64 [R, m, m]
        The profiled Hessian P of -2l.
    tilt, spread : float64 [R, m], [R, m, p, p]
        -dRSS/dtheta / RSS and -dB_xx/dtheta, as in `MixedFits`.
    nu : float64 [R]
        Residual df of the likelihood: the most that df can be, reached where the variance parameters don't matter.
    df : float64 [R, K]
        Written.
    """
    size, terms, p = contrasts.shape
    m = tilt.shape[1]
    hessian, values, vectors = np.empty((m, m)), np.empty(m), np.empty((m, m))
    a, gamma = np.empty(p), np.empty(m)
    for r in range(size):
        # A copy: `eigen` destroys what it is given.
        put(curvature[r], hessian)
        eigen(hessian, values, vectors)
        for k in range(terms):
            apply(unscaled[r], contrasts[r, k], a)
            c = dot(contrasts[r, k], a)
            for j in range(m):
                gamma[j] = quadratic(spread[r, j], a) / c - tilt[r, j]
            df[r, k] = 1.0 / (1.0 / nu[r] + spread_of(gamma, values, vectors))


@kernel
def spread_of(gamma: Floats, values: Floats, vectors: Floats) -> float:
    """Return gamma'P^+ gamma over the eigenvectors of P with a positive eigenvalue.

    A pseudo-inverse, for at the boundary, and with more parameters than the data carry, P is singular: a direction that
    the likelihood doesn't see adds no uncertainty that could be expressed in df.
    """
    m = len(gamma)
    largest = 0.0
    for i in range(m):
        largest = max(largest, values[i])
    total = 0.0
    for i in range(m):
        if values[i] > FLAT * largest:
            along = 0.0
            for j in range(m):
                along += vectors[j, i] * gamma[j]
            total += along * along / values[i]
    return total

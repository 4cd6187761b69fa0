"""What every mixed-model kernel fills in, and the codes by which it says what became of a fit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nestbench.sim.compiled import kernel
from nestbench.sim.observed.batch import Floats, Ints

OK = 0
BOUNDARY = 1
NOT_CONVERGED = 2
NOT_FINITE = 3
NO_VARIATION = 4
NO_SCHOOL_DF = 5
NO_WITHIN = 6
TOO_FEW = 7
ONE_STUDENT = 8
CONFOUNDED = 9
MANY_EFFECTS = 10


class MixedFits(NamedTuple):
    """Profiled fits of R data sets in pivoted, scaled coordinates; V = sigma^2 V0(theta), m parameters theta.

    With B = W'V0^-1W, W = [X y], C = B_xx^-1 and RSS the Schur complement of B_xx in B:

    Attributes
    ----------
    theta : [R, m]
        Relative standard deviations (the relative covariance factor).
    beta : [R, p]
    sigma2 : [R]
        RSS/nu.
    unscaled : [R, p, p]
        C; Var(beta) = sigma2 C.
    criterion : [R]
        -2 log-likelihood (restricted or not), profiled.
    score : [R]
        Largest derivative of the log-likelihood; at the boundary the derivative inwards, which is negative.
    curvature : [R, m, m]
        Second derivatives of the criterion with respect to theta.
    tilt : [R, m]
        -dRSS/dtheta / RSS.
    spread : [R, m, p, p]
        -dB_xx/dtheta, so dC/dtheta = C spread C.
    students, nu : [R]
        N; N - p (REML) or N (ML).
    steps, code : int64 [R]
        Evaluations of the criterion; what became of the fit.
    """

    theta: Floats
    beta: Floats
    sigma2: Floats
    unscaled: Floats
    criterion: Floats
    score: Floats
    curvature: Floats
    tilt: Floats
    spread: Floats
    students: Floats
    nu: Floats
    steps: Ints
    code: Ints


def empty_fits(size: int, p: int, m: int) -> MixedFits:
    """Return room for `size` fits with `p` coefficients and `m` parameters, all NaN.

    Room that is all NaN means that a kernel has nothing to write where it gives up: a code is enough.
    """

    def room(*shape: int) -> Floats:
        return np.full((size, *shape), np.nan)

    counts = np.zeros((2, size), dtype=np.int64)
    return MixedFits(
        theta=room(m),
        beta=room(p),
        sigma2=room(),
        unscaled=room(p, p),
        criterion=room(),
        score=room(),
        curvature=room(m, m),
        tilt=room(m),
        spread=room(m, p, p),
        students=room(),
        nu=room(),
        steps=counts[0],
        code=counts[1],
    )


@kernel
def put(source: Floats, target: Floats) -> None:
    """Copy a matrix (in a loop: assigning arrays to slices takes numba seconds to compile)."""
    for i in range(source.shape[0]):
        for j in range(source.shape[1]):
            target[i, j] = source[i, j]


@kernel
def put_vector(source: Floats, target: Floats) -> None:
    """Copy a vector."""
    for i in range(source.shape[0]):
        target[i] = source[i]


@kernel
def as_named(
    contrasts: Floats, shift: Floats, beta: Floats, unscaled: Floats, estimate: Floats, variance: Floats
) -> None:  # fmt: skip
    """Write the coefficients of the terms as named, and their variances / sigma^2, to [R, K] arrays.

    Parameters
    ----------
    contrasts : float64 [R, K, p]
    shift : float64 [R, K]
        What the pivot takes from the intercept.
    beta, unscaled : float64 [R, p], [R, p, p]
        Of `MixedFits`.
    estimate, variance : float64 [R, K]
        Written.
    """
    size, terms, p = contrasts.shape
    for r in range(size):
        for k in range(terms):
            total, spread = shift[r, k], 0.0
            for i in range(p):
                total += contrasts[r, k, i] * beta[r, i]
                for j in range(p):
                    spread += contrasts[r, k, i] * unscaled[r, i, j] * contrasts[r, k, j]
            estimate[r, k], variance[r, k] = total, spread

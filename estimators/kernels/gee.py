"""Gaussian GEE with an exchangeable working correlation from school cross-products.

With R_g = (1 - a) I + a 11', ``R_g^-1 = (I - c_g 11') / (1 - a)`` and ``c_g = a / (1 + (n_g - 1) a)``; so with
s_g = X_g'1 and A_g = X_g'X_g - c_g s_g s_g',

    beta = A^-1 sum (X_g'y_g - c_g s_g 1'y_g),   A = sum A_g,
    a    = sum_g sum_{i<j} e_i e_j / (phi (pairs - p)),   phi = sum e^2 / (N - p),

iterated to a fixed point. Sandwich: ``sum v_g v_g'``, ``v_g = A^-1 u_g``, ``u_g = X_g'e_g - c_g s_g 1'e_g``; the factor
1 / (1 - a) cancels. Mancl and DeRouen multiply e_g by (I - H_gg)^-1, H_gg = X_g A^-1 X_g' (I - c_g 11'), which by
Woodbury's identity makes ``v_g = (A - A_g)^-1 u_g``.
"""

from __future__ import annotations

import numpy as np

from nestbench.estimators.kernels.linalg import cholesky, solve
from nestbench.sim.compiled import kernel
from nestbench.sim.observed.batch import Floats, Ints

ITERATIONS = 200
"""Bound on the iterations for the correlation, which converges linearly."""
TOLERANCE = 1e-14


@kernel
def exchangeable(
    cross: Floats,
    offsets: Ints,
    x: Ints,
    contrasts: Floats,
    shift: Floats,
    corrected: bool,
    estimate: Floats,
    variance: Floats,
    alpha: Floats,
    regular: Floats,
) -> None:
    """Write coefficients, sandwich variances [R, p] and correlations [R].

    Parameters
    ----------
    cross, offsets, x, contrasts, shift : as in `SchoolMoments`
    corrected : bool
        Mancl and DeRouen's correction of the sandwich for small numbers of schools.
    estimate, variance : float64 [R, p]
        Written.
    alpha : float64 [R]
        Written: the working correlation; NaN where there is no fixed point.
    regular : float64 [R]
        Written: 1, or 0 where the reference engine has to answer.
    """
    p = len(x)
    a, right, beta, left, score = np.empty((p, p)), np.empty(p), np.empty(p), np.empty((p, p)), np.empty(p)
    for r in range(len(offsets) - 1):
        schools = cross[offsets[r] : offsets[r + 1]]
        alpha[r] = _fixed_point(schools, x, a, right, beta)
        regular[r] = 1.0 if np.isfinite(alpha[r]) else 0.0
        if regular[r] == 0.0:
            continue
        if not _sandwich(schools, x, alpha[r], beta, corrected, contrasts[r], a, left, score, variance[r]):
            regular[r] = 0.0
        for j in range(p):
            total = shift[r, j]
            for k in range(p):
                total += contrasts[r, j, k] * beta[k]
            estimate[r, j] = total


@kernel
def _fixed_point(schools: Floats, x: Ints, a: Floats, right: Floats, beta: Floats) -> float:
    """Return alpha with beta solved at it, NaN if there is no fixed point within reach.

    None within reach: the correlation leaves (-1, 1), or falls below -1/(n - 1) of the largest school, where the
    working correlation is no correlation matrix any more. Negative values above that are answers: moments may well give
    them.
    """
    students, pairs, largest, p = 0.0, 0.0, 1.0, len(x)
    for g in range(len(schools)):
        n = schools[g, 0, 0]
        students += n
        largest = max(largest, n)
        pairs += 0.5 * n * (n - 1.0)
    if pairs <= p or students <= p:
        return np.nan
    # From independence, as statsmodels begins: of several fixed points both engines come to the same.
    alpha = 0.0
    for _ in range(ITERATIONS):
        if not _coefficients(schools, x, alpha, a, right, beta):
            return np.nan
        following = _correlation(schools, x, beta, students, pairs)
        # Moments may give any number: beyond 1, R is no correlation matrix whatever the sizes.
        if not abs(following) < 1.0:
            return np.nan
        if abs(following - alpha) <= TOLERANCE:
            # Positive definite for the largest school, hence for all.
            return alpha if 1.0 + (largest - 1.0) * alpha > 0.0 else np.nan
        alpha = following
    return np.nan


@kernel
def _coefficients(schools: Floats, x: Ints, alpha: float, a: Floats, right: Floats, beta: Floats) -> bool:
    """Write A (as its Cholesky factor) and beta at a correlation; False where A is not positive definite."""
    p, y = len(x), schools.shape[1] - 1
    a[:] = 0.0
    beta[:] = 0.0
    for g in range(len(schools)):
        w = schools[g]
        c = alpha / (1.0 + (w[0, 0] - 1.0) * alpha)
        for j in range(p):
            beta[j] += w[x[j], y] - c * w[0, x[j]] * w[0, y]
            for k in range(j + 1):
                a[j, k] += w[x[j], x[k]] - c * w[0, x[j]] * w[0, x[k]]
    if not cholesky(a):
        return False
    solve(a, beta)
    return True


@kernel
def _correlation(schools: Floats, x: Ints, beta: Floats, students: float, pairs: float) -> float:
    """Return the moment estimate of the correlation of two students of a school.

    Products of pairs are counted by ``((sum e)^2 - sum e^2)/2`` of each school: no pair is ever formed.
    """
    p, y = len(x), schools.shape[1] - 1
    squares, products = 0.0, 0.0
    for g in range(len(schools)):
        w = schools[g]
        own, total = w[y, y], w[0, y]
        for j in range(p):
            total -= beta[j] * w[0, x[j]]
            own -= 2.0 * beta[j] * w[x[j], y]
            for k in range(p):
                own += beta[j] * w[x[j], x[k]] * beta[k]
        squares += own
        # Twice the sum over pairs is the square of the sum less the sum of squares.
        products += 0.5 * (total * total - own)
    return products / (squares / (students - p)) / (pairs - p)


@kernel
def _sandwich(
    schools: Floats,
    x: Ints,
    alpha: float,
    beta: Floats,
    corrected: bool,
    contrasts: Floats,
    a: Floats,
    left: Floats,
    score: Floats,
    variance: Floats,
) -> bool:
    """Write the variances of the terms as named; False if a school's leave-one-out A is not positive definite.

    `a` is the Cholesky factor left by `_coefficients`; `left` [p, p] and `score` [p] are scratch.
    """
    p, y = len(x), schools.shape[1] - 1
    variance[:] = 0.0
    for g in range(len(schools)):
        w = schools[g]
        c = alpha / (1.0 + (w[0, 0] - 1.0) * alpha)
        total = w[0, y]
        for k in range(p):
            total -= w[0, x[k]] * beta[k]
        for j in range(p):
            score[j] = w[x[j], y] - c * w[0, x[j]] * total
            for k in range(p):
                score[j] -= w[x[j], x[k]] * beta[k]
        if corrected:
            if not _without(a, w, x, c, left):
                return False
            solve(left, score)
        else:
            solve(a, score)
        for j in range(p):
            moved = 0.0
            for k in range(p):
                moved += contrasts[j, k] * score[k]
            variance[j] += moved * moved
    return True


@kernel
def _without(a: Floats, w: Floats, x: Ints, c: float, left: Floats) -> bool:
    """Write the Cholesky factor of A - A_g, A given as its factor; False if nearly singular."""
    p = len(x)
    for j in range(p):
        for k in range(j + 1):
            total = 0.0
            for i in range(k + 1):
                total += a[j, i] * a[k, i]
            left[j, k] = total - (w[x[j], x[k]] - c * w[0, x[j]] * w[0, x[k]])
    if not cholesky(left):
        return False
    for j in range(p):
        size = 0.0
        for k in range(j + 1):
            size += a[j, k] * a[j, k]
        if not left[j, j] * left[j, j] > 1e-9 * size:
            return False
    return True

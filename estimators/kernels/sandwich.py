"""Cluster-robust variances of least squares from school cross-products; no n x n matrix anywhere.

Notation: A = X'X = L L', M = A^-1, C_g = X_g'X_g, scores s_g = X_g'e_g; c is a term's row of `contrasts`.

- **CR0**: ``var = sum_g psi_g^2`` with the influence ``psi_g = c'M s_g``.
- **CR3** and the jackknife: dropping school g moves beta by ``(A - C_g)^-1 s_g`` (MacKinnon, Nielsen &
  Webb 2023, eq. 8), which is also M X_g'(I - H_gg)^-1 e_g. CR3 is the sum of the squared moves; the jackknife CRV3J is
  (G-1)/G of the sum of squares about their mean.
- **CR2** (Bell & McCaffrey 2002, identity working model): e_g is replaced by ``A_g e_g``, A_g = (I - H_gg)^(-1/2),
  the symmetric root. With Q_g = X_g L^-T and K_g = Q_g'Q_g, H_gg = Q_g Q_g' and ``Q_g'A_g = R_g Q_g'``,
  R_g = (I - K_g)^(-1/2), p x p. So with u = L^-1 c and w_g = R_g u,

      psi_g = w_g' L^-1 s_g.

  Degrees of freedom (Bell & McCaffrey; Imbens & Kolesar 2016): the variance is a quadratic form with matrix
  ``Omega = diag(d_g) - B'B`` when errors are iid, where ``d_g = w_g'K_g w_g`` and the columns of B are
  ``b_g = K_g w_g``; df = tr(Omega)^2 / tr(Omega^2), and

      tr(Omega) = sum (d_g - b_g'b_g),   tr(Omega^2) = sum d_g^2 - 2 sum d_g b_g'b_g + |sum_g b_g b_g'|^2.

  Where I - H_gg is singular (a school alone identifies a direction: eigenvalue 1 of K_g) the
  Moore-Penrose root is used, as in Pustejovsky & Tipton (2018): that direction gets weight 0.

R_g is a power series where the norm of K_g is small, else its eigenvectors are computed.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from nestbench.estimators.kernels.designs import most_schools, same_design
from nestbench.estimators.kernels.linalg import cholesky, eigen, forward, invert_lower, multiply, solve
from nestbench.sim.compiled import kernel
from nestbench.sim.observed.batch import Floats, Ints

Mask = npt.NDArray[np.bool_]

SINGULAR = 1e-9
"""Eigenvalues of I - H_gg below this are zeros."""
NEARLY_SINGULAR = 1e-4
"""Others below this cost the degrees of freedom twice their digits: such data are left to the reference."""
SERIES = 0.35
"""Largest norm of K_g at which the series is used: at most 36 terms."""
SERIES_TERMS = np.cumprod([1.0, *[(2 * m - 1) / (2 * m) for m in range(1, 60)]])
"""binom(2m, m) / 4^m."""
LOG_ROUNDING = -37.0
"""Logarithm of the share below which the rest of the series is rounding."""
IDENTIFIED = 1e-9
"""Least share of a column's sum of squares without a school, or the term is not identified without it."""


@kernel
def cr0(offsets: Ints, influence: Floats, scores: Floats, variance: Floats) -> None:
    """Write the CR0 variances of the terms [R, p].

    Parameters
    ----------
    offsets : int64 [R + 1]
        First school of each replication.
    influence : float64 [R, p, p]
        Takes a school's score to its influence psi_g on the terms (`kernels.ols.fit`).
    scores : float64 [S, p]
    variance : float64 [R, p]
        Written, without a small-sample factor: CR1 and CR1S multiply it.
    """
    p = variance.shape[1]
    for r in range(variance.shape[0]):
        for j in range(p):
            variance[r, j] = 0.0
        for g in range(offsets[r], offsets[r + 1]):
            for j in range(p):
                psi = 0.0
                for k in range(p):
                    psi += influence[r, j, k] * scores[g, k]
                variance[r, j] += psi * psi


@kernel
def leave_one_out(
    cross: Floats,
    offsets: Ints,
    x: Ints,
    contrasts: Floats,
    scores: Floats,
    variance: Floats,
    centred: Floats,
    regular: Mask,
) -> None:
    """Write CR3 and CRV3J variances [R, p]: of the same moves.

    Every school is left out in turn by subtracting its cross-product from A: G Cholesky factors of p x p matrices in
    place of G regressions. That a difference of cross-products can lose digits is watched (`_identified`).

    Parameters
    ----------
    cross, offsets, x, contrasts : as in `SchoolMoments`
    scores : float64 [S, p]
    variance : float64 [R, p]
        Written.
    centred : float64 [R, p]
        Written: squares about the mean of the moves, with the jackknife's factor (G - 1)/G.
    regular : bool [R]
        Cleared where a coefficient isn't identified without some school: the reference engine then says what follows.
    """
    p = len(x)
    total, factors, move = np.empty((p, p)), np.empty((most_schools(offsets), p, p)), np.empty(p)
    mean, factored = np.empty(p), False
    for r in range(variance.shape[0]):
        first, last = offsets[r], offsets[r + 1]
        schools = last - first
        again = factored and regular[r] and same_design(cross, offsets, x, r)
        factored = again
        if not again:
            _sum_x(cross, first, last, x, total)
        for j in range(p):
            variance[r, j] = mean[j] = 0.0
        for g in range(first, last):
            rest = factors[g - first]
            for i in range(p):
                move[i] = scores[g, i]
                for j in range(p):
                    if not again:
                        rest[i, j] = total[i, j] - cross[g, x[i], x[j]]
            # A difference of cross-products may be indefinite by rounding alone; then no digit of it is
            # good.
            if not (again or (regular[r] and cholesky(rest) and _identified(rest, total))):
                regular[r] = False
                break
            factored = g == last - 1
            solve(rest, move)
            for j in range(p):
                psi = 0.0
                for k in range(p):
                    psi += contrasts[r, j, k] * move[k]
                mean[j] += psi / schools
                variance[r, j] += psi * psi
        for j in range(p):
            # Moves are deviations from beta already, so that little is lost by subtracting the mean's
            # square.
            centred[r, j] = (variance[r, j] - schools * mean[j] * mean[j]) * (schools - 1) / schools


@kernel
def _sum_x(cross: Floats, first: int, last: int, x: Ints, total: Floats) -> None:
    """Write A = sum_g C_g."""
    p = len(x)
    for i in range(p):
        for j in range(p):
            total[i, j] = 0.0
    for g in range(first, last):
        for i in range(p):
            for j in range(p):
                total[i, j] += cross[g, x[i], x[j]]


@kernel
def _identified(lower: Floats, total: Floats) -> bool:
    """Whether every column keeps a share of its sum of squares after the others and a school are taken away.

    `lower` [p, p] is the Cholesky factor of what is left, `total` [p, p] A with all schools; dropped columns don't
    count.
    """
    for j in range(lower.shape[0]):
        if not lower[j, j] * lower[j, j] > IDENTIFIED * total[j, j] and total[j, j] > 0.0:
            return False
    return True


@kernel
def cr2(
    cross: Floats,
    offsets: Ints,
    x: Ints,
    contrasts: Floats,
    lower: Floats,
    scores: Floats,
    variance: Floats,
    df: Floats,
    regular: Mask,
) -> None:
    """Write CR2 variances and Bell-McCaffrey degrees of freedom of the terms [R, p].

    The working model is the identity, as in most software, whatever the data are like: CR2 is then unbiased if errors
    are independent with equal variance, and close to it otherwise.

    Parameters
    ----------
    cross, offsets, x, contrasts : as in `SchoolMoments`
    lower : float64 [R, p, p]
        Cholesky factor L of A.
    scores : float64 [S, p]
    variance, df : float64 [R, p]
        Written.
    regular : bool [R]
        Cleared where I - H_gg of a school is nearly singular: its root and the df then depend on what one takes for
        zero.
    """
    p = len(x)
    weights = np.empty((most_schools(offsets), p, p))
    q, clear = np.empty(p), False
    for r in range(variance.shape[0]):
        first, last = offsets[r], offsets[r + 1]
        if r > 0 and same_design(cross, offsets, x, r) and _same(contrasts, r) and _same(lower, r):
            df[r] = df[r - 1]
        else:
            clear = _working(cross[first:last], x, contrasts[r], lower[r], weights, df[r])
        regular[r] = regular[r] and clear
        for j in range(p):
            variance[r, j] = 0.0
        for g in range(first, last):
            for i in range(p):
                q[i] = scores[g, i]
            forward(lower[r], q)
            for j in range(p):
                psi = 0.0
                for i in range(p):
                    psi += weights[g - first, i, j] * q[i]
                variance[r, j] += psi * psi


@kernel
def _same(values: Floats, r: int) -> bool:
    """Whether values [R, p, p] of a replication are those of the one before."""
    p = values.shape[1]
    for i in range(p):
        for j in range(p):
            if values[r, i, j] != values[r - 1, i, j]:
                return False
    return True


@kernel
def _working(cross: Floats, x: Ints, contrasts: Floats, lower: Floats, weights: Floats, df: Floats) -> bool:
    """Write w_g of the schools to `weights` [G, p, p] and the degrees of freedom to `df` [p]: what X alone decides.

    Returns
    -------
    clear : bool
        Whether no I - H_gg is nearly singular.
    """
    p, clear = len(x), True
    inverse, k, root, spare = np.empty((p, p)), np.empty((p, p)), np.empty((p, p)), np.empty((p, p))
    u, b = np.empty((p, p)), np.empty((p, p))
    powers, outer, sums = np.empty((3, p, p)), np.zeros((p, p, p)), np.zeros((p, 3))
    invert_lower(lower, inverse)
    for j in range(p):
        for i in range(p):
            u[i, j] = 0.0
            for h in range(i + 1):
                u[i, j] += inverse[i, h] * contrasts[j, h]
    for g in range(len(cross)):
        norm = leverage(cross[g], x, inverse, k, spare)
        # Where the norm is small the series needs few terms; eigenvectors take the same time for any K.
        if norm < SERIES:
            _root_by_series(k, norm, powers, root, spare)
        elif _root_by_eigen(k, root, powers[0], powers[1]) < NEARLY_SINGULAR:
            clear = False
        multiply(root, u, weights[g])
        multiply(k, weights[g], b)
        _accumulate(weights[g], b, sums, outer)
    _degrees_of_freedom(sums, outer, df)
    return clear


@kernel
def leverage(c: Floats, x: Ints, inverse: Floats, k: Floats, spare: Floats) -> float:
    """Write K_g = L^-1 C_g L^-T; return its Frobenius norm, which no eigenvalue exceeds.

    K_g has the eigenvalues of the school's hat matrix H_gg that aren't zero, in p x p instead of n_g x n_g.
    """
    p = len(x)
    for i in range(p):
        for j in range(p):
            spare[i, j] = 0.0
            for h in range(i + 1):
                spare[i, j] += inverse[i, h] * c[x[h], x[j]]
    squares = 0.0
    for i in range(p):
        for j in range(i + 1):
            value = 0.0
            for h in range(j + 1):
                value += spare[i, h] * inverse[j, h]
            k[i, j] = k[j, i] = value
            squares += value * value if i == j else 2.0 * value * value
    return math.sqrt(squares)


@kernel
def _commuting(a: Floats, b: Floats, out: Floats) -> None:
    """Write A B, symmetric because both are symmetric and functions of one matrix."""
    p = a.shape[0]
    for i in range(p):
        for j in range(i + 1):
            total = 0.0
            for h in range(p):
                total += a[i, h] * b[j, h]
            out[i, j] = out[j, i] = total


@kernel
def _root_by_series(k: Floats, norm: float, powers: Floats, root: Floats, spare: Floats) -> None:
    """Write (I - K)^(-1/2) = sum_m binom(2m, m)/4^m K^m, three powers at a time (Paterson & Stockmeyer 1973).

    With many schools each has little leverage, and a few products of symmetric matrices are cheaper than eigenvectors;
    the norm says beforehand how many terms there must be.
    """
    p = k.shape[0]
    blocks = 1
    if norm > 0.0:
        blocks = 1 + int(LOG_ROUNDING / (3.0 * math.log(max(norm, 1e-30))))
    for i in range(p):
        for j in range(p):
            powers[0, i, j] = k[i, j]
            root[i, j] = 0.0
    _commuting(k, k, powers[1])
    _commuting(powers[1], k, powers[2])
    for block in range(blocks, -1, -1):
        _commuting(root, powers[2], spare)
        one, two, three = SERIES_TERMS[3 * block], SERIES_TERMS[3 * block + 1], SERIES_TERMS[3 * block + 2]
        for i in range(p):
            for j in range(p):
                root[i, j] = spare[i, j] + two * powers[0, i, j] + three * powers[1, i, j]
            root[i, i] += one


@kernel
def _root_by_eigen(k: Floats, root: Floats, copy: Floats, vectors: Floats) -> float:
    """Write (I - K)^(-1/2) from the eigenvectors of K; directions with eigenvalue 1 get 0.

    Returns
    -------
    least : float
        The least eigenvalue of I - K that is not 0, by which the caller judges whether digits were lost.
    """
    p, least = k.shape[0], 1.0
    values = np.empty(p)
    for i in range(p):
        for j in range(p):
            copy[i, j] = k[i, j]
            root[i, j] = 0.0
    eigen(copy, values, vectors)
    for m in range(p):
        rest = 1.0 - values[m]
        if rest > SINGULAR:
            least = min(least, rest)
            weight = 1.0 / math.sqrt(rest)
            for i in range(p):
                for j in range(p):
                    root[i, j] += weight * vectors[i, m] * vectors[j, m]
    return least


@kernel
def _accumulate(w: Floats, b: Floats, sums: Floats, outer: Floats) -> None:
    """Add one school: d - b'b, d^2, d b'b and b b' of every term."""
    p = len(w)
    for j in range(p):
        d = square = 0.0
        for i in range(p):
            d += w[i, j] * b[i, j]
            square += b[i, j] * b[i, j]
            for h in range(i + 1):
                outer[j, i, h] += b[i, j] * b[h, j]
        sums[j, 0] += d - square
        sums[j, 1] += d * d
        sums[j, 2] += d * square


@kernel
def _degrees_of_freedom(sums: Floats, outer: Floats, df: Floats) -> None:
    """Write tr(Omega)^2 / tr(Omega^2) of every term to `df` [p], from the sums of `_accumulate`."""
    p = len(df)
    for j in range(p):
        norm = 0.0
        for i in range(p):
            for h in range(i):
                norm += 2.0 * outer[j, i, h] * outer[j, i, h]
            norm += outer[j, i, i] * outer[j, i, i]
        df[j] = sums[j, 0] * sums[j, 0] / (sums[j, 1] - 2.0 * sums[j, 2] + norm)

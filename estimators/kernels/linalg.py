"""Linear algebra of small symmetric matrices, p up to a dozen: scalar loops, in place, nothing allocated.

`cholesky` takes a cross-product A = X'X (or X'V^-1X) to L with A = L L'. A column that was dropped from X
because it depends on the others is a row and column of exact zeros in A; it keeps zeros everywhere: its
pivot in L is 0, its entries in solutions and inverses are 0, and it adds nothing to a log-determinant. So
one code path serves full and deficient rank, and `inverse` is then a reflexive generalised inverse of A.

Only the lower triangle of A is read. References: Golub & Van Loan (2013), 4.2 (Cholesky) and 8.5 (Jacobi).
"""

from __future__ import annotations

import math

from nestbench.sim.compiled import kernel
from nestbench.sim.observed.batch import Floats

SWEEPS = 40
"""Bound on Jacobi sweeps; convergence is quadratic, four to eight are enough."""


@kernel
def cholesky(a: Floats) -> bool:
    """Overwrite the lower triangle of `a` [p, p] by L, A = L L'; return False if that is impossible.

    Impossible means a pivot that is not positive, NaN included: whoever calls must look at the answer, for L is then
    half written. An exact zero on the diagonal is a dropped column and no failure.
    """
    p = a.shape[0]
    for j in range(p):
        dropped = a[j, j] == 0.0
        pivot = a[j, j]
        for k in range(j):
            pivot -= a[j, k] * a[j, k]
        if dropped:
            for i in range(j, p):
                a[i, j] = 0.0
            continue
        # "not >", so that NaN fails too
        if not pivot > 0.0:
            return False
        root = math.sqrt(pivot)
        a[j, j] = root
        for i in range(j + 1, p):
            total = a[i, j]
            for k in range(j):
                total -= a[i, k] * a[j, k]
            a[i, j] = total / root
    return True


@kernel
def forward(l: Floats, b: Floats) -> None:  # noqa: E741
    """Overwrite `b` [p] by L^-1 b.

    A dropped column's entry becomes 0, whatever `b` had there.
    """
    for i in range(l.shape[0]):
        total = b[i]
        for k in range(i):
            total -= l[i, k] * b[k]
        b[i] = total / l[i, i] if l[i, i] != 0.0 else 0.0


@kernel
def backward(l: Floats, b: Floats) -> None:  # noqa: E741
    """Overwrite `b` [p] by L'^-1 b; entries of dropped columns become 0."""
    p = l.shape[0]
    for i in range(p - 1, -1, -1):
        total = b[i]
        for k in range(i + 1, p):
            total -= l[k, i] * b[k]
        b[i] = total / l[i, i] if l[i, i] != 0.0 else 0.0


@kernel
def solve(l: Floats, b: Floats) -> None:  # noqa: E741
    """Overwrite `b` [p] by A^-1 b = L'^-1 L^-1 b, L from `cholesky`.

    Of a singular A it is the solution whose entries for dropped columns are 0: their coefficients are not estimated.
    """
    forward(l, b)
    backward(l, b)


@kernel
def invert_lower(l: Floats, out: Floats) -> None:  # noqa: E741
    """Write L^-1 to `out` [p, p], zeros above the diagonal.

    Callers that need many products with L^-1 (a school's K_g = L^-1 C_g L^-T) want it written out; for one vector
    `forward` is cheaper and loses fewer digits.
    """
    p = l.shape[0]
    for j in range(p):
        for i in range(p):
            out[i, j] = 0.0
        if l[j, j] == 0.0:
            continue
        out[j, j] = 1.0 / l[j, j]
        for i in range(j + 1, p):
            if l[i, i] == 0.0:
                continue
            total = 0.0
            for k in range(j, i):
                total -= l[i, k] * out[k, j]
            out[i, j] = total / l[i, i]


@kernel
def inverse(l: Floats, out: Floats) -> None:  # noqa: E741
    """Write A^-1 = L^-T L^-1 to `out` [p, p], both triangles.

    Rows and columns of dropped terms are zeros, so that the variances made of it are zeros too and are left out later.
    """
    p = l.shape[0]
    invert_lower(l, out)
    for i in range(p):
        for j in range(i + 1):
            total = 0.0
            for k in range(i, p):
                total += out[k, i] * out[k, j]
            out[i, j] = total
    for i in range(p):
        for j in range(i):
            out[j, i] = out[i, j]


@kernel
def unpack(packed: Floats, out: Floats) -> None:
    """Write a packed lower triangle [T] to both triangles of `out`."""
    at = 0
    for i in range(out.shape[0]):
        for j in range(i + 1):
            out[i, j] = out[j, i] = packed[at]
            at += 1


@kernel
def whiten(linv: Floats, k: Floats, work: Floats, out: Floats) -> None:
    """Write L^-1 K L^-T to `out`, both triangles; `work` is scratch of the same shape.

    In these coordinates B is the identity, so that traces and squared entries are the derivatives' terms.
    """
    d = linv.shape[0]
    for i in range(d):
        for j in range(d):
            total = 0.0
            for h in range(i + 1):
                total += linv[i, h] * k[h, j]
            work[i, j] = total
    for i in range(d):
        for j in range(i + 1):
            total = 0.0
            for h in range(j + 1):
                total += work[i, h] * linv[j, h]
            out[i, j] = out[j, i] = total


@kernel
def log_determinant(l: Floats) -> float:  # noqa: E741
    """Return log|A| = 2 sum log L_jj over the columns kept.

    For REML this is log|X'V^-1X| of a basis of X's column space: another basis moves it by a constant, which cancels
    between models with the same X only.
    """
    total = 0.0
    for j in range(l.shape[0]):
        if l[j, j] > 0.0:
            total += math.log(l[j, j])
    return 2.0 * total


@kernel
def multiply(a: Floats, b: Floats, out: Floats) -> None:
    """Write A B to `out`; `out` is neither of them. Shapes [n, m], [m, k], [n, k].

    A loop, not ``a @ b``: BLAS costs more than the product at these sizes, and its threads would fight with the
    workers.
    """
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            total = 0.0
            for k in range(b.shape[0]):
                total += a[i, k] * b[k, j]
            out[i, j] = total


@kernel
def apply(a: Floats, x: Floats, out: Floats) -> None:
    """Write A x to `out` [n]; `out` is not `x`."""
    for i in range(a.shape[0]):
        total = 0.0
        for k in range(a.shape[1]):
            total += a[i, k] * x[k]
        out[i] = total


@kernel
def dot(x: Floats, y: Floats) -> float:
    """Return x'y."""
    total = 0.0
    for i in range(x.shape[0]):
        total += x[i] * y[i]
    return total


@kernel
def quadratic(a: Floats, x: Floats) -> float:
    """Return x'A x for a symmetric A, both triangles filled."""
    total = 0.0
    for i in range(a.shape[0]):
        row = 0.0
        for k in range(a.shape[1]):
            row += a[i, k] * x[k]
        total += x[i] * row
    return total


@kernel
def eigen(a: Floats, values: Floats, vectors: Floats) -> None:
    """Write eigenvalues (unsorted) and eigenvectors (columns) of a symmetric [p, p]; `a` is destroyed.

    Cyclic Jacobi: rotations that zero a_jk one after the other until the off-diagonal part is below rounding. It needs
    no workspace, and its eigenvectors are orthogonal to rounding even where eigenvalues coincide, as in balanced
    data.

    Parameters
    ----------
    a : float64 [p, p]
        Both triangles filled.
    values : float64 [p]
        Written.
    vectors : float64 [p, p]
        Written; column j belongs to ``values[j]``.
    """
    p = a.shape[0]
    scale = 0.0
    for i in range(p):
        for j in range(p):
            vectors[i, j] = 1.0 if i == j else 0.0
            scale += a[i, j] * a[i, j]
    for _ in range(SWEEPS):
        rest = 0.0
        for i in range(p):
            for j in range(i):
                rest += a[i, j] * a[i, j]
        # Squared: off-diagonal entries below 1e-17 of the matrix can't change an eigenvalue any more.
        if not rest > 1e-34 * scale:
            break
        for j in range(p - 1):
            for k in range(j + 1, p):
                if a[j, k] != 0.0:
                    _rotate(a, vectors, j, k)
    for j in range(p):
        values[j] = a[j, j]


@kernel
def eigen_graded(a: Floats, values: Floats, vectors: Floats) -> None:
    """Do as `eigen`, on until each a_jk is small beside a_jj and a_kk.

    Of A = D B D with D diagonal and B well-conditioned even the smallest eigenvalues then have full relative accuracy
    (Demmel & Veselic 1992), however different the entries of D.
    """
    p = a.shape[0]
    for i in range(p):
        for j in range(p):
            vectors[i, j] = 1.0 if i == j else 0.0
    for _ in range(SWEEPS):
        turned = False
        for j in range(p - 1):
            for k in range(j + 1, p):
                # Relative to the two entries beside it, not to the matrix: small eigenvalues keep their
                # digits.
                if a[j, k] ** 2 > 1e-32 * abs(a[j, j] * a[k, k]):
                    _rotate(a, vectors, j, k)
                    turned = True
        if not turned:
            break
    for j in range(p):
        values[j] = a[j, j]


@kernel
def _rotate(a: Floats, vectors: Floats, j: int, k: int) -> None:
    """Apply one Jacobi rotation: the smaller of the two angles that make a_jk zero, for which the sweeps converge."""
    p = a.shape[0]
    tau = (a[k, k] - a[j, j]) / (2.0 * a[j, k])
    # The smaller root of t^2 + 2 tau t - 1, in the form that doesn't cancel.
    t = 1.0 / (abs(tau) + math.sqrt(1.0 + tau * tau))
    if tau < 0.0:
        t = -t
    c = 1.0 / math.sqrt(1.0 + t * t)
    s = t * c
    for i in range(p):
        left, right = a[i, j], a[i, k]
        a[i, j], a[i, k] = c * left - s * right, s * left + c * right
    for i in range(p):
        left, right = a[j, i], a[k, i]
        a[j, i], a[k, i] = c * left - s * right, s * left + c * right
    for i in range(p):
        left, right = vectors[i, j], vectors[i, k]
        vectors[i, j], vectors[i, k] = c * left - s * right, s * left + c * right
    a[j, k] = a[k, j] = 0.0

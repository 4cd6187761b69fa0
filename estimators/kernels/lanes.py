"""Eigenvectors of many small symmetric matrices side by side: loops whose innermost runs over matrices (lanes).

What `linalg.eigen_graded` does for one, with the same accuracy. Its rotations are a chain of divisions and roots, each
of which waits for the one before; those of several matrices don't wait for one another.
"""

from __future__ import annotations

import math

from nestbench.estimators.kernels.linalg import SWEEPS
from nestbench.sim.compiled import kernel
from nestbench.sim.observed.batch import Floats

LANES = 64
"""Matrices at once: what is computed of so many stays in the fastest cache."""


@kernel
def eigen_lanes(a: Floats, p: int, lanes: int, vectors: Floats, c: Floats, s: Floats) -> None:
    """Diagonalise the first `lanes` matrices in place, and write their eigenvectors, as columns, to `vectors`.

    A lane whose entry is small beside the two of its diagonal already rests while others are turned, so that it has
    the accuracy of `linalg.eigen_graded`.

    Parameters
    ----------
    a : float64 [>= p, >= p, >= lanes]
        Its upper triangle is read; on return the eigenvalues stand in the diagonal.
    p, lanes : int
        How many dimensions and matrices: told, for a part of an array isn't contiguous, and then no loop is vectorised.
    vectors : float64, as `a`
        Written.
    c, s : float64 [>= lanes]
        Scratch.
    """
    for i in range(p):
        for j in range(p):
            vectors[i, j, :] = 1.0 if i == j else 0.0
    for _ in range(SWEEPS):
        turned = 0
        for j in range(p - 1):
            for k in range(j + 1, p):
                moved = angles(a[j, j], a[k, k], a[j, k], lanes, c, s)
                turned += moved
                if moved == 0:
                    continue
                for i in range(p):
                    if i not in (j, k):
                        turn(a[min(i, j), max(i, j)], a[min(i, k), max(i, k)], lanes, c, s)
                    turn(vectors[i, j], vectors[i, k], lanes, c, s)
        if turned == 0:
            break


@kernel
def angles(first: Floats, second: Floats, beside: Floats, lanes: int, c: Floats, s: Floats) -> int:
    """Make the entries `beside` of two rows zero and write cosine and sine of the rotation that does so.

    Returns
    -------
    turned : int
        How many lanes were turned; of the others cosine and sine are 1 and 0.
    """
    turned = 0
    for at in range(lanes):
        b = beside[at]
        # Relative to the two entries beside it, as in `linalg.eigen_graded`.
        need = b * b > 1e-32 * abs(first[at] * second[at])
        tau = (second[at] - first[at]) / (2.0 * b)
        size = 1.0 / (abs(tau) + math.sqrt(1.0 + tau * tau))
        t = math.copysign(size, tau) if need else 0.0
        c[at] = 1.0 / math.sqrt(1.0 + t * t)
        s[at] = t * c[at]
        first[at] -= t * b if need else 0.0
        second[at] += t * b if need else 0.0
        beside[at] = 0.0 if need else b
        turned += 1 if need else 0
    return turned


@kernel
def turn(left: Floats, right: Floats, lanes: int, c: Floats, s: Floats) -> None:
    """Rotate two entries of every lane."""
    for at in range(lanes):
        x, y = left[at], right[at]
        left[at] = c[at] * x - s[at] * y
        right[at] = s[at] * x + c[at] * y


@kernel
def add_product(factor: float, values: Floats, lanes: int, out: Floats) -> None:
    """Add a multiple of the values of every lane."""
    for at in range(lanes):
        out[at] += factor * values[at]

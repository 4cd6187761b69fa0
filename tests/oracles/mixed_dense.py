"""Mixed models on n x n matrices, with nothing simplified and derivatives taken numerically: what engines must give.

`cov(parameters)` returns V(parameters) [n, n]. Slow, and meant to be read beside the papers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def deviance(y: Floats, x: Floats, v: Floats, restricted: bool) -> float:
    """-2 log-likelihood of N(X beta, V) maximised over beta; restricted: log|X'V^-1X| added, p log 2 pi removed."""
    n, p = x.shape
    inverse = np.linalg.inv(v)
    precision = x.T @ inverse @ x
    residual = y - x @ np.linalg.solve(precision, x.T @ inverse @ y)
    value = n * np.log(2 * np.pi) + np.linalg.slogdet(v)[1] + residual @ inverse @ residual
    if restricted:
        value += np.linalg.slogdet(precision)[1] - p * np.log(2 * np.pi)
    return float(value)


def coefficient_variances(x: Floats, v: Floats) -> Floats:
    """diag (X'V^-1X)^-1."""
    return np.diag(np.linalg.inv(x.T @ np.linalg.inv(v) @ x))


def satterthwaite(
    y: Floats, x: Floats, cov: Callable[[Floats], Floats], at: Floats, restricted: bool, step: float = 1e-3
) -> Floats:
    """2 v^2 / (g'Ag), A twice the inverse Hessian of the deviance in the parameters; central differences."""
    m = len(at)
    moves = step * np.maximum(np.abs(at), 0.1)[:, None] * np.eye(m)

    def dev(t: Floats) -> float:
        return deviance(y, x, cov(t), restricted)

    hessian = np.empty((m, m))
    for i, a in enumerate(moves):
        for j, b in enumerate(moves):
            both = dev(at + a + b) - dev(at + a - b) - dev(at - a + b) + dev(at - a - b)
            hessian[i, j] = both / (4 * a[i] * b[j])
    gradient = np.array(
        [
            (coefficient_variances(x, cov(at + a)) - coefficient_variances(x, cov(at - a))) / (2 * a[i])
            for i, a in enumerate(moves)
        ]
    )
    v = coefficient_variances(x, cov(at))
    return 2 * v**2 / np.einsum("ik,ij,jk->k", gradient, 2 * np.linalg.inv(hessian), gradient)


def kenward_roger(x: Floats, v: Floats, parts: list[Floats]) -> tuple[Floats, Floats]:
    """Adjusted standard errors and df; V is a linear combination of `parts` (formulas (1)-(6) of the 1997 paper)."""
    inverse = np.linalg.inv(v)
    phi = np.linalg.inv(x.T @ inverse @ x)
    h = len(parts)
    p = [-x.T @ inverse @ g @ inverse @ x for g in parts]
    q = [[x.T @ inverse @ g @ inverse @ k @ inverse @ x for k in parts] for g in parts]
    info = np.empty((h, h))
    for i in range(h):
        for j in range(h):
            info[i, j] = np.trace(inverse @ parts[i] @ inverse @ parts[j])
            info[i, j] += np.trace(phi @ p[i] @ phi @ p[j]) - 2 * np.trace(phi @ q[i][j])
    w = 2 * np.linalg.inv(info)
    middle = sum(w[i, j] * (q[i][j] - p[i] @ phi @ p[j]) for i in range(h) for j in range(h))
    adjusted = phi + 2 * phi @ middle @ phi
    df = np.empty(len(phi))
    for k in range(len(phi)):
        row = np.eye(len(phi))[k]
        theta = np.outer(row, row) / (row @ phi @ row)
        a1 = a2 = 0.0
        for i in range(h):
            for j in range(h):
                left, right = theta @ phi @ p[i] @ phi, theta @ phi @ p[j] @ phi
                a1 += w[i, j] * np.trace(left) * np.trace(right)
                a2 += w[i, j] * np.trace(left @ right)
        b = (a1 + 6 * a2) / 2
        g = (2 * a1 - 5 * a2) / (3 * a2)
        c1, c2, c3 = g / (3 + 2 * (1 - g)), (1 - g) / (3 + 2 * (1 - g)), (3 - g) / (3 + 2 * (1 - g))
        mean, variance = 1 / (1 - a2), 2 * (1 + c1 * b) / ((1 - c2 * b) ** 2 * (1 - c3 * b))
        df[k] = 4 + 3 / (variance / (2 * mean**2) - 1)
    return np.sqrt(np.diag(adjusted)), df

"""Mixed models on n x n matrices, with nothing simplified and derivatives taken numerically: what engines must give.

`cov(parameters)` returns V(parameters) [n, n]. Slow, and meant to be read beside the papers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import optimize

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def same(labels: Ints) -> Floats:
    """Indicator of a common label [n, n]."""
    return np.asarray(labels[:, None] == labels[None, :], dtype=np.float64)


def relative_covariance(z: Floats, schools: Ints, psi: Floats) -> Floats:
    """V/sigma^2 = I + blockdiag(Z_g Psi Z_g') [n, n]."""
    return np.asarray(np.eye(len(z)) + same(schools) * (z @ psi @ z.T))


def gls(y: Floats, x: Floats, v: Floats) -> tuple[Floats, float, Floats]:
    """beta, r'V^-1r and (X'V^-1X)^-1 of generalised least squares."""
    inverse = np.linalg.inv(v)
    c = np.linalg.inv(x.T @ inverse @ x)
    beta = c @ x.T @ inverse @ y
    r = y - x @ beta
    return beta, float(r @ inverse @ r), c


def profiled(y: Floats, x: Floats, v: Floats, restricted: bool) -> float:
    """-2 log-likelihood maximised over beta and sigma^2; V/sigma^2 = v."""
    n, p = x.shape
    _, rss, _ = gls(y, x, v)
    return deviance(y, x, v * rss / (n - p if restricted else n), restricted)


def lowest(
    y: Floats, x: Floats, cov: Callable[[Floats], Floats], starts: list[Floats], restricted: bool
) -> tuple[float, Floats]:
    """Return the least profiled -2 log-likelihood found from some starts by Nelder-Mead and BFGS, and where."""
    best: tuple[float, Floats] = (np.inf, np.zeros(0))

    def objective(t: Floats) -> float:
        value = profiled(y, x, cov(t), restricted)
        return value if np.isfinite(value) else 1e300

    for begin in starts:
        options = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000, "maxfev": 4000}
        rough = optimize.minimize(objective, begin, method="Nelder-Mead", options=options)
        if rough.fun < best[0]:
            best = (float(rough.fun), np.asarray(rough.x))
    return best


def cr2(y: Floats, x: Floats, v: Floats, schools: Ints, contrasts: Floats) -> tuple[Floats, Floats]:
    """CR2 standard errors and Satterthwaite df after GLS, working covariance v, from n x n matrices.

    L_g = c'C X_g'V_g^-1 A_g (I - XCX'V^-1)_g makes the variance sum_g (L_g y)^2; A_g R_gg A_g = V_g symmetric with
    R = V - XCX'. Omega_gh = L_g V L_h', df = tr(Omega)^2 / tr(Omega^2).
    """
    inverse = np.linalg.inv(v)
    _, _, c = gls(y, x, v)
    maker = np.eye(len(y)) - x @ c @ x.T @ inverse
    rows = []
    for g in np.unique(schools):
        own = np.flatnonzero(schools == g)
        vg = v[np.ix_(own, own)]
        a = symmetric_solution(vg, vg - x[own] @ c @ x[own].T)
        rows.append(contrasts @ c @ x[own].T @ np.linalg.inv(vg) @ a @ maker[own])
    stacked = np.array(rows)
    psi = stacked @ y
    df = np.empty(len(contrasts))
    for k in range(len(contrasts)):
        omega = stacked[:, k] @ v @ stacked[:, k].T
        df[k] = np.trace(omega) ** 2 / np.sum(omega**2)
    return np.sqrt((psi**2).sum(axis=0)), df


def symmetric_solution(v: Floats, r: Floats) -> Floats:
    """The symmetric A with A R A = V: D'(D R D')^(-1/2) D, V = D'D (Moore-Penrose where R is singular)."""
    d = np.linalg.cholesky(v).T
    values, vectors = np.linalg.eigh(d @ r @ d.T)
    kept = values > 1e-10 * values.max()
    powered = np.where(kept, np.where(kept, values, 1.0) ** -0.5, 0.0)
    return np.asarray(d.T @ vectors @ np.diag(powered) @ vectors.T @ d)


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


def coefficient_variances(x: Floats, v: Floats, contrasts: Floats | None = None) -> Floats:
    """diag c (X'V^-1X)^-1 c' (c: the identity)."""
    c = np.eye(x.shape[1]) if contrasts is None else contrasts
    return np.diag(c @ np.linalg.inv(x.T @ np.linalg.inv(v) @ x) @ c.T)


def satterthwaite(
    y: Floats,
    x: Floats,
    cov: Callable[[Floats], Floats],
    at: Floats,
    restricted: bool,
    step: float = 1e-3,
    contrasts: Floats | None = None,
) -> Floats:
    """2 v^2 / (g'Ag), A twice the inverse Hessian of the deviance in the parameters; central differences."""
    m = len(at)

    def variances(t: Floats) -> Floats:
        return coefficient_variances(x, cov(t), contrasts)

    moves = step * np.maximum(np.abs(at), 0.1)[:, None] * np.eye(m)

    def dev(t: Floats) -> float:
        return deviance(y, x, cov(t), restricted)

    hessian = np.empty((m, m))
    for i, a in enumerate(moves):
        for j, b in enumerate(moves):
            both = dev(at + a + b) - dev(at + a - b) - dev(at - a + b) + dev(at - a - b)
            hessian[i, j] = both / (4 * a[i] * b[j])
    gradient = np.array([(variances(at + a) - variances(at - a)) / (2 * a[i]) for i, a in enumerate(moves)])
    v = variances(at)
    return 2 * v**2 / np.einsum("ik,ij,jk->k", gradient, 2 * np.linalg.inv(hessian), gradient)


def kenward_roger(
    x: Floats, v: Floats, parts: list[Floats], contrasts: Floats | None = None
) -> tuple[Floats, Floats]:
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
    rows = np.eye(len(phi)) if contrasts is None else contrasts
    df = np.empty(len(rows))
    for k, row in enumerate(rows):
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
    return np.sqrt(np.diag(rows @ adjusted @ rows.T)), df

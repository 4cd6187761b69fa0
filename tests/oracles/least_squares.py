"""Least squares and its variances on n x n matrices, from the formulas of the papers: what fast kernels must give.

Every function takes y [n], X [n, p] of full rank, schools [n] (numbers 0 .. G - 1) and contrasts [K, p].
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SINGULAR = 1e-9
"""Eigenvalues of I - H_gg below this are zeros."""


class Fit(NamedTuple):
    """c'beta, standard errors and degrees of freedom of the K contrasts."""

    estimate: Floats
    std_error: Floats
    df: Floats


def coefficients(y: Floats, x: Floats) -> Floats:
    """(X'X)^-1 X'y."""
    return np.asarray(np.linalg.lstsq(x, y, rcond=None)[0])


def hat(x: Floats) -> Floats:
    """H = X (X'X)^-1 X' [n, n]."""
    return np.asarray(x @ np.linalg.inv(x.T @ x) @ x.T)


def iid(y: Floats, x: Floats, schools: Ints, contrasts: Floats) -> Fit:
    """s^2 (X'X)^-1 with s^2 = y'(I - H)y / (n - p)."""
    n, p = x.shape
    s2 = y @ (np.eye(n) - hat(x)) @ y / (n - p)
    variance = np.diag(contrasts @ np.linalg.inv(x.T @ x) @ contrasts.T) * s2
    return _fit(y, x, contrasts, variance, np.full(len(contrasts), float(n - p)))


def sandwich(kind: str, y: Floats, x: Floats, schools: Ints, contrasts: Floats) -> Fit:
    """M [sum_g X_g'A_g e_g e_g'A_g X_g] M; A_g = I (CR0, CR1, CR1S), (I - H_gg)^(-1/2) (CR2), (I - H_gg)^-1 (CR3)."""
    n, p = x.shape
    g = len(np.unique(schools))
    residual = (np.eye(n) - hat(x)) @ y
    weights = contrasts @ np.linalg.inv(x.T @ x) @ x.T
    power = {"CR2": -0.5, "CR3": -1.0}.get(kind, 0.0)
    psi = np.array(
        [weights[:, own] @ adjustment(x, own, power) @ residual[own] for own in members(schools)]
    ).reshape(g, len(contrasts))
    factor = {"CR1": g / (g - 1), "CR1S": g / (g - 1) * (n - 1) / (n - p)}.get(kind, 1.0)
    return _fit(y, x, contrasts, factor * (psi**2).sum(axis=0), np.full(len(contrasts), g - 1.0))


def cr2(y: Floats, x: Floats, schools: Ints, contrasts: Floats) -> Fit:
    """CR2 with Bell and McCaffrey's df: the variance is y'Qy, so df = tr(Q)^2 / tr(Q^2) when Var(y) is the identity."""
    annihilator = np.eye(len(y)) - hat(x)
    weights = contrasts @ np.linalg.inv(x.T @ x) @ x.T
    rows = np.array(
        [weights[:, own] @ adjustment(x, own, -0.5) @ annihilator[own] for own in members(schools)]
    )
    df = np.empty(len(contrasts))
    for k in range(len(contrasts)):
        quadratic = rows[:, k].T @ rows[:, k]
        with np.errstate(invalid="ignore", divide="ignore"):
            df[k] = np.trace(quadratic) ** 2 / np.sum(quadratic**2)
    return sandwich("CR2", y, x, schools, contrasts)._replace(df=df)


def jackknife(y: Floats, x: Floats, schools: Ints, contrasts: Floats) -> Fit:
    """CRV3J: (G - 1)/G sum_g (b_(g) - mean)(b_(g) - mean)', every b_(g) from refitting without school g."""
    left = np.array([contrasts @ coefficients(y[~own], x[~own]) for own in members(schools)])
    g = len(left)
    variance = (g - 1) / g * ((left - left.mean(axis=0)) ** 2).sum(axis=0)
    return _fit(y, x, contrasts, variance, np.full(len(contrasts), g - 1.0))


def quadratic(kind: str, x: Floats, schools: Ints, contrast: Floats) -> Floats:
    """Q [n, n] of V = y'Qy, up to a factor: CR0 (and CR1) and CR2 from residuals, CR3 and the jackknife from refits."""
    weights, annihilator = contrast @ np.linalg.pinv(x), np.eye(len(x)) - hat(x)
    rows = np.zeros((len(members(schools)), len(x)))
    for g, own in enumerate(members(schools)):
        if kind in ("CR0", "CR2"):
            rows[g] = weights[own] @ adjustment(x, own, -0.5 if kind == "CR2" else 0.0) @ annihilator[own]
        else:
            rows[g, ~own] = contrast @ np.linalg.pinv(x[~own])
            rows[g] -= weights
    if kind == "jackknife":
        rows -= rows.mean(axis=0)
    return np.asarray(rows.T @ rows)


def working_df(kind: str, x: Floats, schools: Ints, contrasts: Floats) -> Floats:
    """2 (E V)^2 / Var V [K] for y ~ N(X beta, I): E V = tr(Q), Var V = 2 tr(Q^2)."""
    df = np.empty(len(contrasts))
    for k, contrast in enumerate(contrasts):
        q = quadratic(kind, x, schools, contrast)
        with np.errstate(invalid="ignore", divide="ignore"):
            df[k] = 2.0 * np.trace(q) ** 2 / (2.0 * np.trace(q @ q))
    return df


def needed(x: Floats, schools: Ints, contrasts: Floats) -> npt.NDArray[np.bool_]:
    """Which contrasts are not estimable without some school (judged with a margin) [K]."""
    answer = np.zeros(len(contrasts), dtype=bool)
    for own in members(schools):
        _, singular, rows = np.linalg.svd(x[~own], full_matrices=True)
        kept = rows[: int((singular > 1e-7 * singular.max(initial=0.0)).sum())]
        rest = contrasts - contrasts @ kept.T @ kept
        answer |= np.linalg.norm(rest, axis=1) > 1e-6 * np.linalg.norm(contrasts, axis=1)
    return answer


def adjustment(x: Floats, own: npt.NDArray[np.bool_], power: float) -> Floats:
    """(I - H_gg)^power [n_g, n_g], symmetric, zero in directions where I - H_gg is."""
    values, vectors = np.linalg.eigh(np.eye(int(own.sum())) - hat(x)[np.ix_(own, own)])
    kept = values > SINGULAR
    powered = np.where(kept, np.where(kept, values, 1.0) ** power, 0.0 if power else 1.0)
    return np.asarray(vectors @ np.diag(powered) @ vectors.T)


def members(schools: Ints) -> list[npt.NDArray[np.bool_]]:
    """Return each school's rows."""
    return [schools == g for g in np.unique(schools)]


def gee(y: Floats, x: Floats, schools: Ints, contrasts: Floats, corrected: bool) -> tuple[Fit, float]:
    """Exchangeable GEE with R_g written out: Fisher scoring and moment estimates in turn; also returns alpha.

    phi = sum e^2/(n - p), alpha = sum_g sum_{i<j} e_i e_j / (phi (pairs - p)); sandwich, or with Mancl and DeRouen's
    (I - H_gg)^-1 e_g, H_gg = X_g (sum X'R^-1X)^-1 X_g'R_g^-1. On its way alpha may leave (-1, 1); its limit may not.
    """
    n, p = x.shape
    same = schools[:, None] == schools[None, :]
    pairs = (same.sum() - n) / 2
    alpha = 0.0
    for _ in range(500):
        inverse = np.linalg.inv(np.where(same, alpha, 0.0) + (1.0 - alpha) * np.eye(n))
        bread = np.linalg.inv(x.T @ inverse @ x)
        beta = bread @ x.T @ inverse @ y
        e = y - x @ beta
        products = (np.outer(e, e)[same].sum() - e @ e) / 2
        following = products / (e @ e / (n - p)) / (pairs - p)
        if abs(following - alpha) < 1e-14:
            break
        alpha = following
    if not abs(following - alpha) < 1e-12 or np.linalg.eigvalsh(inverse).min() <= 0:
        return Fit(*np.full((3, len(contrasts)), np.nan)), np.nan
    psi = []
    for own in members(schools):
        score = x[own].T @ inverse[np.ix_(own, own)]
        leverage = x[own] @ bread @ score
        moved = np.linalg.solve(np.eye(int(own.sum())) - leverage, e[own]) if corrected else e[own]
        psi.append(contrasts @ bread @ score @ moved)
    se = np.sqrt((np.array(psi) ** 2).sum(axis=0))
    return Fit(contrasts @ beta, se, np.full(len(contrasts), np.inf)), float(alpha)


def _fit(y: Floats, x: Floats, contrasts: Floats, variance: Floats, df: Floats) -> Fit:
    return Fit(contrasts @ coefficients(y, x), np.sqrt(variance), df)

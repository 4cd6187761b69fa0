"""Sizes of OLS t-tests under known covariance, by dense matrices and adaptive quadrature: slow and plain."""

from __future__ import annotations

import itertools

import numpy as np
from scipy import integrate, linalg, stats


def positive(weights: np.ndarray) -> float:
    """P(sum w_i chi2_1 > 0) by Imhof's integral over u itself."""

    def integrand(u: float) -> float:
        angle = 0.5 * np.arctan(weights * u).sum()
        return float(np.sin(angle) / u / np.prod((1.0 + (weights * u) ** 2) ** 0.25))

    pieces = [0.0, *np.geomspace(1e-2, 1e6, 17)]
    parts = (integrate.quad(integrand, a, b, limit=2000)[0] for a, b in itertools.pairwise(pieces))
    return 0.5 + sum(parts) / np.pi


def size(
    x: np.ndarray, omega: np.ndarray, groups: np.ndarray, term: int, kind: str, critical: float
) -> tuple[float, float, float]:
    """(P(reject), E[variance estimate], true variance) of |b/se| > critical for X [n, p] and Cov(u) = omega.

    kind: iid, cr0, cr1s, cr2 (symmetric square root of the n_g x n_g matrix, pseudo-inverse), cr3.
    """
    n, p = x.shape
    bread = np.linalg.inv(x.T @ x)
    a = bread[term] @ x.T
    residual = np.eye(n) - x @ bread @ x.T
    if kind == "iid":
        quadratic = bread[term, term] / (n - p) * residual
    else:
        rows = [a[m] @ _adjust(residual[np.ix_(m, m)], kind) @ residual[m] for m in _members(groups)]
        quadratic = _factor(kind, n, p, len(rows)) * sum(np.outer(r, r) for r in rows)
    half = linalg.sqrtm(omega).real
    weights = np.linalg.eigvalsh(half @ (np.outer(a, a) - critical**2 * quadratic) @ half)
    weights = weights[np.abs(weights) > 1e-13 * np.abs(weights).max()]
    return positive(weights / np.abs(weights).max()), float(np.trace(quadratic @ omega)), float(a @ omega @ a)


def satterthwaite_df(x: np.ndarray, groups: np.ndarray, term: int) -> float:
    """Bell-McCaffrey degrees of freedom of CR2 under an identity working covariance."""
    bread = np.linalg.inv(x.T @ x)
    a = bread[term] @ x.T
    residual = np.eye(len(x)) - x @ bread @ x.T
    rows = np.array([a[m] @ _adjust(residual[np.ix_(m, m)], "cr2") @ residual[m] for m in _members(groups)])
    phi = rows @ rows.T
    return float(np.trace(phi) ** 2 / np.trace(phi @ phi))


def naive_balanced(schools: int, students: int, icc: float, columns: int = 2, shared: int = 2) -> float:
    """P(reject) of the naive t-test of a school-constant regressor, equal schools, by 2-D quadrature (oracle D1).

    t^2 ~ (N - q) lam chi2_1 / (lam chi2_{G-q} + s2 chi2_{N-G}), q = `shared` school-level columns, p = `columns`.
    """
    n = schools * students
    lam, s2 = 1.0 + (students - 1) * icc, 1.0 - icc
    c2 = stats.t.ppf(0.975, n - columns) ** 2 / (n - shared)
    nodes, weights = np.polynomial.legendre.leggauss(200)
    between = stats.chi2.ppf(0.5 * (1.0 + nodes), schools - shared)[:, None]
    within = stats.chi2.ppf(0.5 * (1.0 + nodes), n - schools)[None, :]
    return float(0.25 * weights @ stats.chi2.sf(c2 * (between + s2 / lam * within), 1) @ weights)


def _members(groups: np.ndarray) -> list[np.ndarray]:
    return [np.flatnonzero(groups == g) for g in np.unique(groups)]


def _factor(kind: str, n: int, p: int, g: int) -> float:
    return g / (g - 1) * (n - 1) / (n - p) if kind == "cr1s" else 1.0


def _adjust(block: np.ndarray, kind: str) -> np.ndarray:
    if kind == "cr2":
        values, vectors = np.linalg.eigh(block)
        powered = np.where(values > 1e-10, np.where(values > 1e-10, values, 1.0) ** -0.5, 0.0)
        return vectors @ np.diag(powered) @ vectors.T
    return np.linalg.inv(block) if kind == "cr3" else np.eye(len(block))

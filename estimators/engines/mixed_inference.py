r"""Standard errors and degrees of freedom after a textbook mixed-model fit, one definition a function.

Satterthwaite: df = 2 v^2 / (g'Ag), v = Var(l'beta) as a function of (theta, sigma), g its gradient, A twice the inverse
of the Hessian of the deviance in (theta, sigma), not profiled (Giesbrecht & Burns 1985; as lmerTest).
Kenward-Roger (1997; as pbkrtest): V = sum_i gamma_i G_i linear in the variances, expected information.
CR2 on the GLS fit (Bell & McCaffrey 2002; Pustejovsky & Tipton 2018; as clubSandwich with the fitted V): A_g is the
symmetric solution of A_g R_g A_g = V_g, R_g = V_g - X_g C X_g', C = (X'V^-1X)^-1.
"""

from __future__ import annotations

import numpy as np

from nestbench.estimators.engines.mixed_textbook import TextbookFit
from nestbench.sim.observed.batch import Floats


def model_based_errors(fit: TextbookFit) -> Floats:
    """Return sqrt(sigma^2 diag C) [p]."""
    return np.asarray(np.sqrt(fit.sigma2 * fit.variances(fit.c)))


def satterthwaite(fit: TextbookFit) -> Floats:
    """Return the df of each coefficient [p].

    The Hessian is that of the deviance in (theta, sigma) jointly, from the profiled one by the chain rule; a
    pseudo-inverse leaves out directions without information, as lmerTest does at a boundary.
    """
    m, nu, sigma = len(fit.theta), fit.model.nu, np.sqrt(fit.sigma2)
    rss = fit.sigma2 * nu
    hessian = np.empty((m + 1, m + 1))
    hessian[:m, :m] = fit.hessian + nu * np.outer(fit.rss_slope, fit.rss_slope)
    # sigma in units of itself: the pseudo-inverse below must not depend on the units of the outcome
    hessian[:m, m] = hessian[m, :m] = -2.0 * fit.rss_slope * rss / sigma**2
    hessian[m, m] = 6.0 * rss / sigma**2 - 2.0 * nu
    covariance = 2.0 * np.linalg.pinv(hessian, rcond=1e-12, hermitian=True)
    variances = fit.sigma2 * fit.variances(fit.c)
    slopes = [-fit.sigma2 * fit.variances(fit.c @ p @ fit.c) for p in fit.p]
    gradient = np.array([*slopes, 2.0 * sigma**2 * fit.variances(fit.c)])
    return np.asarray(2.0 * variances**2 / np.einsum("ik,ij,jk->k", gradient, covariance, gradient))


def kenward_roger(fit: TextbookFit) -> tuple[Floats, Floats]:
    """Return adjusted standard errors and df of each coefficient [p].

    Every V_g is inverted and every G_i written out, so that each line is a line of the paper; at n_g in the hundreds
    this takes seconds, which is why it is the reference and not the engine.
    """
    p, bases = len(fit.beta), _basis(fit)
    h = len(bases) + 1
    pp, qq, info = np.zeros((h, p, p)), np.zeros((h, h, p, p)), np.zeros((h, h))
    for s in fit.model.stacks:
        for x, z in zip(s.x, s.z, strict=True):
            n = len(x)
            w = np.linalg.inv(np.eye(n) + z @ fit.psi @ z.T)
            g = [*(z @ b @ z.T for b in bases), np.eye(n)]
            for i in range(h):
                pp[i] -= x.T @ w @ g[i] @ w @ x
                for j in range(h):
                    qq[i, j] += x.T @ w @ g[i] @ w @ g[j] @ w @ x
                    info[i, j] += np.trace(w @ g[i] @ w @ g[j])
    phi = fit.c
    for i in range(h):
        for j in range(h):
            info[i, j] += np.trace(phi @ pp[i] @ phi @ pp[j]) - 2.0 * np.trace(phi @ qq[i, j])
    # `info` is without the 1/2 of W^-1.
    w = 2.0 * np.linalg.inv(info)
    u = sum(w[i, j] * (qq[i, j] - pp[i] @ phi @ pp[j]) for i in range(h) for j in range(h))
    adjusted = phi + 2.0 * phi @ u @ phi
    shares = np.array([fit.variances(phi @ each @ phi) / fit.variances(phi) for each in pp])
    # For a single contrast A1 = A2 in Kenward & Roger (1997), so that their m is 2 / A1 and their lambda 1: neither
    # its correction of F nor its approximation of m is left.
    df = 2.0 / np.einsum("ik,ij,jk->k", shares, w, shares)
    return np.sqrt(fit.sigma2 * fit.variances(adjusted)), np.asarray(df)


def cr2(fit: TextbookFit) -> tuple[Floats, Floats]:
    """Return CR2 standard errors and Satterthwaite df of each coefficient [p], with the fitted V as working model."""
    scores, spread, cross = [], [], []
    for s in fit.model.stacks:
        for y, x, z in zip(s.y, s.x, s.z, strict=True):
            v = np.eye(len(y)) + z @ fit.psi @ z.T
            a = adjustment(v, x @ fit.c @ x.T)
            rows = fit.model.l @ fit.c @ x.T @ np.linalg.inv(v) @ a
            scores.append(rows @ (y - x @ fit.beta))
            spread.append(np.einsum("kn,nm,km->k", rows, v, rows))
            cross.append(rows @ x)
    b = np.array(cross)
    std_error = np.sqrt(np.sum(np.array(scores) ** 2, axis=0))
    df = np.empty(len(fit.beta))
    for k in range(len(df)):
        working = np.diag(np.array(spread)[:, k]) - b[:, k] @ fit.c @ b[:, k].T
        df[k] = np.trace(working) ** 2 / np.sum(working**2)
    return std_error, df


def adjustment(v: Floats, fitted: Floats) -> Floats:
    """Return the symmetric A with A R A = V, R = V - `fitted` (generalised where R is singular).

    A = D (D R D)^(-1/2) D with the symmetric root D of V = U Lambda U'. D R D = BB' for B = V (I - H)^(1/2),
    I - H = D^-1 R D^-1, whose singular values do not square the range of Lambda as the eigenvalues of D R D do.
    """
    lam, u = np.linalg.eigh(v)
    root = np.sqrt(lam)
    h = (u.T @ fitted @ u) / np.outer(root, root)
    values, vectors = np.linalg.eigh(np.eye(len(v)) - h)
    # The school determines a coefficient in the directions left out: Moore-Penrose.
    kept = values > 1e-10
    w, s, _ = np.linalg.svd(lam[:, None] * vectors[:, kept] * np.sqrt(values[kept]), full_matrices=False)
    half = u @ (root[:, None] * w)
    return np.asarray((half / s) @ half.T)


def _basis(fit: TextbookFit) -> list[Floats]:
    """Return the symmetric matrices that Psi(theta) can be a combination of, as far as theta reaches them."""
    m, q = fit.model.second.shape[0], fit.model.q
    spanned = fit.model.second.reshape(m * m, q, q)
    basis: list[Floats] = []
    for i in range(q):
        for j in range(i + 1):
            if np.any(spanned[:, i, j]):
                one = np.zeros((q, q))
                one[i, j] = one[j, i] = 1.0
                basis.append(one)
    return basis

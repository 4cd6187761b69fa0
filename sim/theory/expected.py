"""Expected variance estimates and true variances of OLS coefficients, given X, of many data sets at once.

Both are linear in the errors' covariance Omega, so that no distribution is needed. In the words of
`nestbench.sim.theory.exact`, for a contrast k of the coefficients and T_g = X_g'Omega_g X_g, T their sum:

- variance: k'M T M k;
- a cluster-robust variance, on average: f sum_g c_g'T c_g - 2 c_g'T_g w_g + w_g'T_g w_g, c_g = M A_g w_g;
- the iid variance, on average: k'M k (sum_g tr Omega_g - tr M T) / (N - p).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nestbench.sim.observed.batch import Floats
from nestbench.sim.theory.exact import POWERS
from nestbench.sim.theory.rows import Rows
from nestbench.sim.theory.standardised import Standardised, by_row_products


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """What is expected in each of R data sets for each of k contrasts.

    Attributes
    ----------
    variance : float64 [R, k]
        True variance of the estimate given X.
    estimates : dict of str to float64 [R, k]
        Expected variance estimate by kind: ``iid``, ``cr0``, ``cr1s``, ``cr2``, and ``cr3`` where it exists in all.
    """

    variance: Floats
    estimates: dict[str, Floats]


def expected_of(on: Rows, x: Standardised, factors: Floats, variance: Floats) -> Expected:
    """Return what is expected with Omega = diag(variance) + B B' by school, B' = `factors` [q, N].

    Averages over draws of X, of the expectation given X: for one X the expected variance is a trace, without any
    outcome drawn.

    Parameters
    ----------
    on : Rows
    x : Standardised
    factors, variance : float64 [q, N], [N]
        The factors as columns on these rows; the variance of the students that a row stands for.
    """
    schools = on.school_offsets
    gram = by_row_products(x.rows, x.rows, schools)
    cross = by_row_products(x.rows, factors, schools)
    spread = by_row_products(x.rows, x.rows * variance, schools) + cross @ cross.transpose(0, 2, 1)
    noise = np.add.reduceat(variance * on.unit**2 + (factors**2).sum(axis=0), on.offsets[:-1])
    total = np.add.reduceat(spread, on.replication_offsets[:-1], axis=0)
    own = x.contrasts @ x.inverse
    true = np.einsum("rkp,rpq,rkq->rk", own, total, own)
    p, n, g = len(x.rows), on.students, np.diff(on.replication_offsets)
    with np.errstate(divide="ignore", invalid="ignore"):
        residual = (noise - np.einsum("rpq,rqp->r", x.inverse, total)) / (n - p)
        factor = (g / (g - 1) * (n - 1) / (n - p))[:, None]
    variances = {"iid": np.einsum("rkp,kp->rk", own, x.contrasts) * residual[:, None]}
    of_school = np.repeat(np.arange(on.size), g)
    values, basis = _leverages(x.inverse[of_school], gram)
    for kind, power in POWERS.items():
        if kind == "cr3" and (values >= 1.0 - 1e-9).any():
            continue
        weights = own[of_school] if power == 0.0 else _adjusted(values, basis, x.contrasts, power)
        variances[kind] = _robust(weights, gram, spread, total[of_school], x.inverse[of_school], on)
    return Expected(true, variances | {"cr1s": factor * variances["cr1s"]})


def _leverages(inverse: Floats, gram: Floats) -> tuple[Floats, Floats]:
    """Return the eigenvalues lam [S, p] of L'A_g L, M = L L', and the vectors L V [S, p, p] of each school."""
    root = np.linalg.cholesky(inverse)
    values, vectors = np.linalg.eigh(root.transpose(0, 2, 1) @ gram @ root)
    return values, root @ vectors


def _adjusted(values: Floats, basis: Floats, contrasts: Floats, power: float) -> Floats:
    """Return w_g [S, k, p] = L V (1 - lam)^power V' L' k; directions that a school alone decides are left out."""
    rest = 1.0 - values
    powered = np.where(rest > 1e-10, np.where(rest > 1e-10, rest, 1.0) ** power, 0.0)
    return np.asarray(((contrasts @ basis) * powered[:, None, :]) @ basis.transpose(0, 2, 1))


def _robust(w: Floats, gram: Floats, spread: Floats, total: Floats, inverse: Floats, on: Rows) -> Floats:
    """Return the expected sum over schools of (l_g'u)^2 [R, k] from w_g [S, k, p]."""
    c = w @ gram @ inverse
    tw = w @ spread
    each = (c @ total * c).sum(axis=2) - 2.0 * (c * tw).sum(axis=2) + (w * tw).sum(axis=2)
    return np.asarray(np.add.reduceat(each, on.replication_offsets[:-1], axis=0))


def mean_ratio(estimates: Floats, variance: Floats) -> tuple[float, float]:
    """Return sqrt(mean estimate / mean variance) over data sets [R], and its Monte Carlo error (delta method)."""
    e, v = float(estimates.mean()), float(variance.mean())
    ratio = float(np.sqrt(e / v))
    if len(variance) < 2:
        return ratio, 0.0
    influence = estimates / e - variance / v
    return ratio, 0.5 * ratio * float(influence.std(ddof=1)) / float(np.sqrt(len(variance)))

"""Expected variance estimates and true variances of OLS coefficients, given X, of many data sets at once.

Both are linear in the errors' covariance Omega, so that no distribution is needed. In the words of
`nestbench.sim.theory.sizes`, for a contrast k of the coefficients and T_g = X_g'Omega_g X_g, T their sum:

- variance: k'M T M k;
- a cluster-robust variance, on average: f sum_g c_g'T c_g - 2 c_g'T_g w_g + w_g'T_g w_g, c_g = M A_g w_g;
- the iid variance, on average: k'M k (sum_g tr Omega_g - tr M T) / (N - p).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from nestbench.sim.observed.batch import Floats
from nestbench.sim.theory.rows import Rows
from nestbench.sim.theory.scores import POWERS, Moments, Scores, scores_of


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


def expected_of(
    on: Rows, moments: Moments, factors: Floats, variance: Floats, kinds: Collection[str] = tuple(POWERS)
) -> Expected:
    """Return what is expected with Omega = diag(variance) + B B' by school, B' = `factors` [q, N].

    Averages over draws of X, of the expectation given X: for one X the expected variance is a trace, without any
    outcome drawn.

    Parameters
    ----------
    on : Rows
    moments : Moments
        Of the same errors.
    factors, variance : float64 [q, N], [N]
        The factors as columns on these rows; the variance of the students that a row stands for.
    kinds : collection of str
        Of cluster-robust variances, those that are wanted.
    """
    noise = np.add.reduceat(variance * on.unit**2 + (factors**2).sum(axis=0), on.offsets[:-1])
    x = moments.columns
    true = np.einsum("rkp,rpq,rkq->rk", x.own, moments.total, x.own)
    with np.errstate(divide="ignore", invalid="ignore"):
        residual = (noise - np.einsum("rpq,rqp->r", x.inverse, moments.total)) / (
            x.students - len(x.contrasts)
        )
    variances = {"iid": np.einsum("rkp,kp->rk", x.own, x.contrasts) * residual[:, None]}
    for kind, power in POWERS.items():
        # CR1S is a multiple of CR0, which comes first.
        needed = kind in kinds or (kind == "cr0" and "cr1s" in kinds)
        if not needed or (kind == "cr3" and not x.has_cr3):
            continue
        if kind == "cr1s":
            variances[kind] = x.factor(kind)[:, None] * variances["cr0"]
        else:
            variances[kind] = _robust(scores_of(moments, power), moments)
    return Expected(true, variances)


def _robust(scores: Scores, moments: Moments) -> Floats:
    """Return the expected sum over schools of (l_g'u)^2 [R, k]."""
    c, tw = scores.shared, scores.spread
    total = moments.columns.by_school(moments.total)
    each = (c @ total * c).sum(axis=2) - 2.0 * (c * tw).sum(axis=2) + (scores.weights * tw).sum(axis=2)
    return np.asarray(np.add.reduceat(each, moments.columns.offsets[:-1], axis=0))


def mean_ratio(estimates: Floats, variance: Floats) -> tuple[float, float]:
    """Return sqrt(mean estimate / mean variance) over data sets [R], and its Monte Carlo error (delta method)."""
    e, v = float(estimates.mean()), float(variance.mean())
    ratio = float(np.sqrt(e / v))
    if len(variance) < 2:
        return ratio, 0.0
    influence = estimates / e - variance / v
    return ratio, 0.5 * ratio * float(influence.std(ddof=1)) / float(np.sqrt(len(variance)))

r"""Mixed models by their textbook definitions, with every V_g written out: slow, simple enough to be checked by eye.

School g: y_g = X_g beta + Z_g u_g + e_g, Var(y_g) = sigma^2 V_g(theta), V_g = I + Z_g Psi(theta) Z_g', Psi quadratic in
theta (lme4's relative covariance factor). With r = y - X beta, C = (sum X'V^-1X)^-1, u = V^-1 r, RSS = r'u and
V_a = dV/dtheta_a, V_ab = d2V/dtheta_a dtheta_b,

    -2l       = nu (1 + log(2 pi RSS/nu)) + log|V| [+ log|X'V^-1X|]
    (-2l)_a   = -nu u'V_a u/RSS + tr(PV_a)                            [tr(V^-1V_a) for ML]
    (-2l)_ab  = nu (RSS_ab/RSS - RSS_a RSS_b/RSS^2) + tr(PV_ab) - tr(PV_aPV_b)
    RSS_a = -u'V_a u,   RSS_ab = 2 u'V_aPV_b u - u'V_ab u,   P = V^-1 - V^-1X C X'V^-1,

nu = N - p for REML and N for ML. The reference of the methods statsmodels doesn't have: the fast engines never build V.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from nestbench.estimators.engines.reference import DataSet
from nestbench.sim.observed.batch import Floats

GLS = (
    r"y_g = X_g\beta + Z_g u_g + \varepsilon_g, \quad \operatorname{Var}(y_g) = \sigma^2 V_g(\theta), "
    r"\quad V_g = I + Z_g \Psi(\theta) Z_g^\top",
    r"\hat\beta = C \sum_g X_g^\top V_g^{-1} y_g, \quad C = \left(\sum_g X_g^\top V_g^{-1} X_g\right)^{-1}",
)
"""In LaTeX."""
REML = (
    r"\hat\theta = \arg\min_\theta \left\{(N - p) \log\mathrm{RSS}(\theta) + \sum_g \log\det V_g "
    r"+ \log\det C^{-1}\right\}, \quad \hat\sigma^2 = \frac{\mathrm{RSS}(\hat\theta)}{N - p}"
)
ML = (
    r"\hat\theta = \arg\min_\theta \left\{N \log\mathrm{RSS}(\theta) + \sum_g \log\det V_g\right\}, "
    r"\quad \hat\sigma^2 = \frac{\mathrm{RSS}(\hat\theta)}{N}"
)
"""RSS is the sum over schools of r_g'V_g^-1 r_g, r_g = y_g - X_g beta."""
MODEL_BASED = r"\operatorname{Var}(\hat\beta) = \hat\sigma^2 C"


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """The k schools of one size n: y [k, n], X [k, n, p], Z [k, n, q].

    Equal sizes make rectangular arrays, on which NumPy loops over schools; nothing else is gained by the order.
    """

    y: Floats
    x: Floats
    z: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Textbook:
    """A model on one data set: the schools by size, and Psi = 1/2 sum_ab theta_a theta_b second[a, b] [m, m, q, q].

    The columns of X are those of Q in X = Q R, so that nearly dependent columns lose no digits: the coefficients as
    named are l beta with l = R^-1, and the random effects as named are `back` u.
    """

    stacks: tuple[Stack, ...]
    second: Floats
    l: Floats  # noqa: E741
    back: Floats
    nu: int
    restricted: bool

    @property
    def q(self) -> int:
        """Columns of Z."""
        return int(self.second.shape[2])

    def first(self, theta: Floats) -> Floats:
        """Return dPsi/dtheta_a [m, q, q]."""
        return np.asarray(np.einsum("b,abij->aij", theta, self.second))


@dataclass(frozen=True, slots=True, eq=False)
class TextbookFit:
    """Everything at one theta [m]: beta [p], sigma2, C [p, p] for the columns of Q, the criterion, its score [m] and
    Hessian [m, m]."""

    model: Textbook
    theta: Floats
    beta: Floats
    sigma2: float
    c: Floats
    criterion: float
    score: Floats
    hessian: Floats
    rss_slope: Floats
    p: Floats
    """P_a = -X'V^-1V_aV^-1X = d(X'V^-1X)/dtheta_a [m, p, p]."""

    @property
    def estimate(self) -> Floats:
        """Coefficients of the terms as named [p]."""
        return self.model.l @ self.beta

    @property
    def psi(self) -> Floats:
        """Var(u)/sigma^2 of the model's own random effects [q, q]."""
        return np.asarray(0.5 * np.einsum("a,aij->ij", self.theta, self.model.first(self.theta)))

    @property
    def relative(self) -> Floats:
        """Var(u)/sigma^2 of the random effects as named [q, q]."""
        return self.model.back @ self.psi @ self.model.back.T

    def variances(self, matrix: Floats) -> Floats:
        """Return diag(l M l') [p]."""
        return np.asarray(np.einsum("ki,ij,kj->k", self.model.l, matrix, self.model.l))


def free_entries(q: int, diagonal: bool = False) -> list[tuple[int, int]]:
    """Return (row, column) of the free entries of Lambda, column by column as lme4 orders them.

    Their order is that of theta everywhere: in the kernels, in the search, and in the values stored from R.
    """
    return [(i, j) for j in range(q) for i in range(j, q) if i == j or not diagonal]


def factor_of(q: int, diagonal: bool = False) -> Floats:
    """Return `second` of Psi = Lambda Lambda', theta the free entries of Lambda."""
    free = free_entries(q, diagonal)
    second = np.zeros((len(free), len(free), q, q))
    for a, (i, j) in enumerate(free):
        for b, (k, h) in enumerate(free):
            if j == h:
                second[a, b, i, k] += 1.0
                second[a, b, k, i] += 1.0
    return second


def textbook_of(
    data: DataSet, second: Floats, restricted: bool, z: Floats | None = None, back: Floats | None = None
) -> Textbook:
    """Return the model of one data set; `z` [n, q] instead of the data set's own, which is `z` back^-1.

    Parameters
    ----------
    data : DataSet
    second : float64 [m, m, q, q]
        How Psi follows from theta (`factor_of`).
    restricted : bool
    z, back : float64 [n, q], [q, q], optional
        Better conditioned columns of the random part, and what brings their effects back to those as named.
    """
    z = data.z if z is None else z
    back = np.eye(z.shape[1]) if back is None else back
    q, r = np.linalg.qr(data.x)
    stacks = []
    for size in np.unique(data.sizes):
        rows = data.starts[data.sizes == size][:, None] + np.arange(size)
        stacks.append(Stack(data.y[rows], q[rows], z[rows]))
    n, p = data.x.shape
    return Textbook(tuple(stacks), second, np.linalg.inv(r), back, n - p if restricted else n, restricted)


def effects(z: Floats, intercept: int | None) -> tuple[Floats, Floats]:
    """Return Z in columns of unit spread, centred given an intercept, and B [q, q]: Z B is what is returned.

    Correlated random effects are the same model in either: u = B u'. A column that is constant stays where it is.
    """
    centre = np.zeros(z.shape[1])
    if intercept is not None:
        centre = np.where(np.ptp(z, axis=0) > 1e-12 * np.abs(z).max(axis=0), z.mean(axis=0), 0.0)
    spread = np.sqrt(((z - centre) ** 2).mean(axis=0))
    spread[spread == 0.0] = 1.0
    back = np.diag(1.0 / spread)
    if intercept is not None:
        back[intercept] -= centre / spread
    return (z - centre) / spread, back


def criterion_at(model: Textbook, theta: Floats) -> float:
    """Return -2l at theta alone; inf where V or X'V^-1X can't be inverted or nothing is left of RSS."""
    psi = 0.5 * np.einsum("a,aij->ij", theta, model.first(theta))
    p = model.l.shape[0]
    log_v, precision, right, total = 0.0, np.zeros((p, p)), np.zeros(p), 0.0
    for s in model.stacks:
        v = covariance(s.z, psi)
        both = np.concatenate([s.x, s.y[:, :, None]], axis=2)
        cross = np.sum(transposed(both) @ np.linalg.solve(v, both), axis=0)
        precision += cross[:p, :p]
        right += cross[:p, p]
        total += cross[p, p]
        log_v += log_determinants(v, len(s.z))
    rss = total - float(right @ np.linalg.solve(precision, right))
    if not rss > 0.0:
        return float("inf")
    value = model.nu * (1.0 + float(np.log(2.0 * np.pi * rss / model.nu))) + log_v
    if model.restricted:
        value += float(np.linalg.slogdet(precision)[1] - 2.0 * np.linalg.slogdet(model.l)[1])
    return value


def fit_at(model: Textbook, theta: Floats, with_hessian: bool = True) -> TextbookFit:
    """Evaluate the profiled criterion at theta [m], with its derivatives.

    Parameters
    ----------
    model : Textbook
    theta : float64 [m]
    with_hessian : bool
        Off where only the score is wanted: the second derivatives take most of the time.

    Returns
    -------
    TextbookFit
        Derivatives are those of the module's formulas, term by term; its Hessian is zeros without `with_hessian`.
    """
    psi = 0.5 * np.einsum("a,aij->ij", theta, model.first(theta))
    covariances = [covariance(s.z, psi) for s in model.stacks]
    # Read-only views of one inverse where it is that of all schools.
    inverses = [
        np.broadcast_to(np.linalg.inv(v), (len(s.z), *v.shape[1:]))
        for s, v in zip(model.stacks, covariances, strict=True)
    ]
    c = np.linalg.inv(
        sum(np.sum(transposed(s.x) @ w @ s.x, axis=0) for s, w in zip(model.stacks, inverses, strict=True))
    )
    right = sum(contracted("knp,knm,km->p", s.x, w, s.y) for s, w in zip(model.stacks, inverses, strict=True))
    beta = c @ right
    log_v = sum(log_determinants(v, len(s.z)) for s, v in zip(model.stacks, covariances, strict=True))
    rss, first, m = 0.0, model.first(theta), len(theta)
    trace, rss_a, pa = np.zeros(m), np.zeros(m), np.zeros((m, *c.shape))
    rss_ab, trace_ab, va = np.zeros((m, m)), np.zeros((m, m)), np.zeros((m, len(beta)))
    for s, w in zip(model.stacks, inverses, strict=True):
        residual = s.y - s.x @ beta
        u = (w @ residual[:, :, None])[:, :, 0]
        rss += float(np.sum(residual * u))
        zwz, zwx, zu = transposed(s.z) @ w @ s.z, transposed(s.z) @ w @ s.x, np.einsum("knq,kn->kq", s.z, u)
        trace += np.einsum("aij,kji->a", first, zwz)
        rss_a -= contracted("ki,aij,kj->a", zu, first, zu)
        pa -= contracted("kip,aij,kjr->apr", zwx, first, zwx)
        if not with_hessian:
            continue
        va += contracted("kip,aij,kj->ap", zwx, first, zu)
        rss_ab += 2 * contracted("ki,aij,kjl,blm,km->ab", zu, first, zwz, first, zu)
        rss_ab -= contracted("ki,abij,kj->ab", zu, model.second, zu)
        trace_ab += contracted("abij,kji->ab", model.second, zwz)
        trace_ab -= contracted("aij,kjl,blm,kmi->ab", first, zwz, first, zwz)
        if model.restricted:
            h = zwx @ c @ transposed(zwx)
            trace_ab -= contracted("abij,kji->ab", model.second, h)
            trace_ab += 2 * contracted("aij,kjl,blm,kmi->ab", first, zwz, first, h)
    rss_ab -= 2 * va @ c @ va.T
    score = model.nu * rss_a / rss + trace
    if model.restricted:
        score += np.einsum("pr,arp->a", c, pa)
        trace_ab -= contracted("pr,ars,st,btp->ab", c, pa, c, pa)
    hessian = model.nu * (rss_ab / rss - np.outer(rss_a, rss_a) / rss**2) + trace_ab
    criterion = model.nu * (1 + np.log(2 * np.pi * rss / model.nu)) + log_v
    if model.restricted:
        criterion -= np.linalg.slogdet(c)[1] + 2.0 * np.linalg.slogdet(model.l)[1]
    return TextbookFit(
        model, theta, beta, rss / model.nu, c, float(criterion), score, hessian, rss_a / rss, pa
    )


def covariance(z: Floats, psi: Floats) -> Floats:
    """Return V = I + Z Psi Z' of schools of one size [k, n, n], or the one that is all schools' [1, n, n].

    A random intercept is the same column in every school: its V is inverted once, and nothing else changes by that.
    """
    own = z[:1] if (z == z[:1]).all() else z
    return np.asarray(np.eye(z.shape[1]) + own @ psi @ transposed(own))


def log_determinants(v: Floats, schools: int) -> float:
    """Return the sum of log|V| over schools, of their own or of one that is all schools'."""
    return float(np.broadcast_to(np.linalg.slogdet(v)[1], (schools,)).sum())


def contracted(subscripts: str, *operands: Floats) -> Floats:
    """Return an Einstein sum in the order of operands that costs least, looked for once for all of their shapes.

    To look for it anew took a sixth of a fit.
    """
    path = _cheapest(subscripts, *(each.shape for each in operands))
    return np.asarray(np.einsum(subscripts, *operands, optimize=path))


@lru_cache(maxsize=1024)
def _cheapest(subscripts: str, *shapes: tuple[int, ...]) -> Any:
    """Return the order for operands of these shapes, as NumPy writes it."""
    return np.einsum_path(subscripts, *map(np.empty, shapes), optimize="greedy")[0]


def transposed(a: Floats) -> Floats:
    """Return the transposed matrices of a stack."""
    return np.swapaxes(a, -1, -2)

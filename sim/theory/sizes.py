"""Exact sizes of OLS t-tests under a known covariance, of many data sets at once: no Monte Carlo in the errors.

For fixed X and Gaussian errors u with Cov(u) = Omega, block-diagonal over schools, a test |b_j / se_j| > c rejects iff
a quadratic form in u is positive (`crossing`). Only school cross-products enter: with M = (X'X)^-1, A_g = X_g'X_g and
T_g = X_g'Omega_g X_g,

- b_j = a'u with a = X m_j, Var(b_j) = m_j' (sum_g T_g) m_j;
- a cluster-robust variance is f sum_g (l_g'u)^2 with l_g = b_g - X c_g, b_g = X_g w_g in school g, c_g = M A_g w_g,
  where w_g = m_j for CR0 and CR1, and with M = L L', eigenvalues lam and vectors V of L'A_g L,
  w_g = L V (1 - lam)^(-1/2) V' L' e_j for CR2, the power -1 for CR3; with P the covariance of [a; l_1 .. l_G]'u and
  D = diag(1, -f c^2, ..), the weights of the form are the eigenvalues of D P;
- the iid variance is M_jj u'(I - X M X')u / (N - p); where Omega = sigma^2 I + B B', all of its form outside the span
  of B is white, and inside it is C = B'B - B'X M X'B.

Sources: Imhof 1961; Bell & McCaffrey 2002 for CR2 and its degrees of freedom (tr Phi)^2 / tr(Phi^2), Phi = L L'.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np

from nestbench.sim.compiled import kernel
from nestbench.sim.observed.batch import Floats, Ints
from nestbench.sim.theory.crossing import positive_probability, tridiagonal
from nestbench.sim.theory.exact import uneven_sizes
from nestbench.sim.theory.rows import Rows
from nestbench.sim.theory.scores import POWERS, Columns, Moments, Scores, scores_of
from nestbench.sim.theory.standardised import by_row_products


def robust_sizes(moments: Moments, tests: Mapping[str, tuple[str, str]], level: float) -> dict[str, Floats]:
    """Return the sizes [R, k] of cluster-robust t-tests, by the names of `tests`.

    Parameters
    ----------
    moments : Moments
    tests : mapping of name to (kind, reference)
        kind: ``cr0``, ``cr1s`` (with the factor G/(G-1) (N-1)/(N-p)), ``cr2``, ``cr3``; reference: ``z``, ``t`` (G - 1
        degrees of freedom) or ``satt`` (Bell-McCaffrey's).
    level : float
        Of the intervals.
    """
    columns, sizes = moments.columns, dict[str, Floats]()
    for power in dict.fromkeys(POWERS[kind] for kind, _ in tests.values()):
        scores = scores_of(moments, power)
        names = [name for name, (kind, _) in tests.items() if POWERS[kind] == power]
        bounds = [
            columns.factor(kind)[:, None] * critical(df_of(columns, scores, reference), level) ** 2
            for kind, reference in (tests[name] for name in names)
        ]
        found = np.empty((len(names), *columns.own.shape[:2]))
        _robust(
            scores.weights, scores.shared, scores.spread, moments.total, columns.own, columns.offsets,
            np.stack(bounds), found,
        )  # fmt: skip
        sizes |= dict(zip(names, found, strict=True))
    return sizes


def naive_of(
    moments: Moments, on: Rows, x: Floats, factors: Floats, variance: Floats, level: float
) -> Floats | None:
    """Return the sizes [R, k] of iid t(N - p) tests; None where residual variances differ within a school.

    Parameters
    ----------
    moments : Moments
        Of the first data sets on these rows.
    on : Rows
    x, factors, variance : float64 [p, N], [q, N], [N]
        X', B' and the variance of the independent parts.
    level : float
    """
    columns = moments.columns
    offsets = on.school_offsets[: columns.offsets[-1] + 1]
    rows = slice(0, int(offsets[-1]))
    x, factors, variance = x[:, rows], factors[:, rows], variance[rows]
    low = np.minimum.reduceat(variance, offsets[:-1])
    if not np.allclose(low, np.maximum.reduceat(variance, offsets[:-1]), rtol=1e-12):
        return None
    parts = list(itertools.pairwise(columns.offsets))
    if all(np.ptp(low[a:b]) <= 1e-12 * low[a:b].max() for a, b in parts):
        return naive_sizes(
            moments, by_row_products(factors, factors, offsets), low[columns.offsets[:-1]], level
        )
    both = np.concatenate([x, factors])
    joint = by_row_products(both, both, offsets)
    students = np.rint(np.add.reduceat(on.unit[rows] ** 2, offsets[:-1])).astype(np.int64)
    bounds = critical(columns.students - len(columns.contrasts), level)
    return np.array(
        [
            uneven_sizes(joint[a:b], low[a:b], students[a:b], columns.contrasts, float(bounds[r]))
            for r, (a, b) in enumerate(parts)
        ]
    )


def naive_sizes(moments: Moments, within: Floats, residual: Floats, level: float) -> Floats:
    """Return the sizes [R, k] of iid t(N - p) tests whose errors have one residual variance in each data set.

    Parameters
    ----------
    moments : Moments
    within : float64 [S, q, q]
        B_g'B_g.
    residual : float64 [R]
        Variances of the independent parts.
    level : float
    """
    columns = moments.columns
    df = columns.students - len(columns.contrasts)
    scale = np.einsum("rkp,kp->rk", columns.own, columns.contrasts)
    found: Floats = np.empty(scale.shape)
    bound = critical(df, level) ** 2 / df
    _naive(
        moments.cross, within, columns.inverse, columns.own, columns.offsets, residual, df,
        scale, bound, found,
    )  # fmt: skip
    return found


def df_of(columns: Columns, scores: Scores, reference: str) -> Floats:
    """Return the degrees of freedom [R, k] of a reference distribution, inf for the normal."""
    if reference == "z":
        return np.full(columns.own.shape[:2], np.inf)
    if reference == "t":
        return np.repeat(columns.schools[:, None] - 1.0, columns.own.shape[1], axis=1)
    first, q = columns.offsets[:-1], scores.leverage
    # Phi = diag(w_g'q_g) - q M q' with q_g = A_g w_g: its trace, and the sum of its squares.
    alone, shared = (scores.weights * q).sum(axis=2), (scores.shared * q).sum(axis=2)
    products = np.add.reduceat(q[..., :, None] * q[..., None, :], first, axis=0)
    joined = columns.inverse[:, None] @ products
    squares = np.add.reduceat(alone**2 - 2.0 * alone * shared, first, axis=0)
    squares = squares + np.einsum("rkpq,rkqp->rk", joined, joined)
    return np.asarray(np.add.reduceat(alone - shared, first, axis=0) ** 2 / squares)


def critical(df: Floats, level: float) -> Floats:
    """Return the two-sided critical value of t(df), of the normal for df = inf."""
    from scipy import special

    upper = 0.5 * (1.0 + level)
    return np.asarray(np.where(np.isinf(df), special.ndtri(upper), special.stdtrit(df, upper)))


@kernel
def _robust(
    weights: Floats,
    shared: Floats,
    spread: Floats,
    total: Floats,
    own: Floats,
    offsets: Ints,
    bounds: Floats,
    sizes: Floats,
) -> None:
    """Write the sizes [T, R, k] of T tests with f c^2 = `bounds` [T, R, k] that share their scores [S, k, p]."""
    for r in range(len(total)):
        first, last = offsets[r], offsets[r + 1]
        n = last - first + 1
        a, diagonal, beside = np.empty((n, n)), np.empty(n), np.empty(n - 1)
        for j in range(own.shape[1]):
            _products(weights, shared, spread, total[r], own[r, j], first, j, a)
            tridiagonal(a, diagonal, beside)
            for t in range(len(bounds)):
                eta = beside[0] * beside[0]
                sizes[t, r, j] = positive_probability(
                    diagonal[1:],
                    beside[1:],
                    bounds[t, r, j],
                    0.0,
                    0.0,
                    diagonal[0],
                    eta,
                    0.0,
                    -bounds[t, r, j],
                )


@kernel
def _products(
    weights: Floats, shared: Floats, spread: Floats, total: Floats, own: Floats, first: int, j: int, a: Floats
) -> None:
    """Write the lower triangle of P = Cov([a; l_1 .. l_G]'u) [1 + G, 1 + G] of contrast j."""
    p, variance = len(own), 0.0
    common, across = np.empty(p), np.empty(p)
    for h in range(p):
        common[h] = 0.0
        for i in range(p):
            common[h] += own[i] * total[i, h]
        variance += common[h] * own[h]
    a[0, 0] = variance
    for g in range(len(a) - 1):
        s, alone, with_own = first + g, 0.0, 0.0
        c, tw = shared[s, j], spread[s, j]
        for h in range(p):
            alone += tw[h] * weights[s, j, h]
            with_own += tw[h] * own[h] - common[h] * c[h]
            across[h] = -tw[h]
            for i in range(p):
                across[h] += c[i] * total[i, h]
        a[g + 1, 0] = with_own
        for other in range(g + 1):
            d, dw = shared[first + other, j], spread[first + other, j]
            value = 0.0
            for h in range(p):
                value += across[h] * d[h] - c[h] * dw[h]
            a[g + 1, other + 1] = value
        a[g + 1, g + 1] += alone


@kernel
def _naive(
    cross: Floats,
    within: Floats,
    inverse: Floats,
    own: Floats,
    offsets: Ints,
    residual: Floats,
    df: Floats,
    scale: Floats,
    bound: Floats,
    sizes: Floats,
) -> None:
    """Write the sizes [R, k]; the first coordinate is turned to h = B'a, so that C is tridiagonal from there."""
    q = cross.shape[2]
    for r in range(len(df)):
        first, last = offsets[r], offsets[r + 1]
        n = (last - first) * q
        a, diagonal, beside = np.empty((n + 1, n + 1)), np.empty(n + 1), np.empty(n)
        for j in range(own.shape[1]):
            _within_span(cross, within, inverse[r], own[r, j], first, a)
            tridiagonal(a, diagonal, beside)
            eta = beside[0] * beside[0]
            kappa = bound[r] * scale[r, j]
            sizes[r, j] = positive_probability(
                diagonal[1:], beside[1:], kappa, residual[r], df[r] - n, residual[r] * scale[r, j], eta, 1.0,
                kappa * residual[r],
            )  # fmt: skip


@kernel
def _within_span(cross: Floats, within: Floats, inverse: Floats, own: Floats, first: int, a: Floats) -> None:
    """Write the lower triangle of [0 h'; h C], h = B'a and C = B'B - B'X M X'B, to `a` [1 + G q, 1 + G q]."""
    p, q = cross.shape[1:]
    a[0, 0] = 0.0
    half = np.empty(p)
    for row in range(len(a) - 1):
        s, e = first + row // q, row % q
        a[row + 1, 0] = 0.0
        for h in range(p):
            a[row + 1, 0] += cross[s, h, e] * own[h]
            half[h] = 0.0
            for i in range(p):
                half[h] += cross[s, i, e] * inverse[i, h]
        for column in range(row + 1):
            other, f = first + column // q, column % q
            value = within[s, e, f] if s == other else 0.0
            for h in range(p):
                value -= half[h] * cross[other, h, f]
            a[row + 1, column + 1] = value

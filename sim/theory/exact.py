"""Exact size of OLS t-tests under a known covariance: no Monte Carlo in the errors.

For fixed X and Gaussian errors u with Cov(u) = Omega, block-diagonal over schools, a test |b_j / se_j| > c rejects
iff a quadratic form in u is positive, so its probability is Imhof's integral over the eigenvalues of that form.
Only school cross-products enter: with M = (X'X)^-1, A_g = X_g'X_g and T_g = X_g'Omega_g X_g,

- b_j = a'u with a = X m_j, Var(b_j) = m_j' (sum_g T_g) m_j;
- a cluster-robust variance is k sum_g (l_g'u)^2 with l_g = b_g - X c_g, b_g = X_g w_g in school g, c_g = M A_g w_g,
  where w_g = m_j for CR0 and CR1, and with M = L L', eigenvalues lam and vectors V of L'A_g L,
  w_g = L V (1 - lam)^(-1/2) V' L' e_j for CR2, the power -1 for CR3;
- the iid variance is M_jj u'(I - X M X')u / (N - p).

Sources: Imhof 1961; Bell & McCaffrey 2002 for CR2 and its degrees of freedom (tr Phi)^2 / tr(Phi^2), Phi = L L'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nestbench.sim.observed.batch import Floats, Ints
from nestbench.sim.theory.imhof import positive_probability

POWERS = {"cr0": 0.0, "cr1s": 0.0, "cr2": -0.5, "cr3": -1.0}


@dataclass(frozen=True, slots=True, eq=False)
class Errors:
    """Cross-products of one data set's X with its error covariance Omega_g = D_g + B_g B_g'.

    Attributes
    ----------
    gram : float64 [G, p, p]
        X_g'X_g.
    spread : float64 [G, p, p]
        X_g'Omega_g X_g.
    joint : float64 [G, p + q, p + q]
        W_g'W_g of W_g = [X_g B_g].
    residual : float64 [G] or None
        Residual variance of each school; None where it varies within schools (then the iid test isn't known).
    sizes : int64 [G]
        Students.
    """

    gram: Floats
    spread: Floats
    joint: Floats
    residual: Floats | None
    sizes: Ints


@dataclass(frozen=True, slots=True)
class Exact:
    """What is exactly known of one test: expected variance, true variance, size, degrees of freedom."""

    expected_variance: float
    variance: float
    size: float
    df: float


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """The quadratic forms of the tests of k terms: S Omega S' for S = [a; l_1 .. l_G].

    Attributes
    ----------
    half : float64 [k, 1 + G, 1 + G]
        H with S Omega S' = H H'.
    variance, expected, df : float64 [k]
        Var(b_j), the expectation of its cluster-robust variance without a factor, Bell-McCaffrey degrees of freedom.
    """

    half: Floats
    variance: Floats
    expected: Floats
    df: Floats


def errors_of(
    x: Floats, factors: Floats, variance: Floats, offsets: Ints, unit: Floats | None = None
) -> Errors:
    """Return the cross-products of X [p, N] with Omega = diag(variance) + B B' by school, B' = `factors` [q, N].

    Parameters
    ----------
    x : float64 [p, N]
        Columns of X for one data set.
    factors : float64 [q, N]
        B', the random effects' columns times their SDs.
    variance : float64 [N]
        Of the independent parts.
    offsets : int64 [G + 1]
        First row of each school.
    unit : float64 [N], optional
        The column of 1, where rows aren't students (`nestbench.sim.theory.rows`).
    """
    starts = offsets[:-1]
    w = np.concatenate([x, factors])
    joint = np.add.reduceat(w[:, None, :] * w[None, :, :], starts, axis=2).transpose(2, 0, 1)
    p = len(x)
    noise = np.add.reduceat(x[:, None, :] * (x * variance)[None, :, :], starts, axis=2).transpose(2, 0, 1)
    cross = joint[:, :p, p:]
    low, high = np.minimum.reduceat(variance, starts), np.maximum.reduceat(variance, starts)
    return Errors(
        gram=joint[:, :p, :p],
        spread=noise + cross @ cross.transpose(0, 2, 1),
        joint=joint,
        residual=low if np.allclose(low, high, rtol=1e-12) else None,
        sizes=np.diff(offsets)
        if unit is None
        else np.rint(np.add.reduceat(unit**2, starts)).astype(np.int64),
    )


def robust_test(errors: Errors, term: int, kind: str, reference: str, level: float) -> Exact:
    """Return what is known of a cluster-robust t-test of coefficient `term`.

    Parameters
    ----------
    kind : {"cr0", "cr1s", "cr2", "cr3"}
        CR1S has the factor G/(G-1) (N-1)/(N-p).
    reference : {"z", "t", "satt"}
        Normal, t(G - 1), or t with Bell-McCaffrey degrees of freedom.
    """
    unit = np.eye(errors.gram.shape[1])[[term]]
    return robust_tests(errors, [(kind, reference)], level, unit)[0][0]


def robust_tests(
    errors: Errors, tests: Sequence[tuple[str, str]], level: float, contrasts: Floats
) -> list[list[Exact]]:
    """Return `robust_test` of each (kind, reference) and each row of `contrasts` [k, p] of the coefficients.

    Parameters
    ----------
    errors : Errors
    tests : sequence of (kind, reference)
        E.g. ``("CR1S", "t")``.
    level : float
        Of the intervals.
    contrasts : float64 [k, p]

    Returns
    -------
    list of list of Exact
        A list a contrast; the eigenvalues behind them are computed once for all tests.
    """
    m = np.linalg.inv(errors.gram.sum(axis=0))
    forms = {power: _forms(errors, m, contrasts, power) for power in {POWERS[kind] for kind, _ in tests}}
    return [_tests_of_form(errors, forms[POWERS[kind]], kind, reference, level) for kind, reference in tests]


def _tests_of_form(errors: Errors, form: Form, kind: str, reference: str, level: float) -> list[Exact]:
    schools, p, n = len(errors.gram), errors.gram.shape[1], int(errors.sizes.sum())
    factor = schools / (schools - 1) * (n - 1) / (n - p) if kind == "cr1s" else 1.0
    df = {"z": np.full_like(form.df, np.inf), "t": np.full_like(form.df, schools - 1.0), "satt": form.df}[
        reference
    ]
    signs = np.repeat((-factor * _critical(df, level) ** 2)[:, None], schools + 1, axis=1)
    signs[:, 0] = 1.0
    # The form D S Omega S' isn't symmetric; with S Omega S' = H H' its eigenvalues are those of H'D H, which is.
    values = np.linalg.eigvalsh(form.half.transpose(0, 2, 1) @ (signs[:, :, None] * form.half))
    return [
        Exact(
            factor * float(form.expected[k]), float(form.variance[k]), positive_probability(v), float(df[k])
        )
        for k, v in enumerate(values)
    ]


def has_cr3(errors: Errors) -> bool:
    """Whether every (I - H_gg)^-1 exists: leaving out any one school leaves every coefficient estimable."""
    m = np.linalg.inv(errors.gram.sum(axis=0))
    # M A_g is similar to a symmetric matrix: imaginary parts are rounding.
    return bool((np.linalg.eigvals(m @ errors.gram).real < 1.0 - 1e-9).all())


def naive_test(errors: Errors, term: int, level: float) -> Exact | None:
    """Return what is known of the iid t(N - p) test, or None where residual variances differ within schools.

    ``t^2 > c^2`` is the event that an indefinite quadratic form in independent normals is positive, whose probability
    `imhof` computes.
    """
    tests = naive_tests(errors, level, np.eye(errors.gram.shape[1])[[term]])
    return None if tests is None else tests[0]


def naive_tests(errors: Errors, level: float, contrasts: Floats) -> list[Exact] | None:
    """Return `naive_test` of each row of `contrasts` [k, p] of the coefficients."""
    if errors.residual is None:
        return None
    n, p = int(errors.sizes.sum()), errors.gram.shape[1]
    m = np.linalg.inv(errors.gram.sum(axis=0))
    same = bool(np.ptp(errors.residual) <= 1e-12 * errors.residual.max())
    x, half, outside, noise = (_whole_span if same else _school_spans)(errors, errors.residual, p)
    projected = half.T @ x
    inner = half.T @ half - projected @ m @ projected.T
    spread, c2 = float(np.trace(inner) + (outside * noise).sum()), float(_critical(n - p, level)) ** 2
    tests = []
    for contrast in contrasts:
        a, scale = projected @ m @ contrast, float(contrast @ m @ contrast) / (n - p)
        # t^2 > c^2 as one quadratic form.
        values = np.linalg.eigvalsh(np.outer(a, a) - c2 * scale * inner)
        weights = np.concatenate([values, -c2 * scale * noise])
        size = positive_probability(weights, np.concatenate([np.ones(len(values)), outside]))
        tests.append(Exact(scale * spread, float(a @ a), size, float(n - p)))
    return tests


Span = tuple[Floats, Floats, Floats, Floats]
"""Q'X and H with H H' = Cov(Q'u) for an orthonormal basis Q of all columns of X and B; how many dimensions lie
outside the span of Q, and their variance: there u is white."""


def _whole_span(errors: Errors, residual: Floats, p: int) -> Span:
    """One basis of [X, B_1, .., B_G]: residual variances equal in all schools."""
    g, q = len(errors.gram), errors.joint.shape[1] - p
    joint = np.zeros((p + g * q, p + g * q))
    joint[:p, :p] = errors.gram.sum(axis=0)
    for s, cross in enumerate(errors.joint):
        own = slice(p + s * q, p + (s + 1) * q)
        joint[own, own], joint[:p, own], joint[own, :p] = cross[p:, p:], cross[:p, p:], cross[p:, :p]
    root = _square_root(joint)
    half = _covariance_root(root[:, p:], residual[0])
    return root[:, :p], half, np.array([float(errors.sizes.sum() - len(root))]), residual[:1]


def _school_spans(errors: Errors, residual: Floats, p: int) -> Span:
    """A basis of [X_g, B_g] in each school: residual variances differ between schools."""
    from scipy.linalg import block_diag

    roots = [_square_root(joint) for joint in errors.joint]
    half = block_diag(*[_covariance_root(r[:, p:], d) for r, d in zip(roots, residual, strict=True)])
    outside = np.array([n - len(root) for n, root in zip(errors.sizes, roots, strict=True)], dtype=np.float64)
    return np.concatenate([root[:, :p] for root in roots]), half, outside, residual


def _critical(df: Floats | float, level: float) -> Floats:
    from scipy import special

    upper = 0.5 * (1.0 + level)
    return np.where(np.isinf(df), special.ndtri(upper), special.stdtrit(df, upper))


def _forms(errors: Errors, m: Floats, contrasts: Floats, power: float) -> Form:
    """Return what tests of some contrasts share that adjust their scores by (1 - lam)^`power`."""
    weights = _weights(errors.gram, m, contrasts, power)
    phi = _score_products(errors.gram, errors.gram, m, weights)[:, 1:, 1:]
    products = _score_products(errors.gram, errors.spread, m, weights, m @ contrasts.T)
    values, vectors = np.linalg.eigh(products)
    return Form(
        # Eigenvalues of 0 come out a rounding error below it.
        half=vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :],
        variance=products[:, 0, 0],
        expected=np.trace(products[:, 1:, 1:], axis1=1, axis2=2),
        df=np.trace(phi, axis1=1, axis2=2) ** 2 / (phi**2).sum(axis=(1, 2)),
    )


def _weights(gram: Floats, m: Floats, contrasts: Floats, power: float) -> Floats:
    """Return w_g [k, G, p] of k contrasts: the adjustment acts on the column space of X_g."""
    if power == 0.0:
        return np.repeat((contrasts @ m)[:, None, :], len(gram), axis=1)
    root = np.linalg.cholesky(m)
    values, vectors = np.linalg.eigh(root.T @ gram @ root)
    rest = 1.0 - values
    powered = np.where(rest > 1e-10, np.where(rest > 1e-10, rest, 1.0) ** power, 0.0)
    coordinates = vectors.transpose(0, 2, 1) @ (contrasts @ root)[:, None, :, None]
    adjusted: Floats = (vectors @ (powered[..., None] * coordinates))[..., 0] @ root.T
    return adjusted


def _score_products(
    gram: Floats, spread: Floats, m: Floats, weights: Floats, own: Floats | None = None
) -> Floats:
    """Return S Omega S' [k, 1 + G, 1 + G] of k terms, S = [a; l_1 .. l_G], X_g'Omega_g X_g = `spread`.

    `own` [p, k] is M times the contrasts; a = 0 without it.
    """
    total = spread.sum(axis=0)
    c = ((m @ gram) @ weights[..., None])[..., 0]
    tw = (spread @ weights[..., None])[..., 0]
    crossed = tw @ c.transpose(0, 2, 1)
    products = np.zeros((len(weights), len(gram) + 1, len(gram) + 1))
    schools = np.arange(1, len(gram) + 1)
    products[:, 1:, 1:] = c @ total @ c.transpose(0, 2, 1) - crossed - crossed.transpose(0, 2, 1)
    products[:, schools, schools] += (tw * weights).sum(axis=2)
    if own is not None:
        products[:, 0, 0] = ((total @ own) * own).sum(axis=0)
        products[:, 0, 1:] = products[:, 1:, 0] = ((tw - c @ total) @ own.T[:, :, None])[..., 0]
    return products


def _square_root(joint: Floats) -> Floats:
    """Return Q'W [r, columns] for an orthonormal basis Q of the r-dimensional span of W, from W'W."""
    values, vectors = np.linalg.eigh(joint)
    kept = values > 1e-12 * max(values[-1], 1e-300)
    return np.asarray((np.sqrt(values[kept]) * vectors[:, kept]).T, dtype=np.float64)


def _covariance_root(b: Floats, noise: float) -> Floats:
    """Return H with H H' = noise I + b b'."""
    return np.asarray(np.linalg.cholesky(noise * np.eye(len(b)) + b @ b.T), dtype=np.float64)

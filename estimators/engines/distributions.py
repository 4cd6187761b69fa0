"""Reference distributions of cluster-robust tests, chosen apart from the variance: the option `reference`.

========================  ================================================================================
``"z"``                   the normal distribution
``"t(G-1)"``              t with G - 1 degrees of freedom
``"t(G-p)"``              t with G - p, p the coefficients that are estimated; none where G <= p
``"satterthwaite"``       t with the degrees of freedom per term of that variance's own quadratic form
========================  ================================================================================

Every variance here is a quadratic form ``V = y'Qy = sum_g psi_g^2`` (the jackknife's about the mean of the psi_g) with
``psi_g = c'M X_g'A_g [(I - H) y]_g``: A_g = I for CR0 and CR1, (I - H_gg)^(-1/2) for CR2, (I - H_gg)^-1 for CR3 and the
jackknife. Under the working model of iid errors E V = sigma^2 tr Q and Var V = 2 sigma^4 tr Q^2, and chi-square with

    df = 2 (E V)^2 / Var V = tr(Q)^2 / tr(Q^2)

has the same ratio. With Omega_gh = cov(psi_g, psi_h) the traces are those of Omega, G x G.

Sources: Satterthwaite 1946; Bell & McCaffrey 2002; Pustejovsky & Tipton 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from nestbench.estimators.engines.ols_batched import BatchOls, Mask, Variance
from nestbench.estimators.engines.reference import DataSet
from nestbench.estimators.estimates import Estimates
from nestbench.estimators.estimator import Engine, Estimator, Info, Options
from nestbench.estimators.kernels.working_df import working_df
from nestbench.sim.observed.batch import Batch, Floats
from nestbench.sim.observed.model import Model

CHOICES = ("z", "t(G-1)", "t(G-p)", "satterthwaite")
BESIDE_DUMMIES = ("z", "t(G-1)", "satterthwaite")
"""Without t(G-p): a dummy a school makes p larger than G."""

_WORDS = {
    "z": ("z", "normal reference", "inf (z)"),
    "t(G-1)": ("t", "t(G - 1)", "G - 1"),
    "t(G-p)": ("t(G - p)", "t(G - p)", "G - p"),
    "satterthwaite": (
        "Satterthwaite",
        "Satterthwaite degrees of freedom for every term",
        "per term (Satterthwaite)",
    ),
}
"""Of each choice the end of a label, words for a summary, and the degrees of freedom."""

DF = {
    "z": r"\nu = \infty",
    "t(G-1)": r"\nu = G - 1",
    "t(G-p)": r"\nu = G - p",
    "satterthwaite": r"\nu_j = \frac{(\operatorname{tr}\Omega)^2}{\operatorname{tr}(\Omega^2)}, \quad "
    r"\Omega_{gh} = L_g L_h^\top, \quad L_g = c_j^\top M X_g^\top A_g (I - H)_g",
}
"""Degrees of freedom of each choice in LaTeX, the last line of a method's formula."""

SINGULAR = 1e-9
"""Eigenvalues of I - H_gg below this are zeros."""


def df_of(data: DataSet, satterthwaite: Callable[[], Floats]) -> float | Floats:
    """Return the degrees of freedom that the option `reference` asks for."""
    g = data.schools
    reference = data.options["reference"]
    if reference == "satterthwaite":
        return satterthwaite()
    return {"z": np.inf, "t(G-1)": g - 1.0, "t(G-p)": float(g - data.x.shape[1])}[reference]


def dense_df(data: DataSet, back: Floats, power: float, *, centred: bool = False) -> Floats:
    """Return the Satterthwaite df of the terms ``back @ beta`` for A_g = (I - H_gg)^-power."""
    return satterthwaite_df(influence(data, back, power), centred=centred)


def influence(data: DataSet, back: Floats, power: float) -> Floats:
    """Return rows L_g of all terms with psi_g = L_g y [G, K, n].

    Parameters
    ----------
    data : DataSet
    back : float64 [K, p]
        From the inner coefficients to those of the terms.
    power : float
        Of I - H_gg, as in `dense_df`.
    """
    q, r = np.linalg.qr(data.x)
    weights = back @ np.linalg.solve(r, np.eye(len(r))) @ q.T
    rows = np.zeros((data.schools, *weights.shape))
    for g, (start, size) in enumerate(zip(data.starts, data.sizes, strict=True)):
        own = slice(start, start + size)
        adjusted = weights[:, own]
        if power:
            adjusted = adjusted_by(adjusted, q[own], power)
        rows[g] = -(adjusted @ q[own]) @ q.T
        rows[g][:, own] += adjusted
    return rows


def satterthwaite_df(rows: Floats, *, centred: bool = False) -> Floats:
    """Return tr(Omega)^2 / tr(Omega^2) [K] of rows [G, K, n]; `centred` for squares about the mean over schools."""
    if centred:
        rows = rows - rows.mean(axis=0)
    omega = np.einsum("gki,hki->kgh", rows, rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.einsum("kgg->k", omega) ** 2 / np.einsum("kgh,kgh->k", omega, omega))


def adjusted_by(rows: Floats, q: Floats, power: float) -> Floats:
    """Return rows (I - QQ')^-power [K, n], the symmetric Moore-Penrose power, for a school's Q [n, p] of orthonormal
    columns over all schools.

    By the singular values s of Q: I - QQ' has the eigenvalues 1 - s^2 and, n - p times, 1. Written out it is n x n: of
    a school of 10 000 students 800 MB.
    """
    u, s, _ = np.linalg.svd(q, full_matrices=False)
    left = 1.0 - s**2
    kept = left > SINGULAR
    scale = np.zeros(len(left))
    scale[kept] = 1.0 / np.sqrt(left[kept]) if power == 0.5 else left[kept] ** -power
    return np.asarray(rows + (rows @ u) * (scale - 1.0) @ u.T)


def normal(variance: Variance) -> Variance:
    """The variance with the normal distribution."""
    return _with_df(variance, lambda fit: np.full((1, 1), np.inf))


def schools_less_one(variance: Variance) -> Variance:
    """The variance with t(G - 1)."""
    return _with_df(variance, lambda fit: fit.schools[:, None] - 1.0)


def schools_less_terms(variance: Variance) -> Variance:
    """The variance with t(G - p); where G <= p it is left to the reference engine, which says so."""
    return _with_df(variance, lambda fit: (fit.schools - (fit.observations - fit.residual_df))[:, None])


def _with_df(variance: Variance, df: Callable[[BatchOls], Floats]) -> Variance:
    def changed(fit: BatchOls) -> tuple[Floats, Floats, Mask]:
        values, _, regular = variance(fit)
        chosen = df(fit)
        return values, chosen, regular & (chosen > 0).all(axis=1)

    return changed


def working(variance: Variance, *, inverted: bool = False, centred: bool = False) -> Variance:
    """The variance with its own Satterthwaite df: CR0 and CR1, CR3 (inverted), the jackknife (centred, too)."""

    def changed(fit: BatchOls) -> tuple[Floats, Floats, Mask]:
        values, _, regular = variance(fit)
        df, regular, m = np.empty_like(values), regular.copy(), fit.moments
        working_df(
            fit.cross, m.replication_offsets, m.x, m.contrasts, fit.lower, inverted, centred, df, regular
        )
        return values, df, regular

    return changed


def batched_engine(
    engine_of: Callable[[Variance, Engine], Engine],
    variance: Variance,
    satterthwaite: Variance,
    reference: Engine,
) -> Engine:
    """Return the batched engine of a variance that has the option `reference`.

    Parameters
    ----------
    engine_of : callable
        `ols_batched.pooled_engine` or `within_engine`.
    variance : Variance
        Its degrees of freedom are replaced.
    satterthwaite : Variance
        The same values with their Satterthwaite degrees of freedom.
    reference : Engine
    """
    engines = {
        "z": engine_of(normal(variance), reference),
        "t(G-1)": engine_of(schools_less_one(variance), reference),
        "t(G-p)": engine_of(schools_less_terms(variance), reference),
        "satterthwaite": engine_of(satterthwaite, reference),
    }

    def engine(batch: Batch, model: Model, options: Options) -> Estimates:
        return engines[options["reference"]](batch, model, options)

    return engine


def with_reference(
    estimator: Estimator,
    default: str,
    label: str,
    words: str,
    among: tuple[str, ...] = CHOICES,
    assumes: str | None = None,
) -> Estimator:
    """Return the method with the option `reference`.

    Parameters
    ----------
    estimator : Estimator
        Its engines read the option.
    default : str
        What its name says.
    label, words : str
        The method and its variance, without a reference distribution.
    among : tuple of str
        The choices it has.
    assumes : str, optional
        What must hold under another distribution, if that isn't the same.
    """
    info = estimator.info

    def described(options: Mapping[str, object]) -> Info:
        reference = str(options["reference"])
        if reference == default:
            return info
        end, summary, df = _WORDS[reference]
        source = f"{info.source}; Pustejovsky & Tipton 2018" if reference == "satterthwaite" else info.source
        formula = tuple(DF[reference] if line == DF[default] else line for line in info.formula)
        return Info(f"{label} {end}", f"{words}, {summary}", assumes or info.assumes, df, source, formula)

    return replace(
        estimator,
        options={**estimator.options, "reference": default},
        choices={**estimator.choices, "reference": among},
        described=described,
    )

"""CR2 with Bell-McCaffrey degrees of freedom, by the textbook: the reference of the fast engine.

``V = M [sum_g X_g'A_g e_g e_g'A_g X_g] M`` with ``A_g = (I - H_gg)^(-1/2)``, the symmetric root: unbiased when errors
are iid (the identity working model). For a term with contrast c, ``L_g = c'M X_g'A_g (I - H)_g`` makes the variance
``sum_g (L_g y)^2``; with Omega_gh = L_g L_h' the degrees of freedom are ``tr(Omega)^2 / tr(Omega^2)``. Where I - H_gg
is singular (a school alone identifies a direction, or school dummies) A_g is the Moore-Penrose root.

Sources: Bell & McCaffrey 2002; Imbens & Kolesar 2016; Pustejovsky & Tipton 2018.
"""

from __future__ import annotations

import numpy as np

from nestbench.estimators.engines import ols_batched
from nestbench.estimators.engines.cluster_robust import require_schools, sandwich_answer
from nestbench.estimators.engines.distributions import (
    BESIDE_DUMMIES,
    DF,
    batched_engine,
    df_of,
    influence,
    satterthwaite_df,
    with_reference,
)
from nestbench.estimators.engines.least_squares import LEAST_SQUARES, require_residuals
from nestbench.estimators.engines.reference import Answer, CannotFit, DataSet, reference_engine
from nestbench.estimators.engines.school_dummies import ABSORBED, student_level, with_dummies
from nestbench.estimators.estimator import Agreement, Estimator, Info
from nestbench.sim.observed.batch import Floats


def fit_cr2(data: DataSet) -> Answer:
    """Pooled OLS with CR2, Satterthwaite degrees of freedom per term unless asked otherwise."""
    require_schools(data)
    inner, back, shift = data.standardised()
    estimate, std_error, naive, df, _ = dense_cr2(inner, data.y, back)
    return sandwich_answer(data.terms, estimate + shift, std_error, naive, df_of(data, lambda: df))


def fit_dummies_cr2(data: DataSet) -> Answer:
    """Least squares with school dummies and CR2, Satterthwaite degrees of freedom unless asked otherwise."""
    require_schools(data)
    inner, back = with_dummies(data)
    estimate, std_error, naive, df, sigma = dense_cr2(inner, data.y, back)
    return sandwich_answer(data.terms, estimate, std_error, naive, df_of(data, lambda: df), residual_sd=sigma)


def dense_cr2(data: DataSet, outcome: Floats, back: Floats) -> tuple[Floats, Floats, Floats, Floats, float]:
    """Return (estimate, std_error, iid SE, df) of the terms ``back @ beta``, and sigma, by the rows L_g.

    `outcome` is y before it was centred.
    """
    x = data.x
    n, p = x.shape
    if n <= p:
        raise CannotFit(f"no residual degrees of freedom: {n} observations, {p} coefficients")
    q, r = np.linalg.qr(x)
    beta = np.linalg.solve(r, q.T @ data.y)
    residuals = data.y - x @ beta
    require_residuals(residuals, outcome)
    rows = influence(data, back, 0.5)
    psi = rows @ data.y
    sigma = float(np.sqrt(residuals @ residuals / (n - p)))
    naive = sigma * np.sqrt(((back @ np.linalg.solve(r, np.eye(p))) ** 2).sum(axis=1))
    return back @ beta, np.sqrt((psi**2).sum(axis=0)), naive, satterthwaite_df(rows), sigma


ADJUSTED = (
    r"\operatorname{Var}(\hat\beta) = M \left[\sum_g X_g^\top A_g e_g e_g^\top A_g X_g\right] M, "
    r"\quad A_g = (I - H_{gg})^{-1/2}"
)

_POOLED = reference_engine(fit_cr2)
_DUMMIES = reference_engine(fit_dummies_cr2, quantities=("(residual_sd)",), screen=student_level)

CR2_SATT = with_reference(
    Estimator(
        name="ols-cr2-satt",
        version=1,
        info=Info(
            label="OLS CR2 Satterthwaite",
            summary="Bell-McCaffrey bias-reduced cluster sandwich, Satterthwaite degrees of freedom for every term",
            assumes="schools independent of each other; holds with few schools, conservative with very few treated",
            df="per term (Satterthwaite)",
            source="Bell & McCaffrey 2002; Imbens & Kolesar 2016; Pustejovsky & Tipton 2018",
            formula=(LEAST_SQUARES, ADJUSTED, DF["satterthwaite"]),
        ),
        reference=_POOLED,
        batched=batched_engine(ols_batched.pooled_engine, ols_batched.cr2, ols_batched.cr2, _POOLED),
        agreement=Agreement.DIRECT,
        theory=("ols", "cr2-satt"),
    ),
    "satterthwaite",
    "OLS CR2",
    "Bell-McCaffrey bias-reduced cluster sandwich",
    assumes="schools independent of each other; many schools",
)
DUMMIES_CR2_SATT = with_reference(
    Estimator(
        name="dummies-cr2-satt",
        version=1,
        info=Info(
            label="School dummies CR2 Satterthwaite",
            summary="school dummies with the bias-reduced cluster sandwich and Satterthwaite degrees of freedom",
            assumes="schools independent of each other; says nothing on school-level terms",
            df="per term (Satterthwaite)",
            source="Pustejovsky & Tipton 2018",
            formula=(*ABSORBED, ADJUSTED, DF["satterthwaite"]),
        ),
        reference=_DUMMIES,
        batched=batched_engine(ols_batched.within_engine, ols_batched.cr2, ols_batched.cr2, _DUMMIES),
        agreement=Agreement.DIRECT,
    ),
    "satterthwaite",
    "School dummies CR2",
    "school dummies with the bias-reduced cluster sandwich",
    BESIDE_DUMMIES,
)

"""Mixed models fitted exactly: one REML or ML optimum, and the ways of judging its coefficients.

Status BOUNDARY says that the school variance is estimated at zero: the coefficients are then those of pooled OLS. The
methods differ in what they make of it: Satterthwaite's df become N - p there, Kenward-Roger's stay near the schools'.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import numpy as np
import numpy.typing as npt

from nestbench.estimators.engines import mixed_reference
from nestbench.estimators.engines.at_theta import at_theta
from nestbench.estimators.engines.mixed_fit import (
    BatchFit,
    columns_of,
    estimates_of,
    fit_of,
    plain_errors,
    school_level,
)
from nestbench.estimators.engines.mixed_reference import statsmodels_engine, textbook_engine
from nestbench.estimators.engines.mixed_textbook import GLS, ML, MODEL_BASED, REML
from nestbench.estimators.engines.splice import leave_to
from nestbench.estimators.estimates import Estimates
from nestbench.estimators.estimator import Agreement, Engine, Estimator, Info, Options
from nestbench.estimators.honoured import RandomPart
from nestbench.estimators.kernels import cr2_gls, kenward_roger_slopes
from nestbench.estimators.kernels import kenward_roger as kenward_roger_kernel
from nestbench.estimators.kernels.satterthwaite import satterthwaite as satterthwaite_kernel
from nestbench.sim.observed.batch import Batch, Floats
from nestbench.sim.observed.model import Model

Inference = Callable[[BatchFit], tuple[Floats, Floats]]
"""Standard errors and df [R, K] after a fit."""

OPTIONS: Options = {"covariance": "full"}
"""`covariance`: of random intercept and slopes, ``full`` (correlated) or ``diagonal``."""


def batched_engine(inference: Inference, reference: Engine, restricted: bool = True) -> Engine:
    """Return the fast engine of a method: the shared fit, then `inference`; irregular data go to the reference."""

    def engine(batch: Batch, model: Model, options: Options) -> Estimates:
        started = perf_counter()
        fit = batch.once(fit_of, model, restricted, options["covariance"])
        std_error, df = inference(fit)
        estimates = estimates_of(batch, model, fit, std_error, df, started)
        irregular = np.flatnonzero(~fit.moments.regular | _saturated(fit))
        return leave_to(reference, estimates, irregular, batch, model, options)

    return engine


def _saturated(fit: BatchFit) -> npt.NDArray[np.bool_]:
    """Whether schools and student-level terms fit any outcome exactly [R]: the reference refuses, in its words.

    Then nothing but the shape of the likelihood between schools speaks of the residual variance.
    """
    offsets = fit.moments.replication_offsets
    within = np.add.reduceat(fit.moments.cross[:, 0, 0], offsets[:-1]) - np.diff(offsets)
    if (within > len(fit.moments.x)).all():
        return np.zeros(len(within), dtype=np.bool_)
    return np.asarray(within <= (~fit.batch.once(school_level, fit.model)).sum(axis=1))


def wald_z(fit: BatchFit) -> tuple[Floats, Floats]:
    """Return sigma sqrt(diag C) and df = inf."""
    std_error = plain_errors(fit)
    return std_error, np.full_like(std_error, np.inf)


def between_within(fit: BatchFit) -> tuple[Floats, Floats]:
    """Return plain standard errors; G - p_school df for columns constant in schools, N - G - p_student for others."""
    constant = fit.batch.once(school_level, fit.model)
    schools = np.diff(fit.moments.replication_offsets)
    school = schools - constant.sum(axis=1)
    student = fit.fits.students - schools - (~constant).sum(axis=1)
    df = np.where(constant, school[:, None], student[:, None])
    return plain_errors(fit), np.where(df > 0, df, np.nan)


def satterthwaite(fit: BatchFit) -> tuple[Floats, Floats]:
    """Return plain standard errors and Satterthwaite df."""
    df = np.full_like(fit.estimate, np.nan)
    fits = fit.fits
    satterthwaite_kernel(
        fit.moments.contrasts, fits.unscaled, fits.curvature, fits.tilt, fits.spread, fits.nu, df
    )
    return plain_errors(fit), df


def kenward_roger(fit: BatchFit) -> tuple[Floats, Floats]:
    """Return Kenward-Roger's adjusted standard errors and df."""
    moments, fits = fit.moments, fit.fits
    adjusted, df = np.full_like(fit.estimate, np.nan), np.full_like(fit.estimate, np.nan)
    if fit.intercept_only:
        kenward_roger_kernel.random_intercept(
            moments.cross,
            moments.replication_offsets,
            moments.x,
            moments.contrasts,
            fits.theta,
            fits.unscaled,
            adjusted,
            df,
        )
    else:
        kenward_roger_slopes.random_slopes(
            moments.cross,
            moments.replication_offsets,
            moments.x,
            moments.z,
            *fit.part.arrays,
            moments.contrasts,
            fits,
            adjusted,
            df,
        )
    with np.errstate(invalid="ignore"):
        return np.sqrt(adjusted * fits.sigma2[:, None]), df


def cr2(fit: BatchFit) -> tuple[Floats, Floats]:
    """Return CR2 standard errors of the GLS fit and their Satterthwaite df."""
    moments, fits = fit.moments, fit.fits
    variance, df = np.full_like(fit.estimate, np.nan), np.full_like(fit.estimate, np.nan)
    cr2_gls.cr2(
        moments.cross,
        moments.replication_offsets,
        columns_of(moments),
        moments.z,
        *fit.part.arrays,
        moments.contrasts,
        fits,
        variance,
        df,
    )
    return np.sqrt(variance), df


def method(
    name: str,
    info: Info,
    inference: Inference,
    reference: Engine,
    agreement: Agreement,
    restricted: bool = True,
) -> Estimator:
    """Return a method with both engines."""
    fast = batched_engine(inference, reference, restricted)
    there = at_theta(restricted) if agreement is Agreement.IMPLICIT else None
    return Estimator(
        name,
        2,
        info,
        reference,
        fast,
        agreement,
        OPTIONS,
        random=RandomPart.ANY,
        at_theta=there,
        theory=("likelihood",),
    )


SATTERTHWAITE = (
    r"\nu_j = \frac{2 v_j^2}{g_j^\top A\, g_j}, \quad v_j = \hat\sigma^2 C_{jj}, \quad "
    r"g_j = \frac{\partial v_j}{\partial(\theta, \sigma)}, \quad A = 2 \left[\frac{\partial^2 (-2\ell)}"
    r"{\partial(\theta, \sigma)\, \partial(\theta, \sigma)^\top}\right]^{-1}"
)
KENWARD_ROGER = (
    r"\operatorname{Var}(\hat\beta) = \hat\sigma^2 \left(C + 2 C \left[\sum_{ik} W_{ik} (Q_{ik} - P_i C P_k)\right] "
    r"C\right)",
    r"P_i = -X^\top V^{-1} G_i V^{-1} X, \quad Q_{ik} = X^\top V^{-1} G_i V^{-1} G_k V^{-1} X, "
    r"\quad V = \sum_i \gamma_i G_i",
    r"(W^{-1})_{ik} = \frac{1}{2} \operatorname{tr}(V^{-1} G_i V^{-1} G_k) - \operatorname{tr}(C Q_{ik}) "
    r"+ \frac{1}{2} \operatorname{tr}(C P_i C P_k)",
    r"\nu_j = \frac{2}{a^\top W a}, \quad a_i = \frac{c_j^\top C P_i C c_j}{c_j^\top C c_j}",
)
CR2 = (
    r"\operatorname{Var}(\hat\beta) = C \left[\sum_g X_g^\top V_g^{-1} A_g e_g e_g^\top A_g V_g^{-1} X_g\right] C",
    r"A_g R_g A_g = V_g, \quad R_g = V_g - X_g C X_g^\top",
    r"\nu_j = \frac{(\operatorname{tr}P)^2}{\operatorname{tr}(P^2)}, \quad P_{gh} = [g = h]\, m_g^\top V_g m_g "
    r"- m_g^\top X_g C X_h^\top m_h, \quad m_g^\top = c_j^\top C X_g^\top V_g^{-1} A_g",
)
WALD = r"\nu = \infty"

NORMAL = "normal school effects and errors of equal variance, schools independent of the covariates"

REML_Z = method(
    "reml-z",
    Info(
        label="REML z",
        summary="random school effects at the exact REML optimum, Wald z with sigma^2 (X'V^-1X)^-1",
        assumes=f"{NORMAL}; many schools",
        df="inf (z)",
        source="Patterson & Thompson 1971; Pinheiro & Bates 2000",
        formula=(*GLS, REML, MODEL_BASED, WALD),
    ),
    wald_z,
    statsmodels_engine(True),
    Agreement.IMPLICIT,
)
ML_Z = method(
    "ml-z",
    Info(
        label="ML z",
        summary="the same at the exact maximum of the likelihood, whose variances are too small with few schools",
        assumes=f"{NORMAL}; many schools",
        df="inf (z)",
        source="Pinheiro & Bates 2000",
        formula=(*GLS, ML, MODEL_BASED, WALD),
    ),
    wald_z,
    statsmodels_engine(False),
    Agreement.IMPLICIT,
    restricted=False,
)
REML_BW = method(
    "reml-bw",
    Info(
        label="REML between-within",
        summary="REML with t tests whose df are counted: by schools for school-level terms, by students for others",
        assumes=f"{NORMAL}; about equal schools",
        df="G - p_school or N - G - p_student, per term",
        source="Schluchter & Elashoff 1990; Pinheiro & Bates 2000",
        formula=(
            *GLS,
            REML,
            MODEL_BASED,
            r"\nu_j = G - p_{\text{school}} \text{ for columns constant within schools}",
            r"\nu_j = N - G - p_{\text{student}} \text{ for the others}",
        ),
    ),
    between_within,
    textbook_engine(mixed_reference.between_within),
    Agreement.DIRECT,
)
REML_SATT = method(
    "reml-satt",
    Info(
        label="REML Satterthwaite",
        summary="REML with Satterthwaite df from the observed information in (theta, sigma), as lmerTest",
        assumes=f"{NORMAL}",
        df="per term (Satterthwaite); N - p where the school variance is estimated at 0",
        source="Giesbrecht & Burns 1985; Kuznetsova et al. 2017",
        formula=(*GLS, REML, MODEL_BASED, SATTERTHWAITE),
    ),
    satterthwaite,
    textbook_engine(mixed_reference.satterthwaite),
    Agreement.DIRECT,
)
REML_KR = method(
    "reml-kr",
    Info(
        label="REML Kenward-Roger",
        summary="REML with the adjusted covariance and df of Kenward and Roger (expected information), as pbkrtest",
        assumes=f"{NORMAL}",
        df="per term (Kenward-Roger)",
        source="Kenward & Roger 1997; Halekoh & Hojsgaard 2014",
        formula=(*GLS, REML, *KENWARD_ROGER),
    ),
    kenward_roger,
    textbook_engine(mixed_reference.kenward_roger),
    Agreement.DIRECT,
)
REML_CR2 = method(
    "reml-cr2",
    Info(
        label="REML CR2",
        summary="REML coefficients with cluster-robust CR2 standard errors, the fitted V as working model",
        assumes="independent schools, independent of the covariates; V need not be right",
        df="per term (Satterthwaite)",
        source="Bell & McCaffrey 2002; Pustejovsky & Tipton 2018",
        formula=(*GLS, REML, *CR2),
    ),
    cr2,
    textbook_engine(mixed_reference.cr2),
    Agreement.DIRECT,
)

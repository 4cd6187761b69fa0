"""Standard errors and degrees of freedom after the shared fit of a batch; `mixed_inference` has the textbooks'."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nestbench.estimators.engines.mixed_fit import BatchFit, columns_of, model_based_errors, school_level
from nestbench.estimators.kernels import cr2_gls, cr2_intercept, kenward_roger_slopes
from nestbench.estimators.kernels import kenward_roger as kenward_roger_kernel
from nestbench.estimators.kernels.satterthwaite import satterthwaite as satterthwaite_kernel
from nestbench.sim.observed.batch import Floats

Inference = Callable[[BatchFit], tuple[Floats, Floats]]
"""Standard errors and df [R, K] after a fit."""

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


def wald_z(fit: BatchFit) -> tuple[Floats, Floats]:
    """Return sigma sqrt(diag C) and df = inf."""
    std_error = model_based_errors(fit)
    return std_error, np.full_like(std_error, np.inf)


def between_within(fit: BatchFit) -> tuple[Floats, Floats]:
    """Return model-based standard errors; G - p_school df for school-constant columns, N - G - p_student for others."""
    constant = fit.batch.once(school_level, fit.model)
    schools = np.diff(fit.moments.replication_offsets)
    school = schools - constant.sum(axis=1)
    student = fit.fits.students - schools - (~constant).sum(axis=1)
    df = np.where(constant, school[:, None], student[:, None])
    return model_based_errors(fit), np.where(df > 0, df, np.nan)


def satterthwaite(fit: BatchFit) -> tuple[Floats, Floats]:
    """Return model-based standard errors and Satterthwaite df."""
    df = np.full_like(fit.estimate, np.nan)
    fits = fit.fits
    satterthwaite_kernel(
        fit.moments.contrasts, fits.unscaled, fits.curvature, fits.tilt, fits.spread, fits.nu, df
    )
    return model_based_errors(fit), df


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
    if fit.intercept_only:
        cr2_intercept.cr2_intercept(
            moments.cross,
            moments.replication_offsets,
            moments.x,
            moments.contrasts,
            fits.theta,
            fits.beta,
            fits.unscaled,
            fits.sigma2,
            variance,
            df,
        )
        return np.sqrt(variance), df
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

"""statsmodels' mixed model exactly as users run it: ``MixedLM(y, X, groups).fit()``, its flags and its failures.

The subject of study, not a good fit: REML by BFGS, then L-BFGS, then CG from cov_re = I, Wald z. Its own convergence
flag becomes the status; but a fit whose log-likelihood is not finite, or whose standard errors are absurd beside those
of OLS, does not say OK whatever it claims. Its numbers stay in the row, not usable, so that the claim can be studied.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from statsmodels.regression.mixed_linear_model import MixedLM

from nestbench.estimators.estimates import FitStatus
from nestbench.estimators.estimator import Estimator, Info
from nestbench.estimators.honoured import RandomPart
from nestbench.estimators.ols import least_squares
from nestbench.estimators.ols_cluster import coefficients
from nestbench.estimators.reference import Answer, DataSet, names_of, reference_engine
from nestbench.sim.batch import Floats

QUANTITIES = ("(school_sd)", "(residual_sd)", "(icc)", "(loglik)")
BOUNDARY_RATIO = 1e-6
"""A relative variance (school over residual variance, in units of a column's root mean square) below this is zero."""
ABSURD = 1e3
"""A standard error this many times the iid one is an optimiser's: sqrt(largest school) bounds an honest one."""


@dataclass(frozen=True, slots=True, eq=False)
class MixedFit:
    """Numbers of one mixed-model fit.

    Attributes
    ----------
    beta, std_error : float64 [p]
    cov_re : float64 [q, q]
        Covariance of the random effects, in the units of y.
    scale : float
        Residual variance.
    loglik : float
    """

    beta: Floats
    std_error: Floats
    cov_re: Floats
    scale: float
    loglik: float


def random_part(data: DataSet) -> Floats | None:
    """Return the columns of the random part, None for a random intercept (what users leave out)."""
    only_intercept = data.z.shape[1] == 1 and bool((data.z == 1.0).all())
    return None if only_intercept else np.ascontiguousarray(data.z)


def fit_mixedlm(data: DataSet) -> Answer:
    """Fit as users do, with their outcome and columns untouched."""
    result = MixedLM(data.y, data.x, data.groups, exog_re=random_part(data)).fit()
    fit = MixedFit(
        np.asarray(result.fe_params),
        np.asarray(result.bse_fe),
        np.atleast_2d(np.asarray(result.cov_re)),
        float(result.scale),
        float(result.llf),
    )
    return judged(data, fit, "" if result.converged else "its flag says not converged")


def judged(data: DataSet, fit: MixedFit, unconverged: str) -> Answer:
    """Return the answer with the status that flag and numbers allow together.

    Parameters
    ----------
    unconverged : str
        Why the optimiser did not converge; empty if it did, or says so.
    """
    claim = unconverged or "flagged converged"
    wrong = defect(data, fit)
    if wrong:
        status, message = FitStatus.FAILED, f"{claim}, but {wrong}"
    elif unconverged:
        status, message = FitStatus.NOT_CONVERGED, unconverged
    elif on_boundary(data.z, fit):
        status, message = FitStatus.BOUNDARY, ""
    else:
        status, message = FitStatus.OK, ""
    return Answer(
        fit.beta, fit.std_error, np.inf, status, quantities_of(fit.cov_re, fit.scale, fit.loglik), message
    )


def defect(data: DataSet, fit: MixedFit) -> str:
    """Return what no maximum of the likelihood can look like, or an empty string."""
    if not np.isfinite(fit.loglik):
        return "the log-likelihood is not finite"
    if not (np.isfinite(fit.beta).all() and np.isfinite(fit.scale) and np.isfinite(fit.cov_re).all()):
        return "an estimate is not finite"
    bad = ~(np.isfinite(fit.std_error) & (fit.std_error > 0))
    if bad.any():
        return f"there is no standard error of {names_of(data.terms, bad)}"
    inner, back, _ = data.standardised()
    absurd = fit.std_error > ABSURD * coefficients(least_squares(inner, data.y), back)[2]
    if absurd.any():
        return f"the standard error is absurd beside that of OLS: {names_of(data.terms, absurd)}"
    return ""


def on_boundary(z: Floats, fit: MixedFit) -> bool:
    """Whether the random effects' covariance, relative to the residual variance, is singular."""
    units = np.sqrt((z**2).mean(axis=0))
    relative = fit.cov_re / fit.scale * np.outer(units, units)
    return bool(np.linalg.eigvalsh(relative)[0] < BOUNDARY_RATIO)


def quantities_of(cov_re: Floats, scale: float, loglik: float) -> dict[str, float]:
    """Return school SD, residual SD, ICC and log-likelihood.

    With random slopes the school SD is the intercept's, and there is no single ICC.
    """
    tau2 = float(cov_re[0, 0])
    single = len(cov_re) == 1
    return {
        "(school_sd)": float(np.sqrt(max(tau2, 0.0))),
        "(residual_sd)": float(np.sqrt(max(scale, 0.0))),
        "(icc)": tau2 / (tau2 + scale) if single and tau2 + scale > 0 else np.nan,
        "(loglik)": loglik,
    }


MIXEDLM = Estimator(
    name="mixedlm",
    version=1,
    info=Info(
        label="MixedLM z",
        summary="statsmodels MixedLM with its defaults (REML), Wald z: as users run it",
        assumes="normal school effects and errors, many schools, and that the optimiser arrives",
        df="inf (z)",
        source="Laird & Ware 1982; statsmodels MixedLM.fit()",
    ),
    reference=reference_engine(fit_mixedlm, quantities=QUANTITIES),
    random=RandomPart.ANY,
)

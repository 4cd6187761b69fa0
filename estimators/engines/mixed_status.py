"""What statsmodels' mixed model says of its fit, held against the numbers it gives."""

from __future__ import annotations

import numpy as np

from nestbench.estimators.components import fitted_components, fitted_names
from nestbench.estimators.engines.cluster_robust import coefficients
from nestbench.estimators.engines.identified import require_identified
from nestbench.estimators.engines.least_squares import least_squares
from nestbench.estimators.engines.mixed_optimum import MixedFit
from nestbench.estimators.engines.reference import (
    Answer,
    CannotFit,
    DataSet,
    FitOne,
    names_of,
    reference_engine,
)
from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.estimators.estimator import Engine, Options
from nestbench.sim.observed.batch import Batch, Floats
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model

BOUNDARY_RATIO = 1e-6
"""A relative variance (school over residual variance, in units of a column's root mean square) below this is zero."""
ABSURD = 1e3
"""A standard error this many times the iid one is an optimiser's: sqrt(largest school) bounds an honest one."""


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
    terms = data.sample.batch.once(design_of, data.model).random_terms
    quantities = fitted_components(terms, fit.cov_re, fit.scale, fit.loglik)
    return Answer(fit.beta, fit.std_error, np.inf, status, quantities, message)


def defect(data: DataSet, fit: MixedFit) -> str:
    """Return why there is no maximum to be found, or what none can look like; an empty string if all is well."""
    try:
        require_identified(data)
    except CannotFit as error:
        return str(error)
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


def named_engine(fit_one: FitOne) -> Engine:
    """Return the engine of a fit whose quantities are named by the model's random terms."""

    def engine(batch: Batch, model: Model, options: Options) -> Estimates:
        terms = batch.once(design_of, model).random_terms
        return reference_engine(fit_one, quantities=fitted_names(terms))(batch, model, options)

    return engine

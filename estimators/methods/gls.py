"""Generalised least squares with the true ratio of the variance components: what no analyst has, and the best there is.

theta = school SD / residual SD is an option that the plan fills in from each condition's truth: this is the one
method that is given a true value. Only the ratio is given: sigma^2 is estimated as RSS/(N - p), and the test is
normal.
"""

from __future__ import annotations

import math
from time import perf_counter

import numpy as np

from nestbench.estimators.components import components, quantity_names
from nestbench.estimators.engines.identified import check_residuals
from nestbench.estimators.engines.mixed_fit import estimates_of, fit_given, model_based_errors
from nestbench.estimators.engines.mixed_inference import model_based_errors as textbook_errors
from nestbench.estimators.engines.mixed_textbook import GLS as GLS_FORMULA
from nestbench.estimators.engines.mixed_textbook import MODEL_BASED, factor_of, fit_at, textbook_of
from nestbench.estimators.engines.reference import Answer, DataSet, reference_engine
from nestbench.estimators.engines.splice import with_careful
from nestbench.estimators.estimates import Estimates
from nestbench.estimators.estimator import Agreement, Estimator, Info, Options
from nestbench.estimators.honoured import RandomPart
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Batch, Ints
from nestbench.sim.observed.model import Model

INTERCEPT = ("Intercept",)


def fast(batch: Batch, model: Model, options: Options) -> tuple[Estimates, Ints]:
    """Solve for every replication from school cross-products."""
    started = perf_counter()
    theta = known_theta(options)
    fit = fit_given(batch, model, True, np.full(batch.size, theta))
    std_error = model_based_errors(fit)
    estimates = estimates_of(batch, model, fit, std_error, np.full_like(std_error, np.inf), started)
    return estimates, np.flatnonzero(~fit.moments.regular)


def reference(batch: Batch, model: Model, options: Options) -> Estimates:
    """Solve with every V_g written out."""
    theta = known_theta(options)

    def fit_one(data: DataSet) -> Answer:
        """Solve one data set at the given ratio."""
        check_residuals(data)
        written = textbook_of(data, factor_of(1), True)
        fit = fit_at(written, np.array([theta]))
        quantities = components(INTERCEPT, np.array([[theta**2]]), fit.sigma2, -0.5 * fit.criterion, np.nan)
        return Answer(fit.estimate, textbook_errors(fit), np.inf, quantities=quantities)

    return reference_engine(fit_one, quantities=quantity_names(INTERCEPT))(batch, model, options)


def known_theta(options: Options) -> float:
    """Return the theta that was given.

    Raises
    ------
    InvalidInput
        There is none.
    """
    theta = options["theta"]
    number = isinstance(theta, (int, float)) and not isinstance(theta, bool)
    if not number or not 0.0 <= float(theta) < math.inf:
        raise InvalidInput(
            f"method 'gls' expected its option theta (true school SD over residual SD) >= 0, got {theta!r}; "
            "an experiment fills it in from the population; on your own data use reml-satt"
        )
    return float(theta)


GLS = Estimator(
    name="gls",
    version=2,
    info=Info(
        label="GLS, true theta",
        summary="generalised least squares told the true ratio of school and residual SD: the best any method could do",
        assumes="normal or not, schools independent of the covariates; nobody has it outside a simulation",
        df="inf (z)",
        source="Aitken 1935",
        formula=(
            *GLS_FORMULA,
            r"V_g = I + \theta^2\, 1 1^\top, \quad \theta = \frac{\text{school SD}}{\text{residual SD}} \text{ (true)}",
            MODEL_BASED + r", \quad \hat\sigma^2 = \frac{\mathrm{RSS}(\theta)}{N - p}",
            r"\nu = \infty",
        ),
    ),
    reference=reference,
    batched=with_careful(fast, reference),
    agreement=Agreement.DIRECT,
    options={"theta": None},
    random=RandomPart.INTERCEPT,
)

"""The batched formulas of mixed models at variance parameters that somebody else found."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nestbench.estimators.components import sd_name
from nestbench.estimators.engines.mixed_fit import fit_given, model_based_errors
from nestbench.estimators.estimates import ESTIMATE, STD_ERROR, Estimates
from nestbench.estimators.estimator import AtTheta
from nestbench.sim.observed.batch import Batch, Floats
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model


def at_theta(restricted: bool) -> AtTheta:
    """Return the formulas of REML, or ML, where some fits have their variance parameters."""

    def at(batch: Batch, model: Model, reference: Estimates, covariance: str) -> Mapping[str, Floats]:
        terms = batch.once(design_of, model).random_terms
        if terms == ("Intercept",):
            theta = reference.quantities["(school_sd)"] / reference.quantities["(residual_sd)"]
        else:
            theta = relative_covariance(terms, reference.quantities)
        fit = fit_given(batch, model, restricted, np.nan_to_num(theta), covariance)
        return {ESTIMATE: fit.estimate, STD_ERROR: model_based_errors(fit), **fit.quantities}

    return at


def relative_covariance(terms: tuple[str, ...], quantities: Mapping[str, Floats]) -> Floats:
    """Return Var(u)/sigma^2 [R, q, q] from the SDs and correlations among a fit's quantities."""
    sd = np.stack([quantities[sd_name(term)] / quantities["(residual_sd)"] for term in terms], axis=1)
    relative = sd[:, :, None] * sd[:, None, :]
    for j, b in enumerate(terms):
        for i, a in enumerate(terms[:j]):
            # A correlation with an SD of 0 is undefined (NaN); its covariance is 0 whatever it is.
            shared = relative[:, i, j] * np.nan_to_num(quantities[f"(corr[{a},{b}])"])
            relative[:, i, j] = relative[:, j, i] = shared
    return np.asarray(relative)

"""Variance components by their names: what is a school SD, what the SD of a slope, and where there is an ICC."""

from __future__ import annotations

import numpy as np

from nestbench.sim.observed.batch import Floats


def quantity_names(random_terms: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the fit-level quantities of a model, as both engines give them."""
    return (*fitted_names(random_terms), "(score)", "(iterations)")


def fitted_names(random_terms: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the variance components and of the log-likelihood."""
    if random_terms == ("Intercept",):
        return "(school_sd)", "(residual_sd)", "(icc)", "(loglik)"
    sds = [sd_name(term) for term in random_terms]
    pairs = [f"(corr[{a},{b}])" for j, b in enumerate(random_terms) for a in random_terms[:j]]
    return (*sds, *pairs, "(residual_sd)", "(loglik)")


def fitted_components(
    random_terms: tuple[str, ...], covariance: Floats, scale: float, loglik: float
) -> dict[str, float]:
    """Return what `fitted_names` names, from the covariance of the random effects [q, q] and the residual variance.

    There is a school SD only where there is a random intercept, and an ICC only where there is nothing else.
    """
    variances = np.maximum(np.diag(covariance), 0.0)
    sd, residual = np.sqrt(variances), np.sqrt(max(scale, 0.0))
    if random_terms == ("Intercept",):
        tau2 = float(covariance[0, 0])
        icc = tau2 / (tau2 + scale) if tau2 + scale > 0 else np.nan
        return dict(
            zip(fitted_names(random_terms), [float(sd[0]), float(residual), icc, loglik], strict=True)
        )
    both = np.outer(sd, sd)
    correlation = np.divide(covariance, both, out=np.full_like(covariance, np.nan), where=both > 0)
    pairs = [correlation[i, j] for j in range(len(sd)) for i in range(j)]
    values = [float(v) for v in [*sd, *pairs, residual, loglik]]
    return dict(zip(fitted_names(random_terms), values, strict=True))


def sd_name(term: str) -> str:
    """Return the name of a random effect's standard deviation."""
    return "(school_sd)" if term == "Intercept" else f"(slope_sd[{term}])"


def components(
    random_terms: tuple[str, ...], relative: Floats, sigma2: float, loglik: float, score: float
) -> dict[str, float]:
    """Return the quantities of a fit with Var(u) = sigma2 * relative [q, q]."""
    sd = np.sqrt(sigma2 * np.maximum(np.diag(relative), 0.0))
    values = [*sd]
    if random_terms == ("Intercept",):
        values += [np.sqrt(sigma2), relative[0, 0] / (1.0 + relative[0, 0])]
    else:
        both = np.sqrt(np.outer(np.diag(relative), np.diag(relative)))
        correlation = np.divide(relative, both, out=np.full_like(relative, np.nan), where=both > 0)
        values += [correlation[i, j] for j in range(len(sd)) for i in range(j)] + [np.sqrt(sigma2)]
    names = quantity_names(random_terms)
    return dict(zip(names, [float(v) for v in [*values, loglik, score, np.nan]], strict=True))

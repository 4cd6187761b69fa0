"""Standard errors of mixed models by the observed information of coefficients and variances together.

statsmodels inverts the Hessian of the REML criterion in (beta, theta). At its maximum, by blocks,

    Var(beta) = sigma^2 C + sum_ab b_a b_b' 2 (H^-1)_ab,   b_a = d beta(theta) / d theta_a = -C X'V^-1 V_a V^-1 r,

C = (X'V^-1X)^-1, r = y - X beta, V_a = dV/d theta_a, H the Hessian of -2 l in theta. The second part vanishes as
schools become many. Inside of the parameter space it is the same in any parameters; on its boundary it isn't, and there
are none.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nestbench.estimators.engines.mixed_reference import singular, textbook_fit, textbook_model
from nestbench.estimators.engines.mixed_textbook import (
    Textbook,
    TextbookFit,
    fit_at,
    free_entries,
    transposed,
)
from nestbench.estimators.engines.reference import CannotFit
from nestbench.estimators.estimates import DF, STD_ERROR
from nestbench.league.package import Setting, with_tests
from nestbench.sim.observed.batch import Floats

SMALL = 1e-4
"""Newton step, relative to theta, after which nothing is left: its error is of the order of its square."""


def observed_information(values: dict[str, Any], setting: Setting) -> dict[str, Any]:
    """Return the exact values of REML with these standard errors, and the tests of the df there are; NaN where there
    are none: on the boundary, of classes in schools, and where some terms aren't estimable."""
    terms = list(values[STD_ERROR])
    errors = dict.fromkeys(terms, math.nan)
    if setting.model.subgroup is None and len(terms) == setting.terms:
        errors |= dict(zip(terms, _errors(values, setting), strict=True))
    return with_tests({**values, STD_ERROR: errors}, values[DF], setting.model.level)


def _errors(values: dict[str, Any], setting: Setting) -> list[float]:
    """Return the standard errors of the estimable terms."""
    try:
        fit = _at_maximum(values["variance"], setting)
    except (CannotFit, KeyError, np.linalg.LinAlgError):  # nothing was fitted, or it lies on the boundary
        return [math.nan] * setting.terms
    if singular(fit):
        return [math.nan] * setting.terms
    slopes = -movements(fit) @ fit.c
    covariance = fit.sigma2 * fit.c + slopes.T @ (2.0 * np.linalg.inv(fit.hessian)) @ slopes
    return [float(value) for value in np.sqrt(fit.variances(covariance))]


def _at_maximum(variance: dict[str, float], setting: Setting) -> TextbookFit:
    """Return the textbook's fit: a Newton step from where our fast engine has the maximum, which saves the search;
    the search, where that is no small step."""
    arguments = setting.batch, 0, setting.model, True, False
    model = textbook_model(*arguments)
    theta = theta_of(variance, model)
    fit = fit_at(model, theta)
    step = -np.linalg.solve(fit.hessian, fit.score)
    if not np.abs(step).max() < SMALL * np.abs(theta).max():
        return textbook_fit(*arguments)
    return fit_at(model, theta + step)


def theta_of(variance: dict[str, float], model: Textbook) -> Floats:
    """Return theta of a covariance of random effects as named; `LinAlgError` on the boundary, where there is none."""
    covariance = np.array([[variance["school"]]])
    if model.q > 1:
        c = variance["covariance"]
        covariance = np.array([[variance["school"], c], [c, variance["slope"]]])
    inner = np.linalg.inv(model.back)
    factor = np.linalg.cholesky(inner @ (covariance / variance["residual"]) @ inner.T)
    return np.array([factor[entry] for entry in free_entries(model.q)])


def movements(fit: TextbookFit) -> Floats:
    """Return X'V^-1 V_a V^-1 r for each theta_a [m, p], in the columns of Q."""
    total = np.zeros((len(fit.theta), len(fit.beta)))
    for s in fit.model.stacks:
        w = np.linalg.inv(np.eye(s.z.shape[1]) + s.z @ fit.psi @ transposed(s.z))
        u = np.einsum("knm,km->kn", w, s.y - s.x @ fit.beta)
        zwx, zu = transposed(s.z) @ w @ s.x, np.einsum("knq,kn->kq", s.z, u)
        total += np.einsum("kip,aij,kj->ap", zwx, fit.model.first(fit.theta), zu, optimize=True)
    return total

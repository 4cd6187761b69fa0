"""statsmodels' mixed model at an optimum that is checked.

Likelihood, coefficients, scale and standard errors are statsmodels' own (`loglike`, `get_fe_params`, `get_scale`,
`hessian`); only the search is ours, because that is what fails. It starts at the ANOVA estimate of the variance ratio
theta^2 = tau^2 / sigma^2. A random intercept is a search in one dimension, over log theta^2; with random slopes L-BFGS
over the Cholesky factor of the relative covariance, then Powell if the score there is not zero. The covariance is kept
`FLOOR` away from singular, where statsmodels' formulas break down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nestbench.estimators.engines.least_squares import least_squares
from nestbench.estimators.engines.reference import DataSet
from nestbench.sim.observed.batch import Floats

FLOOR = 1e-8
"""Smallest relative variance."""


SCORE_TOLERANCE = 1e-3
"""Largest derivative of the log-likelihood with respect to a log variance (or a Cholesky entry) at an optimum."""


UNCHECKED = "the score is not zero at the best point found"

Objective = Callable[[Floats], float]


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


def optimum(data: DataSet, restricted: bool = True) -> tuple[Any, Floats, Floats, bool]:
    """Return statsmodels' model, its best relative covariance [q, q], the units [q], and whether the score is right.

    Columns of Z are divided by their units, their root mean squares; `restricted` means REML.
    """
    from statsmodels.regression.mixed_linear_model import MixedLM

    z = random_part(data)
    units = np.ones(1) if z is None else np.sqrt((z**2).mean(axis=0))
    model = MixedLM(data.y, data.x, data.groups, exog_re=None if z is None else z / units)
    model.cov_pen, model._cov_sing = None, 0  # what `fit` sets before it calls `loglike`
    model.reml = restricted
    theta2 = anova_ratio(data)
    relative, score_ok = _intercept(model, theta2) if len(units) == 1 else _slopes(model, len(units), theta2)
    return model, relative, units, score_ok


def anova_ratio(data: DataSet) -> float:
    """Return the ANOVA estimate of theta^2 from OLS residuals, at least 1e-3: a start near the answer in most data.

    statsmodels starts at an identity matrix whatever the data are like, and from there its search is often stopped on
    its way.
    """
    inner, _, _ = data.standardised()
    residuals = least_squares(inner, data.y).resid
    means, sizes = data.school_means(residuals), data.sizes
    n, g = len(residuals), data.schools
    within = float(((residuals - means[data.groups]) ** 2).sum()) / (n - g)
    between = float((sizes * means**2).sum()) / (g - 1)
    typical = (n - float((sizes**2).sum()) / n) / (g - 1)
    return max((between - within) / (typical * within), 1e-3) if within > 0 else 1e6


def _intercept(model: Any, start: float) -> tuple[Floats, bool]:
    """Return the relative covariance [1, 1] of a random intercept, and whether the score is right there.

    Searched within a factor of e^6 of the start first, then everywhere if the score isn't zero there. At the floor a
    score that points outwards is right.
    """
    from scipy import optimize

    def objective(log_ratio: float) -> float:
        return -_loglike(model, np.array([[np.exp(log_ratio)]]))

    low, high, middle = np.log(FLOOR), np.log(1e8), np.log(start)
    near = optimize.minimize_scalar(
        objective,
        bounds=(max(low, middle - 6.0), min(high, middle + 6.0)),
        method="bounded",
        options={"xatol": 1e-7},
    )
    # A bounded search never returns its ends, and the floor is where the maximum often is.
    best = min((float(near.x), low, middle), key=objective)
    if best == low or abs(_slope(objective, best)) > SCORE_TOLERANCE:
        wide = optimize.minimize_scalar(
            objective, bounds=(low, high), method="bounded", options={"xatol": 1e-7}
        )
        best = min((best, float(wide.x)), key=objective)
    score = -_slope(objective, best)
    return np.array([[np.exp(best)]]), abs(score) <= SCORE_TOLERANCE or (best - low < 1.0 and score < 0)


def _slopes(model: Any, q: int, start: float) -> tuple[Floats, bool]:
    """Return the relative covariance [q, q] of correlated random effects, and whether the score is right there."""
    from scipy import optimize

    below = np.tril_indices(q)

    def relative(packed: Floats) -> Floats:
        factor = np.zeros((q, q))
        factor[below] = packed
        return np.asarray(factor @ factor.T + FLOOR * np.eye(q))

    def objective(packed: Floats) -> float:
        return -_loglike(model, relative(packed))

    first = (np.sqrt(start) * np.eye(q))[below]
    best, flat = first, False
    searches: tuple[dict[str, Any], ...] = (
        {"method": "L-BFGS-B", "options": {"ftol": 1e-13, "gtol": 1e-5}},
        {"method": "Powell", "options": {"xtol": 1e-7, "ftol": 1e-13}},
    )
    for search in searches:
        end = optimize.minimize(objective, best, **search)
        best = min((best, end.x), key=objective)
        flat = bool(np.abs(_gradient(objective, best)).max() <= SCORE_TOLERANCE)
        if flat:
            break
    return relative(best), flat


def evaluate(model: Any, relative: Floats, units: Floats) -> MixedFit:
    """Return statsmodels' numbers at a relative covariance; standard errors from the joint Hessian in (beta, theta).

    On the floor theta is not free, and the standard errors are those of the block of beta.
    """
    from statsmodels.regression.mixed_linear_model import MixedLMParams

    none = np.empty(0)
    beta, _ = model.get_fe_params(relative, none)
    params = MixedLMParams.from_components(fe_params=beta, cov_re=relative, vcomp=none)
    information = -model.hessian(params)[0]
    scale = float(model.get_scale(beta, relative, none))
    p = len(beta)
    floored = np.linalg.eigvalsh(relative)[0] < 10 * FLOOR
    covariance = np.linalg.inv(information[:p, :p]) if floored else np.linalg.inv(information)[:p, :p]
    if not (np.diag(covariance) > 0).all():
        covariance = np.linalg.inv(information[:p, :p])
    return MixedFit(
        np.asarray(beta),
        np.sqrt(np.diag(covariance)),
        scale * relative / np.outer(units, units),
        scale,
        float(model.loglike(params)),
    )


def _loglike(model: Any, relative: Floats) -> float:
    """Return statsmodels' profiled log-likelihood, a very low number where it isn't finite: searches compare values."""
    from statsmodels.regression.mixed_linear_model import MixedLMParams

    value = float(model.loglike(MixedLMParams.from_components(np.zeros(model.k_fe), relative)))
    # Not -inf: the searches take differences of values, and inf - inf is NaN.
    return value if np.isfinite(value) else -1e300


def _slope(objective: Callable[[float], float], at: float, step: float = 1e-3) -> float:
    """Return a central difference of a function of one number."""
    return (objective(at + step) - objective(at - step)) / (2 * step)


def _gradient(objective: Objective, at: Floats, step: float = 1e-4) -> Floats:
    """Return central differences along each coordinate [m]."""
    moves = step * np.eye(len(at))
    return np.array([(objective(at + move) - objective(at - move)) / (2 * step) for move in moves])

"""statsmodels' mixed model with the optimisation done with care, and checked.

Likelihood, coefficients, scale and standard errors are statsmodels' own (`loglike`, `get_fe_params`, `get_scale`,
`hessian`); only the search is ours, because that is what fails. It starts at the ANOVA estimate of the variance ratio
theta^2 = tau^2 / sigma^2. A random intercept is a search in one dimension, over log theta^2; with random slopes L-BFGS
over the Cholesky factor of the relative covariance, then Powell if the score there is not zero. The covariance is kept
`FLOOR` away from singular, where statsmodels' formulas break down. The best candidate is the answer, and says OK only
if its numerical score is zero, or it lies on the floor with a score that points there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import optimize
from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams

from nestbench.estimators.estimator import Estimator, Info
from nestbench.estimators.honoured import RandomPart
from nestbench.estimators.identified import require_identified
from nestbench.estimators.mixed_textbook import GLS, MODEL_BASED, REML
from nestbench.estimators.mixedlm import MixedFit, judged, named_engine, random_part
from nestbench.estimators.ols import least_squares
from nestbench.estimators.reference import Answer, DataSet
from nestbench.sim.batch import Floats

FLOOR = 1e-8
"""Smallest relative variance."""
SCORE_TOLERANCE = 1e-3
"""Largest derivative of the log-likelihood with respect to a log variance (or a Cholesky entry) at an optimum."""

UNCHECKED = "the score is not zero at the best point found"

Objective = Callable[[Floats], float]


def fit_guarded(data: DataSet) -> Answer:
    """REML by statsmodels' formulas at an optimum that is checked."""
    require_identified(data)
    model, relative, units, score_ok = optimum(data)
    return judged(
        data,
        evaluate(model, relative, units),
        "" if score_ok else UNCHECKED,
    )


def optimum(data: DataSet, restricted: bool = True) -> tuple[Any, Floats, Floats, bool]:
    """Return statsmodels' model, its best relative covariance [q, q], the units [q], and whether the score is right.

    Columns of Z are divided by their units, their root mean squares; `restricted` means REML.
    """
    z = random_part(data)
    units = np.ones(1) if z is None else np.sqrt((z**2).mean(axis=0))
    model = MixedLM(data.y, data.x, data.groups, exog_re=None if z is None else z / units)
    model.cov_pen, model._cov_sing = None, 0  # what `fit` sets before it calls `loglike`
    model.reml = restricted
    theta2 = anova_ratio(data)
    relative, score_ok = _intercept(model, theta2) if len(units) == 1 else _slopes(model, len(units), theta2)
    return model, relative, units, score_ok


def anova_ratio(data: DataSet) -> float:
    """Return the ANOVA estimate of theta^2 from OLS residuals, at least 1e-3."""
    inner, _, _ = data.standardised()
    residuals = least_squares(inner, data.y).resid
    means, sizes = data.school_means(residuals), data.sizes
    n, g = len(residuals), data.schools
    within = float(((residuals - means[data.groups]) ** 2).sum()) / (n - g)
    between = float((sizes * means**2).sum()) / (g - 1)
    typical = (n - float((sizes**2).sum()) / n) / (g - 1)
    return max((between - within) / (typical * within), 1e-3) if within > 0 else 1e6


def _intercept(model: Any, start: float) -> tuple[Floats, bool]:
    """Return the relative covariance [1, 1] of a random intercept, and whether the score is right there."""

    def objective(log_ratio: float) -> float:
        return -_loglike(model, np.array([[np.exp(log_ratio)]]))

    low, high, middle = np.log(FLOOR), np.log(1e8), np.log(start)
    found = optimize.minimize_scalar(
        objective,
        bounds=(max(low, middle - 6.0), min(high, middle + 6.0)),
        method="bounded",
        options={"xatol": 1e-7},
    )
    best = min((float(found.x), low, middle), key=objective)
    if best == low or abs(_slope(objective, best)) > SCORE_TOLERANCE:
        wide = optimize.minimize_scalar(
            objective, bounds=(low, high), method="bounded", options={"xatol": 1e-7}
        )
        best = min((best, float(wide.x)), key=objective)
    score = -_slope(objective, best)
    return np.array([[np.exp(best)]]), abs(score) <= SCORE_TOLERANCE or (best - low < 1.0 and score < 0)


def _slopes(model: Any, q: int, start: float) -> tuple[Floats, bool]:
    """Return the relative covariance [q, q] of correlated random effects, and whether the score is right there."""
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
        found = optimize.minimize(objective, best, **search)
        best = min((best, found.x), key=objective)
        flat = bool(np.abs(_gradient(objective, best)).max() <= SCORE_TOLERANCE)
        if flat:
            break
    return relative(best), flat


def evaluate(model: Any, relative: Floats, units: Floats) -> MixedFit:
    """Return statsmodels' numbers at a relative covariance; standard errors from the joint Hessian in (beta, theta).

    On the floor theta is not free, and the standard errors are those of the block of beta.
    """
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
    value = float(model.loglike(MixedLMParams.from_components(np.zeros(model.k_fe), relative)))
    return value if np.isfinite(value) else -1e300


def _slope(objective: Callable[[float], float], at: float, step: float = 1e-3) -> float:
    return (objective(at + step) - objective(at - step)) / (2 * step)


def _gradient(objective: Objective, at: Floats, step: float = 1e-4) -> Floats:
    moves = step * np.eye(len(at))
    return np.array([(objective(at + move) - objective(at - move)) / (2 * step) for move in moves])


MIXEDLM_GUARDED = Estimator(
    name="mixedlm-guarded",
    version=2,
    info=Info(
        label="MixedLM guarded z",
        summary="statsmodels MixedLM formulas at an optimum found from ANOVA starts and checked by its score, Wald z",
        assumes="normal school effects and errors, many schools",
        df="inf (z)",
        source="Laird & Ware 1982; statsmodels MixedLM",
        formula=(*GLS, REML, MODEL_BASED, r"\nu = \infty"),
    ),
    reference=named_engine(fit_guarded),
    random=RandomPart.ANY,
)

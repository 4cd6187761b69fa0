"""Regression of school means on school-level columns: one observation a school, no nesting left.

``mean(y)_g = x_g'beta + v_g`` with x_g the columns that are constant within every school. Unweighted it targets the
average school, weighted by size the average student. Student-level terms are left out and have no answer here.
"""

from __future__ import annotations

import numpy as np
from statsmodels.regression.linear_model import WLS

from nestbench.estimators import ols_batched
from nestbench.estimators.estimable import estimable
from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.estimators.estimator import Agreement, Estimator, Info, Options
from nestbench.estimators.ols import require_residuals
from nestbench.estimators.reference import (
    Answer,
    CannotFit,
    DataSet,
    Screened,
    names_of,
    reference_engine,
)
from nestbench.sim.batch import Batch
from nestbench.sim.errors import InvalidInput, did_you_mean
from nestbench.sim.model import Model

WEIGHTS = ("none", "size")


def school_level(data: DataSet) -> Screened:
    """Screen for methods on school means: terms constant within schools, and estimable from one row a school."""
    constant = data.school_constant()
    columns = np.flatnonzero(constant)
    intercept = None if data.intercept is None else int(np.flatnonzero(columns == data.intercept)[0])
    fine, kept = estimable(data.x[data.starts][:, columns], intercept)
    answer = np.zeros(len(constant), dtype=bool)
    answer[columns[fine]] = True
    parts = []
    if not constant.all():
        parts.append(
            f"varies within schools, left out of the school means: {names_of(data.terms, ~constant)}"
        )
    if not fine.all():
        lost = names_of([data.terms[c] for c in columns], ~fine)
        parts.append(f"not estimable, columns are linearly dependent: {lost}")
    status = FitStatus.OK if fine.all() else FitStatus.SINGULAR
    return Screened(columns[kept], answer, status, "; ".join(parts))


def weights_of(options: Options) -> str:
    """Return the option `weights`.

    Raises
    ------
    InvalidInput
        It is none of `WEIGHTS`.
    """
    weights = options["weights"]
    if weights not in WEIGHTS:
        raise InvalidInput(
            f"expected means.weights to be one of {', '.join(WEIGHTS)}, got '{weights}'."
            f"{did_you_mean(str(weights), WEIGHTS)}"
        )
    return str(weights)


def fit_means(data: DataSet) -> Answer:
    """(Weighted) least squares on school means, ``s^2 = sum w e^2 / (G - p)``, t(G - p), p school-level terms."""
    weights = weights_of(data.options)
    g, p = data.schools, data.x.shape[1]
    if not p:
        raise CannotFit("no term is constant within schools")
    if g <= p:
        raise CannotFit(f"no residual degrees of freedom: {g} schools, {p} school-level coefficients")
    y = data.school_means(data.y)
    w = data.sizes.astype(np.float64) if weights == "size" else np.ones(g)
    result = WLS(y, data.x[data.starts], weights=w, hasconst=data.intercept is not None).fit()
    require_residuals(result.resid, y)
    return Answer(result.params, result.bse, result.df_resid)


_REFERENCE = reference_engine(fit_means, screen=school_level)

_BATCHED = ols_batched.between_engine(_REFERENCE)


def fit_means_batched(batch: Batch, model: Model, options: Options) -> Estimates:
    """Fit from school cross-products."""
    weights_of(options)
    return _BATCHED(batch, model, options)


MEANS = Estimator(
    name="means",
    version=1,
    info=Info(
        label="School means",
        summary="regression of school means on school-level terms (weights: none or size)",
        assumes="equal variance of school means: schools of equal size, or little residual variance",
        df="G - p",
        source="summary-measures analysis; Donner & Klar 2000",
    ),
    reference=_REFERENCE,
    batched=fit_means_batched,
    agreement=Agreement.DIRECT,
    options={"weights": "none"},
)

"""Pooled ordinary least squares with the iid standard error: the naive method on nested data."""

from __future__ import annotations

from typing import Any

import numpy as np
from statsmodels.regression.linear_model import OLS

from nestbench.estimators import ols_batched
from nestbench.estimators.estimator import Agreement, Estimator, Info
from nestbench.estimators.reference import Answer, CannotFit, DataSet, reference_engine
from nestbench.sim.batch import Floats


def fit_ols(data: DataSet) -> Answer:
    """OLS: ``beta = (X'X)^-1 X'y``, ``Var = s^2 (X'X)^-1``, ``s^2 = RSS / (N - p)``, t(N - p)."""
    inner, back, shift = data.standardised()
    result = least_squares(inner, data.y)
    std_error = np.sqrt(np.diag(back @ result.cov_params() @ back.T))
    return Answer(back @ result.params + shift, std_error, result.df_resid)


def least_squares(data: DataSet, outcome: Floats | None = None, **fit: Any) -> Any:
    """Return statsmodels' OLS result on matrices; `outcome` is y before it was centred, if it was.

    Raises
    ------
    CannotFit
        There are no residual degrees of freedom, or y is fitted exactly: residuals are rounding errors then, and so is
        every standard error made of them.
    """
    n, p = data.x.shape
    if n <= p:
        raise CannotFit(f"no residual degrees of freedom: {n} observations, {p} coefficients")
    result = OLS(data.y, data.x, hasconst=data.intercept is not None).fit(**fit)
    require_residuals(result.resid, data.y if outcome is None else outcome)
    return result


def require_residuals(residuals: Floats, y: Floats) -> None:
    """Raise `CannotFit` if the residuals are no larger than the rounding error of y."""
    if float(np.sqrt(np.mean(residuals**2))) <= 1e-13 * float(np.abs(y).max(initial=0.0)):
        raise CannotFit("the outcome is fitted exactly: there is no residual variation to judge by")


LEAST_SQUARES = r"\hat\beta = M X^\top y, \quad M = (X^\top X)^{-1}, \quad e = y - X\hat\beta"
IID = r"\operatorname{Var}(\hat\beta) = s^2 M, \quad s^2 = \frac{e^\top e}{N - p}"

_REFERENCE = reference_engine(fit_ols)

OLS_IID = Estimator(
    name="ols",
    version=1,
    info=Info(
        label="OLS",
        summary="pooled least squares, standard errors as if students were independent",
        assumes="independent errors of equal variance; false as soon as schools differ",
        df="N - p",
        source="Gauss-Markov; statsmodels OLS",
        formula=(LEAST_SQUARES, IID, r"\nu = N - p"),
    ),
    reference=_REFERENCE,
    batched=ols_batched.pooled_engine(ols_batched.iid, _REFERENCE),
    agreement=Agreement.DIRECT,
)

"""statsmodels' least squares, where every textbook fit begins, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np

from nestbench.estimators.engines.reference import CannotFit, DataSet
from nestbench.sim.observed.batch import Floats


def least_squares(data: DataSet, outcome: Floats | None = None, **fit: Any) -> Any:
    """Return statsmodels' OLS result on matrices; `outcome` is y before it was centred, if it was.

    Raises
    ------
    CannotFit
        There are no residual degrees of freedom, or y is fitted exactly: residuals are rounding errors then, and so is
        every standard error made of them.
    """
    from statsmodels.regression.linear_model import OLS

    n, p = data.x.shape
    if n <= p:
        raise CannotFit(f"no residual degrees of freedom: {n} observations, {p} coefficients")
    result = OLS(data.y, data.x, hasconst=data.intercept is not None).fit(**fit)
    require_residuals(result.resid, data.y if outcome is None else outcome)
    return result


def require_residuals(residuals: Floats, y: Floats) -> None:
    """Raise `CannotFit` if the residuals are no larger than the rounding error of y.

    Measured beside the largest |y|, for a large mean costs the residuals as many digits as it has before the point.
    """
    if float(np.sqrt(np.mean(residuals**2))) <= 1e-13 * float(np.abs(y).max(initial=0.0)):
        raise CannotFit("the outcome is fitted exactly: there is no residual variation to judge by")


LEAST_SQUARES = r"\hat\beta = M X^\top y, \quad M = (X^\top X)^{-1}, \quad e = y - X\hat\beta"

"""OLS with heteroskedasticity-robust standard errors: robust to unequal variances, not to nesting.

``Var = (X'X)^-1 [sum_i w_i e_i^2 x_i x_i'] (X'X)^-1`` with w = N/(N - p) (HC1), 1/(1 - h_i) (HC2), 1/(1 - h_i)^2
(HC3); h_i are leverages. They need every student's residual, so there is no engine on school cross-products.
"""

from __future__ import annotations

import numpy as np

from nestbench.estimators.engines.least_squares import LEAST_SQUARES, least_squares
from nestbench.estimators.engines.reference import Answer, CannotFit, DataSet, FitOne, reference_engine
from nestbench.estimators.estimator import Estimator, Info


def fit_hc(kind: str) -> FitOne:
    """Return the method for one of HC1, HC2, HC3."""

    def fit(data: DataSet) -> Answer:
        """Fit by statsmodels on standardised columns."""
        inner, back, shift = data.standardised()
        result = least_squares(inner, data.y)
        # A leverage of 1 divides a residual of 0 by 0, which is told below in words.
        with np.errstate(divide="ignore", invalid="ignore"):
            std_error = np.sqrt(np.diag(back @ getattr(result, f"cov_{kind}") @ back.T))
        if not np.isfinite(std_error).all():
            raise CannotFit(f"{kind} is not defined: an observation has leverage 1")
        return Answer(back @ result.params + shift, std_error, result.df_resid)

    return fit


SANDWICH = r"\operatorname{Var}(\hat\beta) = M \left[\sum_{i=1}^{N} w_i\, e_i^2\, x_i x_i^\top\right] M"
WEIGHTS = {
    "HC1": r"w_i = \frac{N}{N - p}",
    "HC2": r"w_i = \frac{1}{1 - h_i}, \quad h_i = x_i^\top M x_i",
    "HC3": r"w_i = \frac{1}{(1 - h_i)^2}, \quad h_i = x_i^\top M x_i",
}


def _estimator(kind: str, summary: str, source: str) -> Estimator:
    """Return one of the HC methods."""
    return Estimator(
        name=f"ols-{kind.lower()}",
        version=1,
        info=Info(
            label=f"OLS {kind}",
            summary=f"pooled least squares, {kind}: {summary}",
            assumes="independent errors; unequal variances allowed",
            df="N - p",
            source=source,
            formula=(LEAST_SQUARES, SANDWICH, WEIGHTS[kind], r"\nu = N - p"),
        ),
        reference=reference_engine(fit_hc(kind)),
    )


HC1 = _estimator("HC1", "squared residuals times N/(N - p)", "MacKinnon & White 1985")
HC2 = _estimator("HC2", "squared residuals over 1 - leverage", "MacKinnon & White 1985")
HC3 = _estimator(
    "HC3", "squared residuals over (1 - leverage)^2", "MacKinnon & White 1985; Long & Ervin 2000"
)

"""Pooled ordinary least squares with the iid standard error: the naive method on nested data.

Unbiased wherever the others are, and efficient where schools don't matter; what fails is its standard error, which
counts students where schools were sampled.
"""

from __future__ import annotations

import numpy as np

from nestbench.estimators.engines import ols_batched
from nestbench.estimators.engines.least_squares import LEAST_SQUARES, least_squares
from nestbench.estimators.engines.reference import Answer, DataSet, reference_engine
from nestbench.estimators.estimator import Agreement, Estimator, Info


def fit_ols(data: DataSet) -> Answer:
    """OLS: ``beta = (X'X)^-1 X'y``, ``Var = s^2 (X'X)^-1``, ``s^2 = RSS / (N - p)``, t(N - p)."""
    inner, back, shift = data.standardised()
    result = least_squares(inner, data.y)
    std_error = np.sqrt(np.diag(back @ result.cov_params() @ back.T))
    return Answer(back @ result.params + shift, std_error, result.df_resid)


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
    theory=("ols", "iid-t"),
)

"""Generalised estimating equations with an exchangeable working correlation, identity link.

``sum_g X_g' R_g(alpha)^-1 (y_g - X_g beta) = 0`` with R_g the equicorrelation matrix; alpha and the scale are moment
estimates from residual products, with statsmodels' N - p and pairs - p denominators. Standard errors are the sandwich
(`robust`) or Mancl and DeRouen's, whose residuals are multiplied by ``(I - H_gg)^-1``. Always normal reference.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from statsmodels.genmod.cov_struct import Exchangeable
from statsmodels.genmod.generalized_estimating_equations import GEE

from nestbench.estimators.estimates import FitStatus
from nestbench.estimators.estimator import Agreement, Estimator, Info
from nestbench.estimators.ols import least_squares
from nestbench.estimators.ols_cluster import coefficients, require_schools, sandwich_answer
from nestbench.estimators.reference import Answer, CannotFit, DataSet, FitOne, reference_engine


def fit_gee(cov_type: str) -> FitOne:
    """Return the method for statsmodels' `cov_type` ``robust`` or ``bias_reduced``.

    statsmodels stops when the norm of its score is below an absolute bound. So it is given standardised columns, and
    the OLS residuals over their SD as outcome: the estimating equations are equivariant, and units no longer matter.
    """

    def fit(data: DataSet) -> Answer:
        require_schools(data)
        require_pairs(data)
        inner, back = data.standardised()
        ols = least_squares(inner)
        unit = float(np.sqrt(ols.scale))
        model = GEE(ols.resid / unit, inner.x, data.groups, cov_struct=Exchangeable())
        start = np.zeros(data.x.shape[1])
        result = model.fit(maxiter=200, ctol=1e-10 * len(data.y), start_params=start, cov_type=cov_type)
        beta = back @ (ols.params + unit * result.params)
        std_error = unit * np.sqrt(np.diag(back @ result.cov_params() @ back.T))
        _, _, naive = coefficients(ols, back)
        answer = sandwich_answer(
            data.terms, beta, std_error, naive, np.inf, icc=float(result.cov_struct.dep_params)
        )
        return answer if result.converged else replace(answer, status=FitStatus.NOT_CONVERGED)

    return fit


def require_pairs(data: DataSet) -> None:
    """Raise `CannotFit` unless alpha's denominator, pairs of students in one school less p, is positive."""
    pairs, p = float((data.sizes * (data.sizes - 1.0)).sum() / 2.0), data.x.shape[1]
    if pairs <= p:
        raise CannotFit(
            f"the working correlation needs more than {p} pairs of students in one school, got {pairs:g}"
        )


GEE_Z = Estimator(
    name="gee-z",
    version=1,
    info=Info(
        label="GEE z",
        summary="GEE, exchangeable working correlation, robust sandwich",
        assumes="many schools; schools independent of each other",
        df="inf (z)",
        source="Liang & Zeger 1986; statsmodels GEE",
    ),
    reference=reference_engine(fit_gee("robust"), quantities=("(icc)",)),
    agreement=Agreement.IMPLICIT,
)
GEE_MD_Z = Estimator(
    name="gee-md-z",
    version=1,
    info=Info(
        label="GEE Mancl-DeRouen z",
        summary="GEE, exchangeable, sandwich with the Mancl-DeRouen correction for few schools",
        assumes="schools independent of each other",
        df="inf (z)",
        source="Mancl & DeRouen 2001; statsmodels cov_type='bias_reduced'",
    ),
    reference=reference_engine(fit_gee("bias_reduced"), quantities=("(icc)",)),
    agreement=Agreement.IMPLICIT,
)

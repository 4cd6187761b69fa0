"""Generalised estimating equations with an exchangeable working correlation, identity link.

``sum_g X_g' R_g(alpha)^-1 (y_g - X_g beta) = 0`` with R_g the equicorrelation matrix; alpha and the scale are moment
estimates from residual products, with statsmodels' N - p and pairs - p denominators. Standard errors are the sandwich
(`robust`) or Mancl and DeRouen's, whose residuals are multiplied by ``(I - H_gg)^-1``. Always normal reference.
"""

from __future__ import annotations

import numpy as np
from statsmodels.genmod.cov_struct import Exchangeable
from statsmodels.genmod.generalized_estimating_equations import GEE

from nestbench.estimators.estimates import FitStatus
from nestbench.estimators.estimator import Agreement, Estimator, Info
from nestbench.estimators.ols import least_squares
from nestbench.estimators.ols_cluster import naive_se, require_schools, sandwich_answer
from nestbench.estimators.reference import Answer, DataSet, FitOne, reference_engine


def fit_gee(cov_type: str) -> FitOne:
    """Return the method for statsmodels' `cov_type` ``robust`` or ``bias_reduced``."""

    def fit(data: DataSet) -> Answer:
        require_schools(data)
        naive = naive_se(least_squares(data))
        result = GEE(data.y, data.x, data.groups, cov_struct=Exchangeable()).fit(cov_type=cov_type)
        answer = sandwich_answer(
            data.terms,
            np.asarray(result.params),
            np.asarray(result.bse),
            naive,
            np.inf,
            icc=float(result.cov_struct.dep_params),
        )
        if result.converged:
            return answer
        return Answer(
            answer.estimate,
            answer.std_error,
            answer.df,
            FitStatus.NOT_CONVERGED,
            answer.quantities,
            answer.message,
        )

    return fit


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

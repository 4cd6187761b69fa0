"""OLS with a dummy for each school (LSDV): the blog recipe ``OLS(grade ~ age + gender + school)``.

The slopes are those of the within-school regression. What is constant within schools, the intercept included, is
absorbed by the dummies: such terms have no answer here, which is foreseen and not a fault of the fit.
"""

from __future__ import annotations

import numpy as np

from nestbench.estimators.engines import ols_batched
from nestbench.estimators.engines.cluster_robust import MEAT, coefficients, require_schools, sandwich_answer
from nestbench.estimators.engines.distributions import (
    BESIDE_DUMMIES,
    DF,
    batched_engine,
    dense_df,
    df_of,
    with_reference,
    working,
)
from nestbench.estimators.engines.least_squares import require_residuals
from nestbench.estimators.engines.reference import (
    Answer,
    DataSet,
    FitOne,
    reference_engine,
)
from nestbench.estimators.engines.school_dummies import ABSORBED, WITHIN, student_level, with_dummies
from nestbench.estimators.estimator import Agreement, Estimator, Info


def fit_dummies(robust: bool) -> FitOne:
    """Return LSDV with iid errors, t(N - G - p), or with the CR1S cluster sandwich (N - p counts the dummies).

    Parameters
    ----------
    robust : bool
        The sandwich instead of iid errors. With the dummies in X the scores of each school sum to 0: the standard
        errors of the dummies themselves are then rounding, and are not given.
    """

    def fit(data: DataSet) -> Answer:
        """Fit the regression with dummies written out, by statsmodels."""
        from statsmodels.regression.linear_model import OLS

        n, slopes, g = len(data.y), data.x.shape[1], data.schools
        inner, back = with_dummies(data)
        if robust:
            require_schools(data)
        kinds = {"cov_type": "cluster", "cov_kwds": {"groups": data.groups}, "use_t": False} if robust else {}
        # The dummies sum to the constant: said here, as statsmodels would look for that by the rank of n x (p + G).
        result = OLS(inner.y, inner.x, hasconst=True).fit(method="qr", **kinds)
        require_residuals(result.resid, data.y)
        df = df_of(data, lambda: dense_df(inner, back, 0.0)) if robust else n - slopes - g
        return sandwich_answer(
            data.terms,
            *coefficients(result, back),
            df,
            residual_sd=float(np.sqrt(result.scale)),
        )

    return fit


_IID, _ROBUST = (
    reference_engine(fit_dummies(robust), quantities=("(residual_sd)",), screen=student_level)
    for robust in (False, True)
)

DUMMIES = Estimator(
    name="dummies",
    version=1,
    info=Info(
        label="School dummies",
        summary="least squares with a dummy for each school (within-school regression), iid standard errors",
        assumes="independent errors of equal variance within schools; says nothing on school-level terms",
        df="N - G - p",
        source="statsmodels OLS with school dummies; the within estimator",
        formula=WITHIN,
    ),
    reference=_IID,
    batched=ols_batched.within_engine(ols_batched.iid, _IID),
    agreement=Agreement.DIRECT,
)
_CR1S = ols_batched.cr0("CR1S")

DUMMIES_CR1S_Z = with_reference(
    Estimator(
        name="dummies-cr1s-z",
        version=1,
        info=Info(
            label="School dummies CR1S z",
            summary="school dummies with statsmodels' default cluster sandwich: the tutorial recipe, normal reference",
            assumes="many schools; says nothing on school-level terms",
            df="inf (z)",
            source="statsmodels cov_type='cluster'; (N - 1)/(N - p) counts the dummies",
            formula=(
                *ABSORBED,
                rf"\operatorname{{Var}}(\hat\beta) = \frac{{G}}{{G - 1}}\, \frac{{N - 1}}{{N - G - p}}\, {MEAT}",
                DF["z"],
            ),
        ),
        reference=_ROBUST,
        batched=batched_engine(ols_batched.within_engine, _CR1S, working(_CR1S), _ROBUST),
        agreement=Agreement.DIRECT,
    ),
    "z",
    "School dummies CR1S",
    "school dummies with the CR1S cluster sandwich",
    BESIDE_DUMMIES,
)

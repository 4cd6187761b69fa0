"""OLS with a dummy for each school (LSDV): the blog recipe ``OLS(grade ~ age + gender + school)``.

The slopes are those of the within-school regression. What is constant within schools, the intercept included, is
absorbed by the dummies: such terms have no answer here, which is foreseen and not a fault of the fit.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from statsmodels.regression.linear_model import OLS

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
from nestbench.estimators.engines.estimable import estimable
from nestbench.estimators.engines.least_squares import require_residuals
from nestbench.estimators.engines.reference import (
    Answer,
    CannotFit,
    DataSet,
    FitOne,
    Screened,
    names_of,
    reference_engine,
)
from nestbench.estimators.estimates import FitStatus
from nestbench.estimators.estimator import Agreement, Estimator, Info
from nestbench.sim.observed.batch import Floats


def student_level(data: DataSet) -> Screened:
    """Screen for within-school methods: terms that vary within schools, and are estimable beside school dummies."""
    varies = ~data.school_constant()
    columns = np.flatnonzero(varies)
    x = data.x[:, columns]
    fine, kept = estimable(x - data.school_means(x)[data.groups], None)
    answer = np.zeros(len(varies), dtype=bool)
    answer[columns[fine]] = True
    message = "" if varies.all() else f"not estimable beside school dummies: {names_of(data.terms, ~varies)}"
    if fine.all():
        return Screened(columns[kept], answer, FitStatus.OK, message)
    lost = names_of([data.terms[c] for c in columns], ~fine)
    return Screened(
        columns[kept],
        answer,
        FitStatus.SINGULAR,
        f"{message}; not estimable, columns are linearly dependent: {lost}".removeprefix("; "),
    )


def require_within(data: DataSet) -> int:
    """Return the number of slopes of a within-school regression.

    Raises
    ------
    CannotFit
        There is none, or nothing is left to estimate the residual variance from.
    """
    n, slopes, g = len(data.y), int(data.x.shape[1]), data.schools
    if not slopes:
        raise CannotFit("no term varies within schools")
    if n <= slopes + g:
        raise CannotFit(f"no residual degrees of freedom: {n} observations, {slopes + g} coefficients")
    return slopes


def with_dummies(data: DataSet) -> tuple[DataSet, Floats]:
    """Return the data set with a column a school, in columns that lose no digits, and A [p, p + G]: beta = A b.

    The terms' deviations from school means are made orthogonal, and the outcome is its own deviations: what school
    dummies absorb anyway.
    """
    n, g = len(data.y), data.schools
    slopes = require_within(data)
    deviations = data.x - data.school_means(data.x)[data.groups]
    size = np.sqrt((deviations**2).mean(axis=0))
    q, r = np.linalg.qr(deviations / size)
    x = np.column_stack([np.sqrt(n) * q, data.groups[:, None] == np.arange(g)])
    back = np.column_stack([np.sqrt(n) * np.diag(1.0 / size) @ np.linalg.inv(r), np.zeros((slopes, g))])
    return replace(data, x=x, y=data.y - data.school_means(data.y)[data.groups]), back


def fit_dummies(robust: bool) -> FitOne:
    """Return LSDV with iid errors, t(N - G - p), or with the CR1S cluster sandwich (N - p counts the dummies)."""

    def fit(data: DataSet) -> Answer:
        n, slopes, g = len(data.y), data.x.shape[1], data.schools
        inner, back = with_dummies(data)
        if robust:
            require_schools(data)
        kinds = {"cov_type": "cluster", "cov_kwds": {"groups": data.groups}, "use_t": False} if robust else {}
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

ABSORBED = (
    r"y = X\beta + D\alpha + \varepsilon, \quad D \text{ a column a school}",
    r"\hat\beta = (\ddot X^\top \ddot X)^{-1} \ddot X^\top \ddot y, \quad \ddot x_{gi} = x_{gi} - \bar x_g",
)
"""In the lines that follow, M, H, X_g and e are those of the regression on [X D]; p counts the columns of X alone."""

DUMMIES = Estimator(
    name="dummies",
    version=1,
    info=Info(
        label="School dummies",
        summary="least squares with a dummy for each school (within-school regression), iid standard errors",
        assumes="independent errors of equal variance within schools; says nothing on school-level terms",
        df="N - G - p",
        source="statsmodels OLS with school dummies; the within estimator",
        formula=(
            *ABSORBED,
            r"\operatorname{Var}(\hat\beta) = s^2 (\ddot X^\top \ddot X)^{-1}, \quad s^2 = \frac{e^\top e}{N - G - p}",
            r"\nu = N - G - p",
        ),
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

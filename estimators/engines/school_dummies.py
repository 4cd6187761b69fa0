"""Least squares beside a column a school: what it can estimate, and columns that lose no digits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nestbench.estimators.engines.estimable import estimable
from nestbench.estimators.engines.reference import CannotFit, DataSet, Screened, names_of
from nestbench.estimators.estimates import FitStatus
from nestbench.sim.observed.batch import Floats

ABSORBED = (
    r"y = X\beta + D\alpha + \varepsilon, \quad D \text{ a column a school}",
    r"\hat\beta = (\ddot X^\top \ddot X)^{-1} \ddot X^\top \ddot y, \quad \ddot x_{gi} = x_{gi} - \bar x_g",
)
"""In the lines that follow, M, H, X_g and e are those of the regression on [X D]; p counts the columns of X alone."""

WITHIN = (
    *ABSORBED,
    r"\operatorname{Var}(\hat\beta) = s^2 (\ddot X^\top \ddot X)^{-1}, \quad s^2 = \frac{e^\top e}{N - G - p}",
    r"\nu = N - G - p",
)
"""With iid errors within schools."""


def student_level(data: DataSet) -> Screened:
    """Screen for within-school methods: terms that vary within schools, and are estimable beside school dummies."""
    varies = ~data.school_constant()
    columns = np.flatnonzero(varies)
    x = data.x[:, columns]
    # Deviations have a mean of 0 in every school, so that centring for an intercept would do nothing.
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

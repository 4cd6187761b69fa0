"""Whether data can tell the variance components of a model apart: one test for every method that estimates them.

The compiled kernels ask the same questions of school cross-products; their codes mean these words
(`mixed_fit.OUTCOMES`).
"""

from __future__ import annotations

import numpy as np

from nestbench.estimators.engines.reference import CannotFit, DataSet
from nestbench.sim.observed.batch import Floats, Ints

NO_SCHOOL_DF = "no degrees of freedom between schools are left: the school variance is not identified"
ZERO_COLUMN = "a column of the random part is zero for every student: its variance is not identified"
MANY_EFFECTS = "no more students than random effects: their variances are not identified"
CONFOUNDED = "every school has one class, or every class one student: the class variance is not identified"
ONE_STUDENT = "one student per school: school and residual variance can't be told apart"
NO_WITHIN = "the outcome is fitted exactly within schools: the residual variance is not identified"
EXACT = "the outcome is fitted exactly: there is no residual variation to judge by"


def check_residuals(data: DataSet) -> None:
    """Raise `CannotFit` where nothing is left to estimate a variance from.

    Both cases would give an answer (a residual variance of rounding error, and standard errors to go with it), which is
    why they are refused before a fit and not after it.
    """
    n, p = data.x.shape
    if n <= p:
        raise CannotFit(f"no residual degrees of freedom: {n} observations, {p} coefficients")
    if fitted_exactly(data.standardised()[0].x, data.y, 1e-13):
        raise CannotFit(EXACT)


def fitted_exactly(x: Floats, y: Floats, share: float) -> bool:
    """Whether least squares leaves residuals below a share of the largest outcome.

    Parameters
    ----------
    x, y : float64 [n, p], [n]
    share : float
        1e-13 for well-conditioned columns: what rounding leaves of an exact fit.
    """
    residual = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    return float(np.sqrt(np.mean(residual**2))) <= share * float(np.abs(y).max(initial=0.0))


def check_within(data: DataSet, groups: Ints) -> None:
    """Raise `CannotFit` where indicators of `groups` fit the outcome exactly though students are left over."""
    both = np.column_stack([data.standardised()[0].x, groups[:, None] == np.unique(groups)])
    if len(both) > np.linalg.matrix_rank(both) and fitted_exactly(both, data.y, 1e-12):
        raise CannotFit(NO_WITHIN)


def require_levels(data: DataSet) -> Floats:
    """Raise `CannotFit` where what schools share can't be told from what students don't; return standard columns."""
    check_residuals(data)
    n = len(data.y)
    x = data.standardised()[0].x
    # x'x = n I: the squares that x leaves of the school indicators, without writing these out (n x G).
    explained = float(np.sum(np.add.reduceat(x, data.starts, axis=0) ** 2)) / n
    if data.schools < 2 or n - explained <= 1e-8 * n:
        raise CannotFit(NO_SCHOOL_DF)
    if data.sizes.max() == 1:
        raise CannotFit(ONE_STUDENT)
    return x


def require_identified(data: DataSet) -> None:
    """Raise `CannotFit` where the variances of a random part are not identified."""
    x = require_levels(data)
    if not data.z.any(axis=0).all():
        raise CannotFit(ZERO_COLUMN)
    if len(data.y) <= data.z.shape[1] * data.schools:
        raise CannotFit(MANY_EFFECTS)
    if _exact_within(data, x):
        raise CannotFit(NO_WITHIN)


def _exact_within(data: DataSet, x: Floats) -> bool:
    """Whether x and school indicators fit the outcome exactly; x'x = n I."""
    within_x, within_y = (v - data.school_means(v)[data.groups] for v in (x, data.y))
    basis, length, _ = np.linalg.svd(within_x, full_matrices=False)
    # What a school-level column leaves within schools is rounding, and no direction to project on.
    basis = basis[:, length > 1e-9 * np.sqrt(len(x))]
    residual = within_y - basis @ (basis.T @ within_y)
    return float(np.sqrt(np.mean(residual**2))) <= 1e-12 * float(np.abs(data.y).max(initial=0.0))

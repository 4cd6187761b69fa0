"""The covariance of the errors given the columns: Omega = D + B B' within schools, D diagonal.

Columns of B: the school effect (by arm where its variance differs), the random slope, the schools' deviations of the
treatment effect, the classes. Where errors and columns depend on each other (confounding, informative sizes), or
where a scale is random, there is no such covariance, and none is returned.
"""

from __future__ import annotations

import numpy as np

from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.batch import Batch, Category, Floats
from nestbench.sim.random_intercept.parameters import Parameters
from nestbench.sim.random_intercept.schools import arm_variances, spread_by_resources
from nestbench.sim.random_intercept.students import proportional_variance


def gaussian(law: Parameters) -> bool:
    """Whether all errors are normal given the columns."""
    return law.residual_shape == "normal" and law.school_errors == "normal" and not law.residual_cv


def covariance_of(law: Parameters, layout: Layout, batch: Batch, rows: slice) -> tuple[Floats, Floats] | None:
    """Return B' [q, n] and the diagonal of D [n] for one data set's rows, or None where they aren't known.

    The errors of one data set have covariance D + B B' within each school: a diagonal and as many columns as there
    are random effects. Exact tests need no more of a population than this.

    Parameters
    ----------
    law : Parameters
    layout : Layout
    batch : Batch
        Its columns decide slopes and arms.
    rows : slice
        Those of one replication.
    """
    if law.age_confounding or law.resources_confounding or law.size_correlation:
        return None
    treated, age = _column(batch, "treated")[rows], _column(batch, "age")[rows]
    n = len(age)
    school, residual = np.full(n, law.school_sd), np.full(n, law.residual_sd**2)
    if law.treated_school_variance_ratio != 1.0:
        school = np.sqrt(_arms(law.school_sd**2, law.treated_school_variance_ratio, layout, treated))
    if law.treated_variance_ratio != 1.0:
        residual = _arms(law.residual_sd**2, law.treated_variance_ratio, layout, treated)
    if law.residual_proportional:
        residual = residual * proportional_variance(law, age)
    if law.residual_age:
        # z is the deviation from the school's expected age, which no column has.
        if law.age_icc:
            return None
        z = (age - law.age_mean) / law.age_sd
        residual = residual * np.exp(law.residual_age * z - 0.5 * law.residual_age**2)
    r = law.slope_correlation
    deviation = law.slope_sd * (age - law.age_mean)
    resources = _column(batch, "resources")[rows]
    if law.school_sd_resources:
        school = school * spread_by_resources(law, law.school_sd_resources, resources)
    if law.slope_sd_resources:
        deviation = deviation * spread_by_resources(law, law.slope_sd_resources, resources)
    # The part of the slope that goes with the school effect is a multiple of it: one column for both.
    factors = [school + r * deviation, np.sqrt(1.0 - r * r) * deviation, law.treatment_sd * treated]
    if law.class_sd:
        column = batch.columns["class"]
        assert isinstance(column, Category)
        factors += [law.class_sd * (column.codes[rows] == c) for c in range(len(column.levels))]
    used = [f for f in factors if f.any()] or [np.zeros(n)]
    return np.stack(used), residual


def _arms(variance: float, ratio: float, layout: Layout, treated: Floats) -> Floats:
    """Return a variance for each student [N]: that of the arm the student is in."""
    control, arm = arm_variances(variance, ratio, layout.treated_part)
    return np.where(treated > 0, arm, control)


def _column(batch: Batch, name: str) -> Floats:
    """Return a column of numbers."""
    column = batch.columns[name]
    assert not isinstance(column, Category)
    return column

"""The covariance of the errors given the columns: Omega = D + B B' within schools, D diagonal.

Columns of B: the school effect (by arm where its variance differs), the random slope, the schools' deviations of the
treatment effect, the classes. Where errors and columns depend on each other (confounding, informative sizes), or
where a scale is random, there is no such covariance, and none is returned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.affine import Affine
from nestbench.sim.observed.batch import Batch, Category, Column, Floats
from nestbench.sim.observed.strata import Strata
from nestbench.sim.random_intercept.parameters import Parameters
from nestbench.sim.random_intercept.schools import arm_variances, spread_by_resources
from nestbench.sim.random_intercept.students import proportional_variance
from nestbench.sim.theory.rows import on_strata


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
    klass = batch.columns.get("class")
    return errors_of(
        law,
        layout,
        Seen(
            np.ones(len(range(*rows.indices(batch.rows)))),
            _column(batch, "age")[rows],
            _column(batch, "treated")[rows],
            _column(batch, "resources")[rows],
            klass.codes[rows] if isinstance(klass, Category) else None,
        ),
    )


def covariance_on_strata(law: Parameters, layout: Layout, strata: Strata) -> tuple[Floats, Floats] | None:
    """Return the same on the rows that stand for strata (`nestbench.sim.theory.rows`), the variance that of their
    students; residual variances must be constant in strata."""
    wide = 1 + strata.factor.shape[2]
    age = Affine(strata.mean[:, strata.varying.index("age")], strata.varying.index("age"))
    unit, ages = on_strata([Affine(np.ones(len(strata.count))), age], strata)
    treated, resources = (np.repeat(_numbers(strata.constants[n]), wide) for n in ("treated", "resources"))
    klass = strata.constants.get("class")
    classes = np.repeat(klass.codes, wide) if isinstance(klass, Category) else None
    return errors_of(law, layout, Seen(unit, ages, treated, resources, classes))


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the errors of n rows depend on.

    Attributes
    ----------
    unit, age : float64 [n]
        The columns of 1 and of age on the rows.
    treated, resources : float64 [n]
        Those of the students that a row stands for.
    classes : int32 [n] or None
        Their class.
    """

    unit: Floats
    age: Floats
    treated: Floats
    resources: Floats
    classes: np.ndarray[tuple[int, ...], np.dtype[np.int32]] | None


def errors_of(law: Parameters, layout: Layout, seen: Seen) -> tuple[Floats, Floats] | None:
    """Return B' [q, n] and the diagonal of D [n] on some rows, or None where they aren't known."""
    if law.age_confounding or law.resources_confounding or law.size_correlation:
        return None
    n, treated = len(seen.unit), seen.treated
    school, residual = np.full(n, law.school_sd), np.full(n, law.residual_sd**2)
    if law.treated_school_variance_ratio != 1.0:
        school = np.sqrt(_arms(law.school_sd**2, law.treated_school_variance_ratio, layout, treated))
    if law.treated_variance_ratio != 1.0:
        residual = _arms(law.residual_sd**2, law.treated_variance_ratio, layout, treated)
    if law.residual_proportional:
        residual = residual * proportional_variance(law, seen.age)
    if law.residual_age:
        # z is the deviation from the school's expected age, which no column has.
        if law.age_icc:
            return None
        z = (seen.age - law.age_mean) / law.age_sd
        residual = residual * np.exp(law.residual_age * z - 0.5 * law.residual_age**2)
    r = law.slope_correlation
    deviation = law.slope_sd * (seen.age - law.age_mean * seen.unit)
    if law.school_sd_resources:
        school = school * spread_by_resources(law, law.school_sd_resources, seen.resources)
    if law.slope_sd_resources:
        deviation = deviation * spread_by_resources(law, law.slope_sd_resources, seen.resources)
    # The part of the slope that goes with the school effect is a multiple of it: one column for both.
    shared = school * seen.unit + r * deviation
    factors = [shared, np.sqrt(1.0 - r * r) * deviation, law.treatment_sd * treated * seen.unit]
    if law.class_sd:
        assert seen.classes is not None
        factors += [law.class_sd * (seen.classes == c) * seen.unit for c in range(layout.classes)]
    used = [f for f in factors if f.any()] or [np.zeros(n)]
    return np.stack(used), residual


def _arms(variance: float, ratio: float, layout: Layout, treated: Floats) -> Floats:
    """Return a variance for each student [N]: that of the arm the student is in."""
    control, arm = arm_variances(variance, ratio, layout.treated_part)
    return np.where(treated > 0, arm, control)


def _column(batch: Batch, name: str) -> Floats:
    return _numbers(batch.columns[name])


def _numbers(column: Column) -> Floats:
    """Return a column of numbers."""
    assert not isinstance(column, Category)
    return column

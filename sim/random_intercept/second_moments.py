"""Second moments of a population's columns and errors: in one student, and between two students of one school.

Every quantity of the limit of many equal schools follows from these two: of schools of m students, a school mean has
covariance (total + (m - 1) shared) / m, and deviations from it have (m - 1) / m (total - shared) a student.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from nestbench.sim.cells.layout import Layout
from nestbench.sim.cells.mean import Effect
from nestbench.sim.observed.batch import Floats
from nestbench.sim.random_intercept.parameters import Parameters
from nestbench.sim.random_intercept.schools import arm_variances

COLUMNS = ("age", "gender[T.male]", "resources", "treated")
"""The terms of the columns whose second moments are known; only age and resources are related, by the school
effect."""


@dataclass(frozen=True, slots=True, eq=False)
class Second:
    """A covariance in one student (`total`) and between two students of one school (`shared`)."""

    total: Floats
    shared: Floats

    def within(self, m: int) -> Floats:
        """Return the covariance of deviations from the school's mean, per student."""
        return np.asarray((m - 1) / m * (self.total - self.shared))

    def between(self, m: int) -> Floats:
        """Return the covariance of school means."""
        return np.asarray((self.total + (m - 1) * self.shared) / m)


def of_columns(law: Parameters, layout: Layout) -> Second:
    """Return the second moments of `COLUMNS` [4, 4]."""
    part = law.age_sd * float(np.sqrt(law.age_icc))
    related = law.age_confounding * law.resources_confounding * part * law.resources_sd
    t, p = layout.treated_part, law.male_share
    total = np.diag([law.age_sd**2, p * (1.0 - p), law.resources_sd**2, t * (1.0 - t)])
    shared = np.diag([part**2, 0.0, law.resources_sd**2, _shared_treatment(layout)])
    for moments in (total, shared):
        moments[0, 2] = moments[2, 0] = related
    return Second(total, shared)


def with_school_effect(law: Parameters, layout: Layout) -> Floats:
    """Return the covariance of `COLUMNS` [4] with the school effect."""
    sd = law.school_sd
    if law.treated_school_variance_ratio != 1.0:
        # What correlates with u takes the mean of its SDs, not the root of the mean variance.
        arms = arm_variances(sd**2, law.treated_school_variance_ratio, layout.treated_part)
        sd = float(np.array([1.0 - layout.treated_part, layout.treated_part]) @ np.sqrt(arms))
    part = law.age_sd * float(np.sqrt(law.age_icc))
    return np.array([law.age_confounding * part, 0.0, law.resources_confounding * law.resources_sd, 0.0]) * sd


def of_errors(law: Parameters, layout: Layout, left_out: Iterable[Effect]) -> Second | None:
    """Return variance and shared variance of the errors with the effects `left_out`; None where they aren't known.

    Sizes must be equal where there are classes or treated students.
    """
    total = law.residual_sd**2 + law.school_sd**2 + law.slope_sd**2 * law.age_sd**2
    shared = law.school_sd**2 + law.slope_sd**2 * law.age_sd**2 * law.age_icc
    columns = of_columns(law, layout)
    total += law.treatment_sd**2 * layout.treated_part
    shared += law.treatment_sd**2 * (columns.shared[3, 3] + layout.treated_part**2)
    classes = law.class_sd**2
    for effect in left_out:
        if effect.term == "teacher":
            classes += effect.value**2
        elif effect.term in COLUMNS:
            i, square = COLUMNS.index(effect.term), effect.value**2
            total, shared = total + square * columns.total[i, i], shared + square * columns.shared[i, i]
        else:
            return None
    if classes:
        total, shared = total + classes, shared + classes * _same_class(layout)
    return Second(np.array(total), np.array(shared))


def _shared_treatment(layout: Layout) -> float:
    """Covariance of the treatments of two students of one school; of treated students, a school has its share to
    within one."""
    t = layout.treated_part
    if layout.assignment != "students":
        return t * (1.0 - t)
    m = float(layout.mean_size)
    # m t, rounded by chance, are treated: variance rest (1 - rest), which is m t (1 - t) + m (m - 1) times this.
    rest = (m * t) % 1.0
    return (rest * (1.0 - rest) - m * t * (1.0 - t)) / (m * (m - 1.0)) if m > 1 else 0.0


def _same_class(layout: Layout) -> float:
    """Probability that two students of a school share a class."""
    m, k = int(layout.mean_size), layout.classes
    if m < 2:
        return 0.0
    sizes = np.bincount(np.arange(m) * k // m, minlength=k)
    return float((sizes * (sizes - 1)).sum() / (m * (m - 1)))

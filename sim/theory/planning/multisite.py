"""Students randomised within schools: the multisite trial."""

from __future__ import annotations

from dataclasses import dataclass

from nestbench.sim.parameter import documented, parameter
from nestbench.sim.theory.planning.sizes import gls_variance
from nestbench.sim.theory.planning.trial import BlockedTrial, df_within_blocks


@documented
@dataclass(frozen=True, slots=True, kw_only=True)
class StudentsInSchools(BlockedTrial):
    """`treated_share` of the students of every school are treated (Dong & Maynard 2013, models 2.1 to 2.3: BIRA2).

    With w = (1 - icc) (1 - r2_student) / (P (1 - P) n), a school's variance of its own effect, and tau = effect_sd, the
    variance is::

        random     (tau^2 (1 - r2_effect) + w) / J    df J - 1 - school_covariates
        fixed      w / J                              df J n - 2 J - student_covariates
        constant   w / J                              df J n - J - 1 - student_covariates

    ``random``: the mean effect over schools like these (Raudenbush & Liu 2000). ``fixed``: the mean over these
    schools, each of which has an effect of its own. ``constant``: one effect for all, estimated with school dummies.
    Published formulas of the latter two are in SDs within schools: these with ``icc = 0``. Where the effects'
    variance is stated as omega times the schools', effect_sd = sqrt(omega icc). `r2_school` is without consequence:
    schools are compared with themselves.

    Raises
    ------
    InvalidInput
        A value outside its range, or an `effect_sd` with effects that don't vary.
    """

    school_covariates: int = parameter(0, "Number of covariates of schools (of their effects).", low=0)
    student_covariates: int = parameter(0, "Number of covariates of students.", low=0)

    @property
    def variance(self) -> float:
        """Of the mean effect."""
        within = (1.0 - self.icc) * (1.0 - self.r2_student) / self.per_arm
        school = gls_variance(self.effect_variance, within, self.students_left, self.size_cv_left)
        return school / self.schools_left

    @property
    def df(self) -> float:
        """Of `effects`, as in the table above."""
        students = self.schools_left * self.students_left
        covariates = (self.student_covariates, self.school_covariates)
        return df_within_blocks(self.effects, students, self.schools_left, *covariates)

"""Schools randomised, two levels: the cluster-randomised trial."""

from __future__ import annotations

from dataclasses import dataclass

from nestbench.sim.parameter import documented, parameter
from nestbench.sim.theory.planning.sizes import gls_variance
from nestbench.sim.theory.planning.trial import SchoolTrial


@documented
@dataclass(frozen=True, slots=True, kw_only=True)
class SchoolsRandomised(SchoolTrial):
    """Schools of which `treated_share` are treated, whole schools (Dong & Maynard 2013, model 3.1: CRA2_2r).

    Variance v / (P (1 - P) J) for J schools of n students::

        v = icc (1 - r2_school) + (1 - icc) (1 - r2_student) / n

    and df J - 2 - school_covariates (Raudenbush 1997; Bloom 2006). Unequal sizes: v as `sizes.gls_variance` has it.
    The t statistic is exactly noncentral t for equal sizes, normal errors of both levels and no covariates.

    Raises
    ------
    InvalidInput
        A value outside its range.
    """

    school_covariates: int = parameter(0, "Number of covariates of schools; each takes a df.", low=0)

    @property
    def school_variance(self) -> float:
        """v, the variance of one school's mean given covariates."""
        between, within = self.icc * (1.0 - self.r2_school), (1.0 - self.icc) * (1.0 - self.r2_student)
        return gls_variance(between, within, self.students_left, self.size_cv_left)

    @property
    def variance(self) -> float:
        """v / (P (1 - P) J)."""
        return self.school_variance / (self.per_arm * self.schools_left)

    @property
    def df(self) -> float:
        """J - 2 - school_covariates."""
        return self.schools_left - 2.0 - self.school_covariates

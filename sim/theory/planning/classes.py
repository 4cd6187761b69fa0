"""Three levels: students in classes in schools, with schools or classes randomised."""

from __future__ import annotations

from dataclasses import dataclass

from nestbench.sim.errors import InvalidInput
from nestbench.sim.parameter import documented, parameter
from nestbench.sim.theory.planning import chance
from nestbench.sim.theory.planning.schools import SchoolsRandomised
from nestbench.sim.theory.planning.sizes import gls_variance
from nestbench.sim.theory.planning.trial import SHARE, BlockedTrial, df_within_blocks, refuse_shares


@documented
@dataclass(frozen=True, slots=True, kw_only=True)
class SchoolsWithClasses(SchoolsRandomised):
    """Schools of several classes, of which `treated_share` are treated, whole schools (Dong & Maynard 2013: CRA3_3r).

    For J schools of C classes and n students (of all classes together) the variance is v / (P (1 - P) J) with::

        v = icc (1 - r2_school) + class_icc (1 - r2_class) / C + (1 - icc - class_icc) (1 - r2_student) / n

    and df J - 2 - school_covariates (Konstantopoulos 2008, Journal of Research on Educational Effectiveness 1:66); with
    `covariates_drawn` those of classes and students count by their share between schools, as in `SchoolsRandomised`.

    Raises
    ------
    InvalidInput
        A value outside its range, or shares that sum to 1.
    """

    classes: int = parameter(meaning="Classes a school.", low=1)
    class_icc: float = parameter(meaning="The classes' share of the variance.", **SHARE)
    r2_class: float = parameter(0.0, "Share of the classes' variance explained by covariates.", **SHARE)
    class_covariates: int = parameter(
        0, "Number of covariates of classes; counted where they are drawn.", low=0
    )

    def check(self) -> None:
        """Refuse shares that leave nothing to students."""
        super(SchoolsWithClasses, self).check()
        refuse_shares(self, "icc", "class_icc")

    @property
    def school_variance(self) -> float:
        """v, the variance of one school's mean given covariates."""
        between = self.icc * (1.0 - self.r2_school) + self.class_icc * (1.0 - self.r2_class) / self.classes
        within = (1.0 - self.icc - self.class_icc) * (1.0 - self.r2_student)
        return gls_variance(between, within, self.students_left, self.size_cv_left)

    @property
    def covariates_below(self) -> float:
        """Covariates of classes and students, as covariates of schools: known from differences within schools, of
        students within classes and of classes."""
        classes, size = float(self.classes), self.students_left / self.classes
        within = (1.0 - self.icc - self.class_icc) * (1.0 - self.r2_student)
        class_variance = self.class_icc * (1.0 - self.r2_class) + within / size
        between = chance.share_between(1.0 / classes, self.school_variance, (classes - 1.0) / class_variance)
        known = classes * max(size - 1.0, 0.0) / within + (classes - 1.0) / (size * class_variance)
        students = self.share_of_students((1.0 - self.covariate_icc) * known)
        return self.class_covariates * between + self.student_covariates * students


@documented
@dataclass(frozen=True, slots=True, kw_only=True)
class ClassesInSchools(BlockedTrial):
    """In each school `treated_share` of the classes are treated, whole classes (Dong & Maynard 2013: BCRA3_2).

    For J schools of C classes and n students (of all classes together), with tau = effect_sd and the class's variance::

        v = class_icc (1 - r2_class) + (1 - icc - class_icc) (1 - r2_student) C / n

        random     (tau^2 (1 - r2_effect) + v / (P (1 - P) C)) / J   df J - 1 - school_covariates
        fixed      v / (P (1 - P) C J)                               df J C - 2 J - class_covariates
        constant   v / (P (1 - P) C J)                               df J C - J - 1 - class_covariates

    Raises
    ------
    InvalidInput
        A value outside its range, shares that sum to 1, or fewer classes than arms.
    """

    classes: int = parameter(meaning="Classes a school, of both arms together.", low=2)
    class_icc: float = parameter(meaning="The classes' share of the variance.", **SHARE)
    r2_class: float = parameter(0.0, "Share of the classes' variance explained by covariates.", **SHARE)
    school_covariates: int = parameter(0, "Number of covariates of schools (of their effects).", low=0)
    class_covariates: int = parameter(0, "Number of covariates of classes.", low=0)

    def check(self) -> None:
        """Refuse shares that leave nothing to students, and schools that can't have both arms."""
        super(ClassesInSchools, self).check()
        refuse_shares(self, "icc", "class_icc")
        treated = self.treated_share * self.classes
        if not 1.0 - 1e-9 <= treated <= self.classes - 1.0 + 1e-9:
            raise InvalidInput(
                f"expected both arms in each school, got trial.treated_share = {self.treated_share:g} of "
                f"{self.classes} classes; add classes or take a share nearer to 0.5"
            )

    @property
    def variance(self) -> float:
        """Of the mean effect."""
        between = self.class_icc * (1.0 - self.r2_class) / (self.per_arm * self.classes)
        within = (1.0 - self.icc - self.class_icc) * (1.0 - self.r2_student) / self.per_arm
        total = gls_variance(self.effect_variance + between, within, self.students_left, self.size_cv_left)
        return total / self.schools_left

    @property
    def df(self) -> float:
        """Of `effects`, as in the table above."""
        classes, covariates = (
            self.schools_left * self.classes,
            (self.class_covariates, self.school_covariates),
        )
        return df_within_blocks(self.effects, classes, self.schools_left, *covariates)

"""Published answers to planning questions: numbers with their source; the arguments are those of the source."""

from __future__ import annotations

from typing import Any

from nestbench.sim.theory.planning.blocks import SchoolsInBlocks
from nestbench.sim.theory.planning.classes import ClassesInSchools, SchoolsWithClasses
from nestbench.sim.theory.planning.multisite import StudentsInSchools
from nestbench.sim.theory.planning.one_level import StudentsAlone
from nestbench.sim.theory.planning.schools import SchoolsRandomised

POWERUPR = "PowerUpR 1.1.0 (Bulus, Dong, Kelcey & Spybrook 2021), reference manual"
VIGNETTE = "PowerUpR 1.1.0, vignette on a three-level trial"
BACPOWR = "BACpowr (Tse & Lai), its tests, some of them from PowerUpR"
POWERUPR_RUN = "PowerUpR 1.1.0, run for the reference values of DrSnow (Santoni), 17 digits"
POWERUPR_SHOWN = "PowerUpR's output as the tests of pyPowerUp quote it"
POWERUP = "PowerUp! (Dong & Maynard 2013), the spreadsheet's values in the parity tests of pypowerup"
PUMP = "PUMP 1.0 (Hunter, Miratrix & Porter), vignette on sample sizes: one outcome of three, not adjusted, simulated"
CLUSTERPOWER = "clusterPower (Kleinman, Sakrejda, Moyer et al.), its tests: NIH calculator, PASS 11"


COVARIATES = SchoolsRandomised(
    schools=40, students=20, icc=0.1, r2_school=0.5, r2_student=0.3, school_covariates=1
)
BLOCKED_STUDENTS = StudentsInSchools(
    schools=50, students=8, icc=0.0, effects="constant", r2_student=0.3, student_covariates=2
)


def multisite(schools: int, students: int, rho: float, omega: float) -> StudentsInSchools:
    """Effects' variance stated as omega times that of schools."""
    return StudentsInSchools(schools=schools, students=students, icc=rho, effect_sd=(rho * omega) ** 0.5)


def three_levels(students: int) -> SchoolsWithClasses:
    """20 schools of 40 classes."""
    return SchoolsWithClasses(
        schools=20,
        classes=40,
        students=40 * students,
        icc=0.1,
        class_icc=0.1,
        r2_school=0.1,
        r2_class=0.1,
        r2_student=0.1,
        school_covariates=1,
    )


THREE_LEVELS = SchoolsWithClasses(
    schools=66,
    classes=2,
    students=40,
    icc=0.38,
    class_icc=0.1,
    r2_school=0.87,
    r2_class=0.53,
    r2_student=0.37,
    school_covariates=1,
)

CLASSES = SchoolsWithClasses(schools=60, classes=3, students=45, icc=0.06, class_icc=0.17)
FIXED_BLOCKS = SchoolsInBlocks(schools=220, block_size=44, students=20, icc=0.1, effects="fixed")
DISTRICTS = SchoolsInBlocks(
    schools=144, block_size=6, students=10, icc=0.1, block_icc=0.13, effect_sd=(0.13 * 0.4) ** 0.5
)

BLOOM: list[tuple[Any, float, float, str]] = [
    (StudentsAlone(students=250), 0.356, 5e-4, POWERUPR),
    (StudentsInSchools(schools=20, students=15, icc=0.0, effects="constant"), 0.325, 5e-4, POWERUPR),
    (StudentsInSchools(schools=20, students=15, icc=0.0, effects="fixed"), 0.325, 5e-4, POWERUPR),
    (multisite(20, 15, 0.17, 0.5), 0.366, 5e-4, POWERUPR),
    (SchoolsRandomised(schools=20, students=15, icc=0.17), 0.629, 5e-4, POWERUPR),
    (FIXED_BLOCKS, 0.145, 5e-4, POWERUPR),
    (
        ClassesInSchools(
            schools=24, classes=6, students=60, icc=0.13, class_icc=0.1, effect_sd=(0.13 * 0.4) ** 0.5
        ),
        0.246,
        5e-4,
        POWERUPR,
    ),
    (DISTRICTS, 0.246, 5e-4, POWERUPR),
    (CLASSES, 0.269, 5e-4, POWERUPR),
    (
        SchoolsWithClasses(
            schools=83,
            classes=2,
            students=20,
            icc=0.18,
            class_icc=0.06,
            r2_school=0.45,
            r2_class=0.5,
            r2_student=0.55,
            school_covariates=1,
            treated_share=0.4,
        ),
        0.230,
        5e-4,
        VIGNETTE,
    ),
    (COVARIATES, 0.25978539817059959, 1e-12, POWERUPR_RUN),
    (BLOCKED_STUDENTS, 0.23505815492850818, 1e-12, POWERUPR_RUN),
    (StudentsAlone(students=400), 0.28, 5e-3, POWERUP),
    (StudentsAlone(students=400, r2=0.5), 0.20, 5e-3, POWERUP),
    (StudentsInSchools(schools=14, students=80, icc=0.0, effects="constant"), 0.17, 5e-3, POWERUP),
    (
        StudentsInSchools(
            schools=14, students=80, icc=0.0, effects="constant", r2_student=0.2, student_covariates=1
        ),
        0.15,
        5e-3,
        POWERUP,
    ),
    (StudentsInSchools(schools=480, students=80, icc=0.0, effects="fixed"), 0.029, 5e-4, POWERUP),
    (
        StudentsInSchools(schools=200, students=10, icc=0.0, effects="fixed", r2_student=0.05),
        0.122,
        5e-4,
        POWERUP,
    ),
    (multisite(480, 80, 0.35, 0.1), 0.033, 5e-4, POWERUP),
    (multisite(500, 10, 0.35, 0.1), 0.068, 5e-4, POWERUP),
    (
        SchoolsRandomised(
            schools=40, students=100, icc=0.15, r2_school=0.53, r2_student=0.4, school_covariates=1
        ),
        0.250,
        5e-4,
        POWERUP,
    ),
    (THREE_LEVELS, 0.199, 5e-4, POWERUP),
    (
        SchoolsInBlocks(
            schools=220,
            block_size=44,
            students=20,
            icc=0.1,
            r2_school=0.5,
            r2_student=0.5,
            school_covariates=1,
            effects="fixed",
        ),
        0.102,
        5e-4,
        POWERUP,
    ),
    (
        SchoolsInBlocks(
            schools=128,
            students=20,
            icc=0.1,
            block_icc=0.38,
            r2_school=0.53,
            r2_student=0.37,
            effect_sd=(0.38 * 0.5) ** 0.5,
        ),
        0.200,
        5e-4,
        POWERUP,
    ),
]
"""Trial, smallest effect for 80 % power at 5 % (two-sided) by the multiplier of central t quantiles, rounding,
source."""

VIGNETTE_DF, VIGNETTE_SE, VIGNETTE_INTERVAL = 80, 0.081, (0.069, 0.392)
"""Of the trial of `VIGNETTE`: degrees of freedom, standard error, and the effect less and plus its critical value times
that."""

POWER: list[tuple[Any, float, float, float, str]] = [
    (SchoolsRandomised(schools=100, students=50, icc=0.2), 0.3, 0.892, 5e-4, BACPOWR),
    (SchoolsRandomised(schools=100, students=50, icc=0.2, treated_share=0.3), 0.3, 0.834, 5e-4, BACPOWR),
    (multisite(30, 10, 0.2, 0.0), 0.3, 0.8016, 5e-5, BACPOWR),
    (multisite(50, 20, 0.2, 0.5), 0.2, 0.776, 5e-5, BACPOWR),
    (COVARIATES, 0.25, 0.76937308867198606, 1e-11, POWERUPR_RUN),
    (BLOCKED_STUDENTS, 0.2, 0.6641777894466242, 1e-11, POWERUPR_RUN),
    (
        StudentsInSchools(schools=100, students=2, icc=0.0, effects="constant", r2_student=0.5),
        0.2,
        0.50826480662105067,
        1e-11,
        POWERUPR_RUN,
    ),
    (StudentsAlone(students=250), 0.356, 0.801, 5e-4, POWERUPR_SHOWN),
    (multisite(20, 15, 0.17, 0.5), 0.366, 0.801, 5e-4, POWERUPR_SHOWN),
    (SchoolsRandomised(schools=20, students=15, icc=0.17), 0.629, 0.8, 5e-4, POWERUPR_SHOWN),
    (CLASSES, 0.269, 0.8, 5e-4, POWERUPR_SHOWN),
    (FIXED_BLOCKS, 0.145, 0.803, 5e-4, POWERUPR_SHOWN),
    (DISTRICTS, 0.246, 0.799, 5e-4, POWERUPR_SHOWN),
    # means of three simulated shares of 10 000 each, related ones: three errors of one
    (three_levels(50), 0.25, 0.3996, 0.0147, PUMP),
    (three_levels(10), 0.25, 0.3943, 0.0147, PUMP),
]
"""Trial, effect, power at 5 % (two-sided) by the noncentral t, rounding, source."""

SMALLEST: list[tuple[Any, int, float, float, str]] = [
    (SchoolsRandomised(schools=200, students=50, icc=0.2), 2, 0.1850, 5e-5, BACPOWR),
    (SchoolsRandomised(schools=200, students=50, icc=0.2), 1, 0.164, 5e-5, BACPOWR),
    (multisite(200, 50, 0.2, 0.5), 2, 0.0806, 5e-5, BACPOWR),
    # found there by a search that stops at 1e-4
    (multisite(200, 50, 0.2, 0.5), 1, 0.0715, 1e-4, BACPOWR),
    # found there by a search that stops at 1e-5
    (SchoolsRandomised(schools=10, students=150, icc=0.05), 2, 0.4804988, 1e-5, CLUSTERPOWER),
]
"""Trial, sides, smallest effect for 80 % power at 5 % by the noncentral t, precision, source."""

SCHOOLS: list[tuple[Any, float, int, str]] = [
    (SchoolsRandomised(schools=2, students=20, icc=0.2), 0.5, 33, BACPOWR),
    (SchoolsRandomised(schools=2, students=3, icc=0.051), 0.958, 15, BACPOWR),
    (SchoolsRandomised(schools=2, students=3, icc=0.258), 1.149, 15, BACPOWR),
    (multisite(2, 5, 0.1, 0.3), 0.5, 26, BACPOWR),
    (THREE_LEVELS, 0.2, 66, POWERUP),
    (SchoolsRandomised(schools=2, students=150, icc=0.05), 0.4804988, 10, CLUSTERPOWER),
]
"""Trial, effect, schools needed for 80 % power at 5 % (two-sided), source."""

ICC: list[tuple[Any, float, float, str]] = [
    (SchoolsRandomised(schools=200, students=50, icc=0.0), 0.3, 0.5589, BACPOWR)
]
"""Trial, effect, largest ICC for 80 % power (found there by a search that stops at 1e-4), source."""

ASSURANCE: list[tuple[Any, float, float, float, str]] = [
    (multisite(50, 30, 0.2, 0.3), 0.3, 0.1, 0.9443, BACPOWR)
]
"""Trial, mean and SD of the effect, expected power, source."""

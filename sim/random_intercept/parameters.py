"""The parameters of a random-intercept population, and what they may be, alone and together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nestbench.sim import checks
from nestbench.sim.cells.layout import Layout
from nestbench.sim.parameter import PLAIN, SLOPES, check_declared, parameter
from nestbench.sim.random_intercept.shocks import shock

TERMS = {
    "Intercept": "Intercept",
    "age": "age",
    "gender": "gender[T.male]",
    "resources": "resources",
    "treated": "treated",
    "school_age": "group_mean(age)",
    "age:resources": "age:resources",
    "age:treated": "age:treated",
    "gender:treated": "gender[T.male]:treated",
    "size": "size",
    "treated:size": "treated:size",
    "teacher": "teacher",
}
"""Name of an effect in TOML -> name of its term in a fitted model."""


def _default_effects() -> dict[str, float]:
    """Return the effects of a population whose file states none."""
    return {"Intercept": 50.0, "age": 2.0, "gender": 1.0, "resources": 0.5, "treated": 0.0}


SHARE: dict[str, Any] = {"low": 0.0, "high": 1.0, "open_high": True}
CORRELATION: dict[str, Any] = {"low": -1.0, "high": 1.0}
POSITIVE: dict[str, Any] = {"low": 0.0, "open_low": True}
TILT: dict[str, Any] = {"low": -5.0, "high": 5.0}
LOG_ODDS: dict[str, Any] = {"low": -20.0, "high": 20.0}

OUTCOME = "units of the outcome"
FORMS = "``normal``, ``t(d)``, ``lognormal(s)``, ``chi2(d)``, ``bimodal(m)`` or ``uniform``"
AGE = "Distribution of age."
CONFOUNDING = "Correlation of the school effect with the school part of age and with resources."
SLOPE_WORDS = (
    "SD over schools of the effect of age (on age - age_mean), and its correlation with the school effect."
)
ARMS = "Residual and school-effect variance under treatment over that without; the mean over both stays."


@dataclass(frozen=True, slots=True)
class Parameters:
    """What `RandomIntercept` says of its parameters, apart from the class: its parts take these."""

    icc: float = parameter(
        0.2,
        "Intraclass correlation: the schools' share of the variance of u + e (and class effects).",
        **SHARE,
        errors=PLAIN,
    )
    total_sd: float = parameter(
        1.0, "SD of u + e (and class effects).", unit=OUTCOME, **POSITIVE, errors=PLAIN
    )
    effects: Mapping[str, float] = parameter(
        factory=_default_effects,
        meaning=f"Effects by name ({', '.join(TERMS)}); an effect that isn't named is 0. ``school_age`` acts on the "
        "mean age of the school's students, ``size`` on (n - mean) / mean of the school's size n, ``teacher`` on the "
        "class's N(0, 1) teacher.",
        choices=TERMS,
        errors=PLAIN,
    )
    age_mean: float = parameter(15.0, AGE, errors=PLAIN)
    age_sd: float = parameter(1.0, AGE, **POSITIVE, errors=PLAIN)
    male_share: float = parameter(
        0.5, "Probability of a boy.", **POSITIVE, high=1.0, open_high=True, errors=PLAIN
    )
    resources_sd: float = parameter(1.0, "SD of the schools' resources.", **POSITIVE, errors=PLAIN)
    resources_shape: str = parameter("normal", f"Shape of resources: {FORMS}.", check=shock, errors=PLAIN)
    age_icc: float = parameter(0.0, "Schools' share of the variance of age.", **SHARE, errors=PLAIN)
    age_confounding: float = parameter(0.0, CONFOUNDING, **CORRELATION)
    resources_confounding: float = parameter(0.0, CONFOUNDING, **CORRELATION)
    slope_sd: float = parameter(0.0, SLOPE_WORDS, low=0.0, errors=SLOPES)
    slope_correlation: float = parameter(0.0, SLOPE_WORDS, **CORRELATION, errors=SLOPES)
    treatment_sd: float = parameter(0.0, "SD over schools of the effect of treatment.", unit=OUTCOME, low=0.0)
    size_correlation: float = parameter(
        0.0,
        "Correlation of the school effect with the normal behind the lognormal size (needs ``layout.size_cv``).",
        **CORRELATION,
    )
    residual_shape: str = parameter(
        "normal", f"Shapes of residuals and of school effects: {FORMS}.", check=shock
    )
    school_errors: str = parameter(
        "normal", f"Shapes of residuals and of school effects: {FORMS}.", check=shock
    )
    residual_cv: float = parameter(
        0.0,
        "Coefficient of variation over schools of the residual variance (lognormal, mean unchanged).",
        low=0.0,
        high=10.0,
    )
    residual_age: float = parameter(
        0.0,
        "h in residual variance x exp(h z - h^2/2), z the student's deviation from the school's expected age, in SDs.",
        **TILT,
    )
    residual_proportional: float = parameter(
        0.0,
        "w in residual variance x (1 - w + w z^2), z = (age - age_mean) / age_sd. With 1 the residual SD is "
        "proportional to abs(age - age_mean), as in Cameron, Gelbach & Miller (2008); the mean variance stays.",
        low=0.0,
        high=1.0,
    )
    school_sd_resources: float = parameter(
        0.0,
        "h in school-effect variance x exp(h r - h^2 / 2), r the school's resources in SDs: the SD grows by the factor "
        "exp(h / 2) per SD of resources, the mean variance stays (needs normal resources).",
        **TILT,
    )
    slope_sd_resources: float = parameter(0.0, "The same for the variance of slopes.", **TILT)
    treated_variance_ratio: float = parameter(1.0, ARMS, **POSITIVE)
    treated_school_variance_ratio: float = parameter(1.0, ARMS, **POSITIVE)
    class_icc: float = parameter(0.0, "Classes' share of the variance (needs ``layout.classes``).", **SHARE)
    missing: float = parameter(0.0, "Share of students missing.", **SHARE, errors=PLAIN)
    missing_age: float = parameter(
        0.0, "Log-odds of being missing per SD of age (0: completely at random).", **LOG_ODDS, errors=PLAIN
    )
    missing_schools: int = parameter(0, "Number of schools that drop out.", low=0, errors=PLAIN)
    missing_resources: float = parameter(
        0.0, "Log-odds of a school's dropping out first, per SD of resources.", **LOG_ODDS, errors=PLAIN
    )
    version: int = parameter(
        2,
        "How data sets are drawn. 2: by the statistics of the schools' strata, with students completed from them when "
        "they are asked for, in a time that doesn't depend on the number of students; where the population doesn't "
        "allow it (residuals that aren't normal, or whose variance depends on age; students missing by their age), as "
        "in 1. 1: student by student. The population is the same, the numbers are others.",
        low=1,
        high=2,
        errors=PLAIN,
        unwritten=1,
    )

    def __post_init__(self) -> None:
        checks.make_python(self)
        object.__setattr__(self, "effects", check_parameters(self, TERMS))

    def effect(self, name: str) -> float:
        """Return an effect by its name in `effects`."""
        return self.effects.get(name, 0.0)

    @property
    def school_sd(self) -> float:
        """SD of the school effects."""
        return self.total_sd * float(np.sqrt(self.icc))

    @property
    def class_sd(self) -> float:
        """SD of the class effects."""
        return self.total_sd * float(np.sqrt(self.class_icc))

    @property
    def residual_sd(self) -> float:
        """SD of the residuals."""
        return self.total_sd * float(np.sqrt(1.0 - self.icc - self.class_icc))


def check_parameters(law: Parameters, effects: Iterable[str]) -> dict[str, float]:
    """Check every parameter and return the effects as floats.

    Raises
    ------
    InvalidInput
        Names the parameter, its value and what is allowed.
    """
    check_declared(law, "population")
    _check_shares(law)
    _check_spreads(law)
    return checks.coefficients("population.effects", law.effects, effects)


def check_combination(law: Parameters, layout: Layout) -> None:
    """Check a population with a layout.

    Raises
    ------
    InvalidInput
        Names both and says why they can't be combined.
    """
    _needs(
        law.size_correlation, "population.size_correlation", layout.size_cv, "layout.size_cv", "random sizes"
    )
    classes = "classes, which the layout has none of"
    _needs(law.class_icc, "population.class_icc", layout.classes, "layout.classes", classes)
    _needs(
        law.effects.get("teacher"), "population.effects.teacher", layout.classes, "layout.classes", classes
    )
    part = layout.treated_part
    arms = "students or schools in both arms"
    for name in ("treated_variance_ratio", "treated_school_variance_ratio"):
        _needs(getattr(law, name) != 1.0, f"population.{name}", 0.0 < part < 1.0, "the treated share", arms)
    if law.treated_school_variance_ratio != 1.0 and layout.assignment == "students":
        why = "a school's effect is shared by its treated and untreated students"
        names = ("population.treated_school_variance_ratio", 'layout.assignment = "students"')
        raise checks.clash(*names, why, "use population.treatment_sd for effects that differ by school")
    if law.missing_schools >= layout.schools:
        names = (f"population.missing_schools = {law.missing_schools}", f"layout.schools = {layout.schools}")
        raise checks.clash(*names, "no school would be left", "let fewer schools drop out")


def _check_shares(law: Parameters) -> None:
    """Refuse shares that leave nothing to the residuals, and correlations with an effect without variance."""
    if law.icc + law.class_icc >= 1.0:
        names = (f"population.icc = {law.icc}", f"population.class_icc = {law.class_icc}")
        raise checks.clash(
            *names, "together they leave nothing to the residuals", "their sum must be below 1"
        )
    uses_u = "correlates with the school effect, whose variance is 0"
    for name in ("resources_confounding", "age_confounding", "size_correlation"):
        if getattr(law, name) and not law.icc:
            raise checks.clash(f"population.{name}", "population.icc = 0", uses_u, "set an icc above 0")
    if law.age_confounding and not law.age_icc:
        why = "the schools' mean ages would not differ"
        raise checks.clash(
            "population.age_confounding", "population.age_icc = 0", why, "set an age_icc above 0"
        )
    if law.slope_correlation and not law.slope_sd:
        why = "the slopes would not differ"
        raise checks.clash(
            "population.slope_correlation", "population.slope_sd = 0", why, "set a slope_sd above 0"
        )


def _check_spreads(law: Parameters) -> None:
    """What keeps a mean variance, and a mean of 0, in spreads that depend on a column."""
    if law.residual_proportional and law.residual_age:
        why = "both make the residual variance depend on age, and together its mean would change"
        raise checks.clash(
            "population.residual_proportional", "population.residual_age", why, "leave one of them out"
        )
    for name in ("school_sd_resources", "slope_sd_resources"):
        if not getattr(law, name):
            continue
        if not shock("population.resources_shape", law.resources_shape).normal:
            names = (f"population.{name}", f'population.resources_shape = "{law.resources_shape}"')
            why = "its mean variance is known for normal resources"
            raise checks.clash(*names, why, "leave one of them out")
        if law.resources_confounding and (name == "school_sd_resources" or law.slope_correlation):
            names = (f"population.{name}", "population.resources_confounding")
            why = "effects whose SD and size both go with resources no longer have mean 0"
            raise checks.clash(*names, why, "leave one of them out")
    if law.school_sd_resources and not law.icc:
        names = ("population.school_sd_resources", "population.icc = 0")
        raise checks.clash(*names, "school effects have no variance", "set an icc above 0")
    if law.slope_sd_resources and not law.slope_sd:
        names = ("population.slope_sd_resources", "population.slope_sd = 0")
        raise checks.clash(*names, "the slopes would not differ", "set a slope_sd above 0")


def _needs(wanted: Any, name: str, there: Any, other: str, what: str) -> None:
    """Refuse a parameter without what it acts on."""
    if wanted and not there:
        raise checks.clash(
            name, f"{other} as it is", f"it needs {what}", f"change {other} or leave {name} out"
        )

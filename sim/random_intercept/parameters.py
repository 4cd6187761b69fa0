"""The parameters of a random-intercept population, and what they may be, alone and together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nestbench.sim import checks
from nestbench.sim.cells.layout import Layout
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
    return {"Intercept": 50.0, "age": 2.0, "gender": 1.0, "resources": 0.5, "treated": 0.0}


RANGES: dict[str, dict[str, Any]] = {
    "icc": {"low": 0.0, "high": 1.0, "open_high": True},
    "total_sd": {"low": 0.0, "open_low": True},
    "age_mean": {},
    "age_sd": {"low": 0.0, "open_low": True},
    "male_share": {"low": 0.0, "high": 1.0, "open_low": True, "open_high": True},
    "resources_sd": {"low": 0.0, "open_low": True},
    "age_icc": {"low": 0.0, "high": 1.0, "open_high": True},
    "age_confounding": {"low": -1.0, "high": 1.0},
    "resources_confounding": {"low": -1.0, "high": 1.0},
    "slope_sd": {"low": 0.0},
    "slope_correlation": {"low": -1.0, "high": 1.0},
    "treatment_sd": {"low": 0.0},
    "size_correlation": {"low": -1.0, "high": 1.0},
    "residual_cv": {"low": 0.0, "high": 10.0},
    "residual_age": {"low": -5.0, "high": 5.0},
    "residual_proportional": {"low": 0.0, "high": 1.0},
    "school_sd_resources": {"low": -5.0, "high": 5.0},
    "slope_sd_resources": {"low": -5.0, "high": 5.0},
    "treated_variance_ratio": {"low": 0.0, "open_low": True},
    "treated_school_variance_ratio": {"low": 0.0, "open_low": True},
    "class_icc": {"low": 0.0, "high": 1.0, "open_high": True},
    "missing": {"low": 0.0, "high": 1.0, "open_high": True},
    "missing_age": {"low": -20.0, "high": 20.0},
    "missing_resources": {"low": -20.0, "high": 20.0},
    "missing_schools": {"low": 0},
}
"""What a parameter may be by itself."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What `RandomIntercept` says of its parameters, apart from the population: its parts take these."""

    icc: float = 0.2
    total_sd: float = 1.0
    effects: Mapping[str, float] = field(default_factory=_default_effects)
    age_mean: float = 15.0
    age_sd: float = 1.0
    male_share: float = 0.5
    resources_sd: float = 1.0
    resources_shape: str = "normal"
    age_icc: float = 0.0
    age_confounding: float = 0.0
    resources_confounding: float = 0.0
    slope_sd: float = 0.0
    slope_correlation: float = 0.0
    treatment_sd: float = 0.0
    size_correlation: float = 0.0
    residual_shape: str = "normal"
    school_errors: str = "normal"
    residual_cv: float = 0.0
    residual_age: float = 0.0
    residual_proportional: float = 0.0
    school_sd_resources: float = 0.0
    slope_sd_resources: float = 0.0
    treated_variance_ratio: float = 1.0
    treated_school_variance_ratio: float = 1.0
    class_icc: float = 0.0
    missing: float = 0.0
    missing_age: float = 0.0
    missing_schools: int = 0
    missing_resources: float = 0.0

    def __post_init__(self) -> None:
        checks.make_plain(self)
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
    for name, allowed in RANGES.items():
        check = checks.count if name == "missing_schools" else checks.number
        check(f"population.{name}", getattr(law, name), **allowed)
    for name in ("residual_shape", "school_errors", "resources_shape"):
        shock(f"population.{name}", getattr(law, name))
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
    if wanted and not there:
        raise checks.clash(
            name, f"{other} as it is", f"it needs {what}", f"change {other} or leave {name} out"
        )

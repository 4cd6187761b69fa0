"""The planned trial that a random-intercept population, a layout and a model imply: their closed form.

Planners state effects and shares of variance in units of the outcome's total SD, covariates included; the population
states them of errors, given its effects. With the variance of the outcome's parts at each level, ::

    schools   school_sd^2    + resources^2 resources_sd^2 + (age age_sd)^2 age_icc       (and slopes: in age's place)
    classes   class_sd^2     + teacher^2
    students  residual_sd^2  + gender^2 p (1 - p)         + (age age_sd)^2 (1 - age_icc)

the ICC is the first sum's share of all three, and R^2 of a level the share of its sum that is explained by columns of
the model.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from nestbench.sim.cells.layout import Layout
from nestbench.sim.random_intercept.parameters import TERMS, Parameters
from nestbench.sim.random_intercept.size_moments import mean_over_sizes, size_ratio
from nestbench.sim.theory.planning.blocks import SchoolsInBlocks
from nestbench.sim.theory.planning.classes import SchoolsWithClasses
from nestbench.sim.theory.planning.multisite import StudentsInSchools
from nestbench.sim.theory.planning.schools import SchoolsRandomised
from nestbench.sim.theory.planning.trial import SchoolTrial

KNOWN = {"Intercept", "age", "gender[T.male]", "resources", "treated", "teacher"}
"""Terms of the models whose closed form is known; blocks' dummies, too."""
STUDENTS = {"age", "gender[T.male]"}
"""Of these, columns of students."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A planned trial with its unit.

    Attributes
    ----------
    trial : SchoolTrial
        In units of `sd`.
    sd : float
        Total SD of the outcome without treatment, in units of the outcome.
    effect : float
        The population's effect of treatment, in units of the outcome.
    """

    trial: SchoolTrial
    sd: float
    effect: float

    @property
    def standardised(self) -> float:
        """The effect in total SDs."""
        return self.effect / self.sd


def planned_of(law: Parameters, layout: Layout, terms: Iterable[str]) -> Planned | None:
    """Return the planned trial of the treatment's coefficient, or None where no closed form is known.

    None is known for arms or schools of unequal variance, confounding, informative sizes, effects that vary over
    schools randomised as a whole, dropping out that depends on covariates, interactions with treatment, and models
    with other terms than the plain columns. Normal errors aren't needed: the t-test's power is then approximate.

    Parameters
    ----------
    law : Parameters
    layout : Layout
    terms : iterable of str
        The model's, as formulaic names them: ``cell.found.terms``.
    """
    named = set(terms)
    held = plain_terms(named)
    blocked = bool(layout.blocked_by)
    if not held <= KNOWN or "treated" not in held or blocked != (held != named):
        return None
    if _unequal(law, layout) or not 0.0 < layout.treated_part < 1.0 or (blocked and "resources" in held):
        return None
    return nearest(law, layout, held)


def plain_terms(terms: Iterable[str]) -> set[str]:
    """Return a model's terms but for blocks' dummies."""
    return {term for term in terms if not term.startswith(("pair[", "block["))}


def nearest(law: Parameters, layout: Layout, held: set[str]) -> Planned:
    """Return the planned trial nearest to a population and a layout: for `planned_of`, which refuses what it isn't true
    of, and as a place to start from.

    Parameters
    ----------
    law : Parameters
    layout : Layout
    held : set of str
        The model's terms, but for blocks' dummies.
    """
    parts = _parts(law)
    make = _blocks if layout.blocked_by else _students if layout.assignment == "students" else _schools
    return Planned(make(law, layout, parts, held), math.sqrt(_total(parts)), float(law.effect("treated")))


@lru_cache(maxsize=4096)
def block_variance(schools: int, size: int) -> float:
    """Return the variance within blocks of `size` neighbours in the order of `schools` standard normals.

    The mean over blocks of sum_{i<j} E (X_(j) - X_(i))^2 / (size (size - 1)), a square of a sum of spacings
    D_i = X_(i+1) - X_(i). With F the normal distribution function, E D_i is C(G, i) times the integral of
    F^i (1 - F)^(G - i), E D_i^2 is 2 C(G, i) times that over x < y of F(x)^i (1 - F(y))^(G - i); of two spacings
    E D_i D_j is taken to be (G + 1) / (G + 2) E D_i E D_j, as of uniforms. Exact for pairs, within 1 % for others.
    """
    from scipy import special

    x = np.linspace(-9.0, 9.0, 6001)
    step = x[1] - x[0]
    below, above = special.log_ndtr(x), special.log_ndtr(-x)
    means, squares = np.zeros(schools - 1), np.zeros(schools - 1)
    # Spacings between blocks are needed by none.
    for i in (i for i in range(1, schools) if i % size):
        ways = special.gammaln(schools + 1) - special.gammaln(i + 1) - special.gammaln(schools - i + 1)
        # each half of the binomial's logarithm keeps both factors within the range of doubles
        tail, head = np.exp(0.5 * ways + (schools - i) * above), np.exp(0.5 * ways + i * below)
        beyond = np.concatenate([np.cumsum((tail[:0:-1] + tail[-2::-1]) * 0.5 * step)[::-1], [0.0]])
        means[i - 1], squares[i - 1] = step * float(head @ tail), 2.0 * step * float(head @ beyond)
    alike, total = (schools + 1.0) / (schools + 2.0), 0.0
    for first in range(0, schools, size):
        for i in range(first, first + size - 1):
            for j in range(i + 1, first + size):
                d = means[i:j]
                total += squares[i:j].sum() + alike * (d.sum() ** 2 - d @ d)
    return float(total) / ((size - 1) * schools)


Parts = Mapping[str, Mapping[str, float]]
"""The variance of each part of the outcome, by level and term ("" for what no column has)."""


def _parts(law: Parameters) -> Parts:
    age, slopes = (law.effect("age") * law.age_sd) ** 2, (law.slope_sd * law.age_sd) ** 2
    return {
        "school": {
            "": law.school_sd**2 + slopes * law.age_icc,
            "resources": (law.effect("resources") * law.resources_sd) ** 2,
            "age": age * law.age_icc,
        },
        "class": {"": law.class_sd**2, "teacher": law.effect("teacher") ** 2},
        "student": {
            "": law.residual_sd**2 + slopes * (1.0 - law.age_icc),
            "gender[T.male]": law.effect("gender") ** 2 * law.male_share * (1.0 - law.male_share),
            "age": age * (1.0 - law.age_icc),
        },
    }


def _total(parts: Parts) -> float:
    return sum(sum(level.values()) for level in parts.values())


def _r2(level: Mapping[str, float], held: set[str]) -> float:
    """Return the share of a level's variance that the model's columns explain."""
    total = sum(level.values())
    return sum(variance for term, variance in level.items() if term in held) / total if total else 0.0


def _shared(law: Parameters, layout: Layout, parts: Parts, held: set[str]) -> dict[str, Any]:
    """Return what every kind of trial is told alike."""
    mean = mean_over_sizes(layout, lambda n, _: n)
    return {
        "schools": layout.schools,
        "students": mean,
        "size_cv": math.sqrt(max(size_ratio(layout) / mean - 1.0, 0.0)),
        "school_attrition": law.missing_schools / layout.schools,
        "student_attrition": law.missing,
        "icc": sum(parts["school"].values()) / _total(parts),
        "r2_school": _r2(parts["school"], held),
        "r2_student": _r2(parts["student"], held),
        "treated_share": layout.treated_part,
        "student_covariates": len(held & STUDENTS),
    }


def _drawn(law: Parameters, held: set[str]) -> dict[str, Any]:
    """Return that covariates are samples, of those of students with the schools' share of their variance."""
    share = law.age_icc / len(held & STUDENTS) if "age" in held else 0.0
    return {"covariates_drawn": True, "covariate_icc": share}


def _schools(law: Parameters, layout: Layout, parts: Parts, held: set[str]) -> SchoolTrial:
    """Return the trial of schools randomised one by one."""
    shared = _shared(law, layout, parts, held) | {
        "school_covariates": int("resources" in held),
        **_drawn(law, held),
    }
    if not layout.classes:
        return SchoolsRandomised(**shared)
    share = sum(parts["class"].values()) / _total(parts)
    return SchoolsWithClasses(
        **shared,
        classes=layout.classes,
        class_icc=share,
        r2_class=_r2(parts["class"], held),
        class_covariates=int("teacher" in held),
    )


def _students(law: Parameters, layout: Layout, parts: Parts, held: set[str]) -> SchoolTrial:
    """Return the trial of students randomised in schools: with one effect for all where effects don't vary."""
    return StudentsInSchools(
        **_shared(law, layout, parts, held),
        effects="random" if law.treatment_sd else "constant",
        effect_sd=law.treatment_sd / math.sqrt(_total(parts)),
    )


def _blocks(law: Parameters, layout: Layout, parts: Parts, held: set[str]) -> SchoolTrial:
    """Return the trial of blocks: of the variance by resources, what neighbours share is the blocks'."""
    apart = block_variance(layout.schools, layout.blocked_by)
    school = {**parts["school"], "resources": parts["school"]["resources"] * apart}
    shared_by = parts["school"]["resources"] - school["resources"]
    shared = _shared(law, layout, {**parts, "school": school, "block": {"": shared_by}}, held)
    shared |= {
        "block_size": layout.blocked_by,
        "block_icc": shared_by / _total(parts),
        "covariates_drawn": True,
    }
    return SchoolsInBlocks(**shared, effects="constant")


def _unequal(law: Parameters, layout: Layout) -> bool:
    """Whether something makes the closed form untrue."""
    students = layout.assignment == "students"
    arms = law.treated_variance_ratio != 1.0 or law.treated_school_variance_ratio != 1.0
    varying = law.treatment_sd > 0.0 and not students
    related = law.age_confounding or law.resources_confounding or law.size_correlation
    dropping = law.missing_age or law.missing_resources
    spread = (
        law.school_sd_resources or law.slope_sd_resources or law.residual_age or law.residual_proportional
    )
    others = [name for name in TERMS if ":" in name or name in ("size", "school_age")]
    acting = any(law.effect(name) for name in others)
    # classes are split between arms, or between schools of a block, as no trial here has it
    classes = (law.class_icc or law.effect("teacher")) and (
        layout.blocked_by or layout.assignment == "students"
    )
    return bool(arms or varying or related or dropping or spread or acting or classes)

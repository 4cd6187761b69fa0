"""Random-intercept populations, one a feature and most drawn in both ways, and what their data are measured by.

A new parameter joins by a line in `CASES`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.batch import Batch, Category
from nestbench.sim.random_intercept import RandomIntercept
from nestbench.sim.random_intercept.statistics import allows
from nestbench.sim.streams import StreamSource

EFFECTS = {"Intercept": 5.0, "age": 0.5, "gender": 1.0, "resources": 0.5, "treated": 0.4}
TREATED: dict[str, Any] = {"schools": 12, "students": 8, "treated_schools": 4}
CONFOUNDED = {"age_icc": 0.4, "age_confounding": 0.6, "resources_confounding": -0.3, "icc": 0.3}


def law(**parameters: Any) -> RandomIntercept:
    """A population drawn student by student; `CASES` has each by statistics, too."""
    return RandomIntercept(
        **{"effects": EFFECTS, "total_sd": 2.0, "age_mean": 3.0, "version": 1, **parameters}
    )


CASES: dict[str, tuple[RandomIntercept, Layout]] = {
    "defaults": (law(), Layout(**TREATED)),
    "icc 0": (law(icc=0.0), Layout(**TREATED)),
    "sizes listed": (law(), Layout(schools=4, students=(2, 30, 5, 9), treated_schools=2)),
    "sizes in a range": (law(), Layout(schools=8, size_range=(2, 14), treated_share=0.5)),
    "sizes spread": (law(), Layout(schools=8, students=10, size_spread=0.75, treated_share=0.5)),
    "sizes lognormal": (law(), Layout(schools=8, students=20, size_cv=0.6, treated_share=0.5)),
    "sizes shuffled": (law(), Layout(schools=3, students=(2, 9, 4), shuffle_sizes=True, treated_schools=1)),
    "giant school": (law(), Layout(schools=6, students=5, giant_school=80, treated_schools=3)),
    "one-student schools": (law(), Layout(schools=12, students=6, one_student_schools=5, treated_schools=3)),
    "informative sizes": (
        law(size_correlation=0.7),
        Layout(schools=8, students=40, size_cv=0.4, treated_schools=3),
    ),
    "age by school": (law(age_icc=0.3), Layout(**TREATED)),
    "school age": (law(age_icc=0.3, effects={**EFFECTS, "school_age": 1.5}), Layout(**TREATED)),
    "confounded": (law(**CONFOUNDED), Layout(**TREATED)),
    "slopes": (law(slope_sd=0.5, slope_correlation=0.4), Layout(**TREATED)),
    "cross-level": (
        law(effects={**EFFECTS, "age:resources": 0.3, "age:treated": -0.2, "gender:treated": 0.7}),
        Layout(**TREATED),
    ),
    "size effects": (
        law(effects={**EFFECTS, "size": 0.5, "treated:size": 0.75}),
        Layout(schools=10, students=12, size_spread=0.5, treated_share=0.5, assignment="random"),
    ),
    "treatment varies": (law(treatment_sd=0.5), Layout(**TREATED, assignment="random")),
    "pairs": (law(), Layout(schools=10, students=5, treated_share=0.5, assignment="pairs")),
    "blocks": (
        law(),
        Layout(schools=12, students=5, treated_share=1 / 3, assignment="blocks", block_size=6),
    ),
    "students treated": (
        law(treatment_sd=0.5, effects={**EFFECTS, "age:treated": 0.3, "gender:treated": -0.4}),
        Layout(schools=8, students=11, treated_share=0.3, assignment="students"),
    ),
    "arms differ": (law(treated_variance_ratio=4.0, treated_school_variance_ratio=3.0), Layout(**TREATED)),
    "students' arms differ": (
        law(treated_variance_ratio=4.0),
        Layout(schools=8, students=10, treated_share=0.3, assignment="students"),
    ),
    "residuals by school": (law(residual_cv=0.8), Layout(**TREATED)),
    "residuals by age": (law(residual_age=0.7), Layout(**TREATED)),
    "residuals in proportion": (law(residual_proportional=1.0, age_icc=0.3), Layout(**TREATED)),
    "residuals in part in proportion": (law(residual_proportional=0.4), Layout(**TREATED)),
    "school effects by resources": (law(school_sd_resources=0.8), Layout(**TREATED)),
    "slopes by resources": (
        law(slope_sd=0.5, slope_correlation=0.4, slope_sd_resources=-0.6, school_sd_resources=0.5),
        Layout(**TREATED),
    ),
    "t residuals": (law(residual_shape="t(6)"), Layout(**TREATED)),
    "lognormal residuals": (law(residual_shape="lognormal(0.5)"), Layout(**TREATED)),
    "chi2 school effects": (law(school_errors="chi2(4)"), Layout(**TREATED)),
    "bimodal school effects": (law(school_errors="bimodal(0.8)"), Layout(**TREATED)),
    "uniform residuals": (law(residual_shape="uniform"), Layout(**TREATED)),
    "skewed resources": (law(resources_shape="chi2(5)"), Layout(**TREATED)),
    "classes": (
        law(class_icc=0.15, effects={**EFFECTS, "teacher": 0.6}),
        Layout(schools=10, students=9, classes=3, treated_schools=4),
    ),
    "missing": (law(missing=0.3), Layout(**TREATED)),
    "missing by age": (law(missing=0.3, missing_age=1.5), Layout(**TREATED)),
    "missing schools": (law(missing_schools=5, missing_resources=1.0), Layout(**TREATED)),
}

CASES |= {
    f"{name}, by statistics": (replace(population, version=2), layout)
    for name, (population, layout) in CASES.items()
    if allows(population)
}

QUICK = ("defaults", "sizes lognormal", "students' arms differ", "classes", "school age")
"""What the default suite tries of those drawn by statistics; CI tries all."""


def _is_slow(name: str) -> bool:
    base, comma, _ = name.rpartition(", by statistics")
    return bool(comma) and base not in QUICK


cases = pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=name, marks=[pytest.mark.slow] if _is_slow(name) else [])
        for name, case in CASES.items()
    ],
)


def draw(case: tuple[RandomIntercept, Layout], replications: range) -> Batch:
    return case[0].draw(case[1], StreamSource(20261122, "contract"), replications)


def column(batch: Batch, name: str) -> np.ndarray:
    values = batch.columns[name]
    return values.codes.astype(float) if isinstance(values, Category) else values


def schools_of(batch: Batch) -> np.ndarray:
    return np.repeat(np.arange(len(batch.school_offsets) - 1), np.diff(batch.school_offsets))


def effect_columns(population: RandomIntercept, batch: Batch) -> dict[str, np.ndarray]:
    """The column of each effect that isn't zero."""
    found: dict[str, np.ndarray] = {}
    for name in [n for n, effect in population.effects.items() if effect]:
        if name == "Intercept":
            found[name] = np.ones(batch.rows)
        elif name == "school_age":
            school, age = schools_of(batch), column(batch, "age")
            found[name] = (np.bincount(school, age) / np.bincount(school))[school]
        else:
            found[name] = np.prod([column(batch, part) for part in name.split(":")], axis=0)
    return found


def errors(population: RandomIntercept, batch: Batch) -> np.ndarray:
    """Grade less its true mean."""
    parts = effect_columns(population, batch)
    return column(batch, "grade") - sum(population.effects[name] * values for name, values in parts.items())


def close(values: np.ndarray, expected: float) -> None:
    """The mean of independent values is the expected one within 4.9 standard errors."""
    spread = values.std(ddof=1) / np.sqrt(len(values))
    assert abs(values.mean() - expected) <= 4.9 * spread + 1e-12, (values.mean(), expected, spread)


def by_replication(batch: Batch, values: np.ndarray) -> np.ndarray:
    """Means of rows within replications."""
    return np.add.reduceat(values, batch.row_offsets[:-1]) / np.diff(batch.row_offsets)


def pair_products(batch: Batch, e: np.ndarray) -> np.ndarray:
    """Mean product of two errors of one school, averaged over schools with two students or more, by replication."""
    n = np.diff(batch.school_offsets)
    sums = np.add.reduceat(e, batch.school_offsets[:-1])
    squares = np.add.reduceat(e**2, batch.school_offsets[:-1])
    two = n > 1
    product = np.where(two, (sums**2 - squares) / np.maximum(n * (n - 1), 1), 0.0)
    starts = batch.replication_offsets[:-1]
    return np.add.reduceat(product, starts) / np.add.reduceat(two.astype(float), starts)

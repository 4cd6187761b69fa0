"""The mean and the random part of the random-intercept population, written as effects on columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from nestbench.sim.cells.layout import Layout
from nestbench.sim.cells.mean import Effect, Mean, Variable, numbers, school_mean
from nestbench.sim.observed.batch import Batch, Floats
from nestbench.sim.random_intercept.data_sets import draw_data
from nestbench.sim.random_intercept.missingness import observed
from nestbench.sim.random_intercept.parameters import TERMS, Parameters
from nestbench.sim.streams import StreamSource

SCHOOL_AGE = "school_age"


def mean_of(
    law: Parameters,
    layout: Layout,
    streams: StreamSource,
    replications: range,
) -> Mean:
    """Draw some data sets and return their mean."""
    return mean_on(law, *columns_drawn(law, layout, streams, replications))


def columns_drawn(
    law: Parameters, layout: Layout, streams: StreamSource, replications: range
) -> tuple[Batch, dict[str, Variable]]:
    """Draw some data sets; return them and every column an effect may act on, by the effect's name.

    A school's mean age is that of all its students, seen or not. Students are needed, and drawn at once (`version` 1).
    """
    everyone = draw_data(
        replace(law, missing=0.0, missing_schools=0, version=1), layout, streams, replications
    )
    hidden = replace_columns(everyone, {SCHOOL_AGE: school_mean("age", everyone)})
    batch = observed(law, hidden)
    return replace_columns(batch, {SCHOOL_AGE: None}), _variables(law, layout, batch)


def mean_on(law: Parameters, seen: Batch, variables: dict[str, Variable]) -> Mean:
    """Return the mean of a population on data sets drawn, whose `variables` its effects act on."""
    effects = [
        Effect(term, law.effect(name), _parts(name, variables))
        for name, term in TERMS.items()
        if law.effect(name)
    ]
    return Mean(seen, "grade", tuple(effects), tuple(variables.values()))


def spelled(effects: Mapping[str, float], layout: Layout) -> dict[str, float]:
    """Return effects written in one way: those that aren't 0, and `treated` where somebody is treated to no effect.

    Populations are keyed by it. (The treatment's 0 stays because experiments on treatments have always written theirs.)
    """
    written = {name: value for name, value in effects.items() if value}
    treats = layout.treated_part > 0 and not any("treated" in name.split(":") for name in written)
    return written | ({"treated": 0.0} if treats else {})


def replace_columns(batch: Batch, changes: dict[str, Floats | None]) -> Batch:
    """Return the batch with some columns set, or left out (None)."""
    kept = {name: column for name, column in batch.columns.items() if name not in changes}
    return replace(batch, columns=kept | {n: c for n, c in changes.items() if c is not None}, _memo={})


def random_part(law: Parameters, batch: Batch) -> tuple[tuple[Effect, ...], Floats]:
    """Return what the schools' random effects act on, 1, age and treatment, and their covariance [q, q].

    The slope acts on age about its mean, so that the effect on 1 is u - slope age_mean. What is 0 is left out.
    """
    age, treated = numbers(batch.columns["age"]), numbers(batch.columns["treated"])
    effects = (
        Effect("Intercept", 1.0),
        Effect("age", 1.0, (Variable("age", age, law.age_mean),)),
        Effect("treated", 1.0, (Variable("treated", treated, 0.0),)),
    )
    covariance = np.diag([law.school_sd**2, law.slope_sd**2, law.treatment_sd**2])
    both = law.school_sd * law.slope_sd * _mean_product(law)
    covariance[0, 1] = covariance[1, 0] = law.slope_correlation * both
    about = np.array([[1.0, -law.age_mean, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    used = [0] + [k for k in (1, 2) if covariance[k, k]]
    return tuple(effects[k] for k in used), (about @ covariance @ about.T)[np.ix_(used, used)]


def _mean_product(law: Parameters) -> float:
    """Return the factor on the mean product of school and slope SDs that depend on resources r by h and k:
    E exp((h + k) r / 2 - (h^2 + k^2) / 4)."""
    return float(np.exp(-((law.school_sd_resources - law.slope_sd_resources) ** 2) / 8.0))


def _variables(law: Parameters, layout: Layout, batch: Batch) -> dict[str, Variable]:
    """Every column an effect may act on, by the effect's name."""
    expected = {
        "age": law.age_mean,
        "gender": law.male_share,
        "resources": 0.0,
        "treated": layout.treated_part,
        SCHOOL_AGE: law.age_mean,
        "size": 0.0,
        "teacher": 0.0,
    }
    sources = {SCHOOL_AGE: "age"}
    return {
        name: Variable(sources.get(name, name), numbers(batch.columns[name]), mean)
        for name, mean in expected.items()
        if name in batch.columns
    }


def _parts(name: str, variables: dict[str, Variable]) -> tuple[Variable, ...]:
    """Return the variables that an effect's name multiplies; none for the intercept."""
    return () if name == "Intercept" else tuple(variables[part] for part in name.split(":"))

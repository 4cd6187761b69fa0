"""What methods declare of a model's random part and subgroup, held against what they do with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nestbench.estimators.estimates import Estimates
from nestbench.estimators.estimator import Estimator
from nestbench.estimators.honoured import RandomPart, intercept_alone
from nestbench.experiments.running.oracle import with_truth
from nestbench.experiments.toml.reading import experiment_from
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Batch
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept
from tests.estimators.declared import OWN

FORMULA = "grade ~ age + treated"
each = pytest.mark.parametrize("estimator", OWN, ids=lambda estimator: estimator.label)


@pytest.fixture(scope="module")
def batch() -> Batch:
    law = RandomIntercept(icc=0.2, class_icc=0.2, slope_sd=1.0)
    return Cell(law, Layout(12, 12, treated_schools=6, classes=3), Model(FORMULA)).draw(3, range(1))


def fitted(estimator: Estimator, batch: Batch, **model: Any) -> Estimates:
    needs = {"subgroup": "class"} if estimator.subgroup else {}
    return estimator.fit(batch, Model(FORMULA, **{**needs, **model}))


def same(a: Estimates, b: Estimates) -> bool:
    return all(
        np.array_equal(getattr(a, n), getattr(b, n), equal_nan=True)
        for n in ("estimate", "std_error", "p_value")
    )


@each
def test_a_random_slope_is_used_refused_or_none_of_the_methods_business(
    estimator: Estimator, batch: Batch
) -> None:
    alone = fitted(estimator, batch)
    if estimator.random is RandomPart.INTERCEPT:
        for random in ("1 + age", "0 + age"):
            with pytest.raises(InvalidInput, match=f"'{estimator.name}' expected random = \"1\""):
                fitted(estimator, batch, random=random)
    else:
        assert same(alone, fitted(estimator, batch, random="1 + age")) == (
            estimator.random is RandomPart.NONE
        )


@each
def test_only_methods_that_declare_it_use_the_subgroup(estimator: Estimator, batch: Batch) -> None:
    if estimator.subgroup:
        with pytest.raises(InvalidInput, match="subgroup"):
            fitted(estimator, batch, subgroup=None)
    else:
        assert same(fitted(estimator, batch), fitted(estimator, batch, subgroup="class"))


@pytest.mark.parametrize(
    ("random", "alone"),
    [("1", True), ("1 + age - age", True), ("0 + age", False), ("age", False), ("1 + `a b`", False)],
)
def test_an_intercept_alone_however_it_is_written(random: str, alone: bool) -> None:
    assert intercept_alone(random) is alone


def test_an_experiment_is_refused_before_it_runs(tmp_path: Path) -> None:
    tables = {
        "experiment": {"name": "slopes", "replications": 2, "estimators": ["nested-satt"]},
        "population": {"law": "random-intercept", "class_icc": 0.1},
        "layout": {"schools": 6, "classes": 2},
        "model": {"formula": "grade ~ age", "random": "1 + age", "subgroup": "class"},
    }
    experiment = experiment_from(tables)
    with pytest.raises(InvalidInput, match="no random slopes"):
        with_truth(experiment.estimators, experiment.cells[0])
    tables["model"] = {"formula": "grade ~ age", "subgroup": "school"}
    with pytest.raises(InvalidInput, match="groups within 'school'"):
        experiment_from(tables)

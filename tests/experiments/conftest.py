"""Small experiments that the tests of this room share."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.toml.reading import experiment_from

TABLES: dict[str, Any] = {
    "experiment": {
        "name": "tiny",
        "estimators": ["ols", "ols-cr1s-t", "means"],
        "replications": 12,
        "seed": 7,
        "audit": 0,
    },
    "population": {"icc": 0.2, "effects": {"Intercept": 5.0, "age": 1.0, "resources": 0.5}},
    "layout": {"schools": 4, "students": 5},
    "model": {"formula": "grade ~ age + resources"},
    "factors": {"layout.students": [5, [3, 4, 5, 6]], "population.icc": [0.0, 0.2]},
}

SLOW_PLUGIN = '''
import time
import numpy as np
import nestbench


@nestbench.estimator("slow-mean")
def slow_mean(frame, model):
    """Grade's mean, slowly."""
    time.sleep(0.02)
    grade = frame["grade"].to_numpy()
    return {"Intercept": {"estimate": grade.mean(), "std_error": grade.std(ddof=1) / np.sqrt(len(grade))}}
'''


@pytest.fixture
def tables() -> dict[str, Any]:
    """The tables of a small experiment: two factors, four cells, three methods, twelve replications."""
    return copy.deepcopy(TABLES)


@pytest.fixture
def tiny(tables: dict[str, Any]) -> Experiment:
    """The small experiment."""
    return experiment_from(tables)


@pytest.fixture
def slow_file(tmp_path: Path) -> Callable[[int], Path]:
    """Write a TOML file of an experiment whose one method, a plugin, takes 20 ms a fit."""

    def write(replications: int) -> Path:
        (tmp_path / "slow_methods.py").write_text(SLOW_PLUGIN)
        file = tmp_path / "slow.toml"
        file.write_text(
            f"""
            [experiment]
            name = "slow"
            estimators = ["slow-mean"]
            plugins = ["slow_methods.py"]
            replications = {replications}
            reference_replications = {replications}
            [layout]
            schools = 3
            students = 4
            [model]
            formula = "grade ~ 1"
            [factors]
            "population.icc" = [0.0, 0.3]
            """
        )
        return file

    return write

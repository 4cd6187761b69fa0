"""Answers without an exact formula, against runs of other data sets: unequal sizes, few treated, three levels."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nestbench
from nestbench.experiments.toml.writing import to_toml
from nestbench.sizing.answer import Sizing

pytestmark = pytest.mark.slow

DATA_SETS = 20_000
TRIALS: dict[str, dict[str, Any]] = {
    "unequal sizes": {"students": 20, "size_cv": 0.8, "icc": 0.15, "effect": 0.8, "methods": "reml-satt"},
    "few treated": {
        "students": 20,
        "treated_share": 0.15,
        "icc": 0.1,
        "effect": 0.8,
        "methods": "ols-cr2-satt",
    },
    "three levels": {
        "kind": "classes",
        "classes": 3,
        "students": 30,
        "icc": 0.1,
        "class_icc": 0.15,
        "effect": 0.8,
        "methods": "nested-satt",
    },
    "ICC near 0": {"students": 10, "icc": 0.005, "effect": 0.6, "methods": "reml-kr"},
}


def rates(found: Sizing, values: list[int], folder: Path) -> np.ndarray:
    """Return the power of an experiment like the answer's, with other numbers of schools and another seed."""
    tables = tomllib.loads(found.toml)
    tables["experiment"] |= {"seed": 7, "replications": DATA_SETS, "audit": 0}
    tables["factors"] = {**tables.get("factors", {}), "layout.schools": values}
    file = folder / "long.toml"
    file.write_text(to_toml(tables))
    table = nestbench.run(file, out=folder / "run", workers=1).performance()
    rows = table[(table["measure"] == "rejection") & (table["term"] == "treated")]
    power = rows[rows["model.null.treated"] == 0.0].sort_values("layout.schools")
    return power["value"].to_numpy()


@pytest.mark.parametrize("name", TRIALS)
def test_the_answer_is_within_a_school(name: str, tmp_path: Path) -> None:
    """A school fewer than the interval has too little power, a school more than it enough: at 4.9 errors."""
    found = nestbench.size(solve="schools", workers=1, **TRIALS[name])
    assert isinstance(found, Sizing)
    low, high = found.interval
    assert high - low <= 2
    # A step of .15 treated is a step of power: a number of schools with one more treated is better than the next.
    few, many = rates(found, [int(low) - 1, int(high) + 1], tmp_path)
    error = 4.9 * np.sqrt(0.8 * 0.2 / DATA_SETS)
    assert few < 0.8 + error
    assert many > 0.8 - error

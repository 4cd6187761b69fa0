"""The description of a study: what varies says so, however the factor is written."""

from __future__ import annotations

from typing import Any

import pytest

from nestbench.experiments.toml.reading import experiment_from
from nestbench.reports.words.ademp import parameters

TABLES: dict[str, Any] = {
    "experiment": {"name": "tiny", "estimators": ["ols"], "replications": 10},
    "population": {"icc": 0.2, "effects": {"Intercept": 5.0, "age": 1.0, "treated": 0.0}},
    "layout": {"schools": 6, "students": 5, "treated_schools": 2},
    "model": {"formula": "grade ~ age + treated"},
}
EFFECTS = {"Intercept": 5.0, "age": 1.0}


@pytest.mark.parametrize(
    ("factors", "expected"),
    [
        ({}, {"population.effects": "Intercept 5, age 1, treated 0", "layout.schools": "6"}),
        (
            {"population.effects.treated": [0, 3]},
            {"population.effects": "Intercept 5, age 1, treated varied (0; 3)"},
        ),
        (
            {"population.effects": [{**EFFECTS, "treated": 0.0}, {**EFFECTS, "treated": 3.0}]},
            {"population.effects": "Intercept 5, age 1, treated varied (0; 3)"},
        ),
        (
            {"population": [{"effects": {**EFFECTS, "treated": x}, "icc": x / 10} for x in (0.0, 3.0)]},
            {
                "population.effects": "Intercept 5, age 1, treated varied (0; 3)",
                "population.icc": "varied (0; 0.3)",
            },
        ),
        (
            {
                "size": [
                    {"layout.schools": 6, "layout.students": 5},
                    {"layout.schools": 9, "layout.students": 4},
                ]
            },
            {"layout.schools": "varied (6; 9)", "layout.students": "varied (5; 4)"},
        ),
        (
            {"layout.students": [5, [3, 4, 5, 6, 7, 8]], "model.level": [0.9, 0.95]},
            {
                "layout.students": "varied (5; 3-8)",
                "model.level": "varied (0.9; 0.95)",
                "layout.schools": "6",
            },
        ),
    ],
)
def test_what_varies_says_so_however_it_is_written(factors: dict[str, Any], expected: dict[str, str]) -> None:
    experiment = experiment_from({**TABLES, "factors": factors})
    table = parameters(experiment)
    assert table is not None
    told = dict(table[1])
    assert {name: told[name] for name in expected} == expected
    for name, text in told.items():
        owner, field = name.split(".")
        values = {repr(getattr(getattr(cell, owner), field)) for cell in experiment.cells}
        assert ("varied" in text) == (len(values) > 1), name

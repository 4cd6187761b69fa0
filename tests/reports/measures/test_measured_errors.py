"""Precision instead of a count: what is run depends on the data alone, and says what it reached."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import nestbench
from nestbench.experiments.experiment import Precision
from nestbench.experiments.running import precision
from nestbench.experiments.running.precision import judged, remember
from nestbench.experiments.running.start import run_experiment
from nestbench.experiments.storing.merging import merge
from nestbench.experiments.toml.reading import experiment_from
from nestbench.reports.measures.measured_errors import MeasuredErrors
from tests.experiments.running.test_start import bytes_of_fits

TABLES: dict[str, Any] = {
    "experiment": {
        "name": "precise",
        "estimators": ["ols", "mixedlm"],
        "replications": 10,
        "audit": 0,
        "reference_replications": 5,
    },
    "layout": {"schools": 4, "students": 5},
    "model": {"formula": "grade ~ age"},
    "factors": {"population.total_sd": [0.5, 1.0, 50.0]},
    "precision": {"bias": 1.0, "max_replications": 70},
}


def experiment(**changes: Any) -> nestbench.Experiment:
    return experiment_from(TABLES | {"precision": TABLES["precision"] | changes})


def test_cells_are_doubled_until_they_are_precise(tmp_path: Path) -> None:
    run = nestbench.run(experiment(), tmp_path / "run", workers=1)
    sizes = [run.store.estimates(cell)["ols"].size for cell in range(3)]
    assert sizes[2] == 70, "the maximum stops what can't be reached"
    assert sizes[0] < sizes[2]
    for cell, size in enumerate(sizes[:2]):
        spent = [10 * 2**k for k in range(8)]
        assert size in spent or size == 70
        table = run.performance().query(f"cell == {cell} and estimator == 'ols' and measure == 'bias'")
        worst = table[~table["term"].str.startswith("(")]["mcse"].max()
        assert worst <= 1.0 or size == 70
        if size > 10:
            half = run.store.estimates(cell)["ols"].estimate[: size // 2]
            assert (half.std(axis=0, ddof=1) / np.sqrt(size // 2)).max() > 1.0, "half as many were not enough"
    assert run.store.estimates(2)["mixedlm"].size == 5, "the bound of slow methods stays"
    said = run.store.provenance["precision"]
    assert "condition 2, 70 replications" in said["2"]
    assert "not reached: 1)" in said["2"]
    assert "(reached: 1)" in said["0"]


def test_interruption_and_blocks_change_nothing(tmp_path: Path) -> None:
    whole = nestbench.run(experiment(), tmp_path / "whole", workers=1)
    nestbench.run(experiment(max_replications=20), tmp_path / "begun", workers=1)
    resumed = nestbench.run(experiment(), tmp_path / "begun", workers=1)
    for cell in range(3):
        np.testing.assert_array_equal(
            whole.store.estimates(cell)["ols"].estimate, resumed.store.estimates(cell)["ols"].estimate
        )


@pytest.mark.slow
def test_parts_refine_cells_of_their_own(tmp_path: Path) -> None:
    whole = run_experiment(experiment(), tmp_path / "whole", workers=1, judge=MeasuredErrors())
    parts = [
        run_experiment(experiment(), tmp_path / f"p{i}", workers=1, shard=f"{i}/4", judge=MeasuredErrors())
        for i in (1, 2, 3, 4)
    ]
    assert len(parts[2].rounds) == 4, "10, 20, 40, 70"
    assert parts[3].tasks == (), "more parts than conditions"
    joined, notes = merge([store.folder for store in parts[::-1]], tmp_path / "joined", {})
    assert (notes, joined.missing()) == ([], [])
    assert bytes_of_fits(joined.folder) == bytes_of_fits(whole.folder)
    remember(joined, judged(joined, MeasuredErrors()))
    assert joined.provenance["precision"] == whole.provenance["precision"]
    resumed = run_experiment(joined.folder, workers=1, judge=MeasuredErrors())
    assert bytes_of_fits(resumed.folder) == bytes_of_fits(whole.folder)


@pytest.mark.parametrize(
    ("each", "expected"),
    [
        pytest.param(10.0, 10, marks=pytest.mark.slow),
        (4.0, 20),
        pytest.param(2.0, 40, marks=pytest.mark.slow),
    ],
)
def test_time_stops_between_rounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, each: float, expected: int
) -> None:
    """By a clock that each look moves: rounds go on until more than 5 seconds have passed since the start."""
    looks = itertools.count()
    monkeypatch.setattr(precision, "time", SimpleNamespace(monotonic=lambda: each * next(looks)))
    run = nestbench.run(experiment(max_time=5.0), tmp_path / "run", workers=1)
    assert run.store.estimates(2)["ols"].size == expected


@pytest.mark.parametrize(
    ("precision", "said"),
    [
        ({"coverag": 0.1}, "Did you mean 'coverage' or"),
        ({"coverage": -0.1}, "precision.coverage should be a Monte Carlo error greater than 0"),
        ({"max_replications": 100}, "at least one measure"),
        (
            {"bias": 0.1, "max_replications": 0},
            "precision.max_replications should be greater than or equal to 1",
        ),
    ],
)
def test_targets_are_checked(tmp_path: Path, precision: dict[str, Any], said: str) -> None:
    with pytest.raises(nestbench.InvalidInput) as caught:
        nestbench.run(experiment_from(TABLES | {"precision": precision}), tmp_path / "run", workers=1)
    assert said in str(caught.value)


def test_bounded_methods_alone_cannot_be_made_precise() -> None:
    tables = TABLES | {"experiment": TABLES["experiment"] | {"estimators": ["mixedlm"]}}
    with pytest.raises(nestbench.InvalidInput, match="reference_replications"):
        MeasuredErrors().check(experiment_from(tables))


def test_precision_survives_the_manifest(tmp_path: Path) -> None:
    nestbench.run(experiment(max_replications=10), tmp_path / "run", workers=1)
    assert nestbench.load(tmp_path / "run").experiment.precision == Precision({"bias": 1.0}, 10, None)

"""Runs from Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import nestbench
from nestbench.experiments.toml.reading import experiment_from

TABLES: dict[str, Any] = {
    "experiment": {"name": "small", "estimators": ["ols", "mixedlm"], "replications": 6},
    "layout": {"schools": 4, "students": 5},
    "factors": {"population.icc": [0.0, 0.2]},
}


@pytest.fixture
def run(tmp_path: Path) -> nestbench.Run:
    return nestbench.run(experiment_from(TABLES), out=tmp_path / "run", workers=1)


def test_run_load_and_tables(run: nestbench.Run, tmp_path: Path) -> None:
    assert run.finished
    assert run.directory == tmp_path / "run"
    again = nestbench.load(tmp_path / "run")
    assert again.experiment == run.experiment
    rows = again.estimates()
    assert list(rows.columns[:5]) == ["cell", "population.icc", "estimator", "term", "replication"]
    pd.testing.assert_frame_equal(rows, run.estimates())
    assert len(rows[(rows["estimator"] == "ols") & (rows["term"] == "age")]) == 12
    performance = again.performance()
    assert {
        "cell",
        "population.icc",
        "estimator",
        "term",
        "measure",
        "value",
        "mcse",
        "n",
        "n_attempted",
    } <= set(performance.columns)


def test_report_and_replay(run: nestbench.Run, tmp_path: Path) -> None:
    page = run.report(tmp_path / "page.html")
    assert page.read_text(encoding="utf-8")
    (fit,) = run.replay(cell=1, replication=2, estimator="ols")
    assert fit.verdict == "identical"


def test_changes_from_python(tmp_path: Path) -> None:
    run = nestbench.run(
        experiment_from(TABLES), tmp_path / "r", 1, replications=2, seed=5, estimators=["ols"]
    )
    assert (run.experiment.replications, run.experiment.seed) == (2, 5)
    assert set(run.estimates()["estimator"]) == {"ols"}
    with pytest.raises(nestbench.InvalidInput, match="replications >= 1"):
        nestbench.run(experiment_from(TABLES), tmp_path / "s", replications=0)
    with pytest.raises(nestbench.InvalidInput, match="no batched engine"):
        nestbench.run(experiment_from(TABLES), tmp_path / "s", engine="batched")


def test_the_function_run_is_not_hidden_by_a_module() -> None:
    import nestbench.runs

    assert callable(nestbench.run)
    assert nestbench.load is nestbench.runs.load

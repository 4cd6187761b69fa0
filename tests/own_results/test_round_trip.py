"""A run's stored rows, written as CSV and read again, have the run's own performance table."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nestbench
from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.experiments.results import Results
from nestbench.experiments.storing.rows import all_rows
from nestbench.experiments.toml.reading import experiment_from
from nestbench.reports.frames import csv_of
from nestbench.reports.measures.performance import performance_table
from tests.reports.synthetic import FakeResults, school_study

KEYS = ["estimator", "term", "measure"]


def with_truths(results: Results) -> pd.DataFrame:
    """Return a run's stored rows with the true value beside each."""
    rows = all_rows(results)
    truths = [cell.truth for cell in results.experiment.cells]
    return rows.assign(
        truth=[truths[cell].get(term, np.nan) for cell, term in zip(rows["cell"], rows["term"], strict=True)]
    )


def table_of(results: Results, factors: list[str]) -> pd.DataFrame:
    """Return a performance table without times, in an order of its own."""
    table = performance_table(results, 1)
    table = table[~table["measure"].str.startswith("seconds_")].drop(columns="cell")
    return table.sort_values([*factors, *KEYS]).reset_index(drop=True)


def assert_same_when_read(results: Results, factors: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        path.write_text(csv_of(with_truths(results)), encoding="utf-8")
        run = nestbench.read_results(path, Path(folder) / "run")
        pd.testing.assert_frame_equal(
            table_of(run.store, factors),
            table_of(results, factors),
            rtol=1e-12,
            atol=1e-14,
            check_dtype=False,
        )


def damaged_study(reps: int, seed: int, share: float) -> FakeResults:
    """A study with statuses of all kinds, answers missing or infinite, methods that have fewer fits or none."""
    study = school_study(reps, seed, schools=(6, 30))
    rng = np.random.default_rng(seed)
    cells = [
        {label: _damaged(rng, one, share, reps) for label, one in cell.items() if rng.random() > 0.2 * share}
        for cell in study.cells
    ]
    return replace(study, cells=cells)


def _damaged(rng: np.random.Generator, one: Estimates, share: float, reps: int) -> Estimates:
    status = np.where(rng.random(reps) < share, rng.integers(0, 6, reps), one.status).astype(np.int8)
    usable = (status <= FitStatus.BOUNDARY)[:, None] & np.isfinite(one.estimate)
    # Where a fit has failed, all of it may be missing; a single SE or estimate may be at any time.
    gone = (rng.random(one.estimate.shape) < 0.3 * share) & usable
    estimate = np.where(gone, rng.choice([np.nan, np.inf], gone.shape), one.estimate)
    lacking = rng.random(gone.shape) < 0.2 * share
    columns = {
        name: np.where(lacking | gone, np.nan, getattr(one, name))
        for name in ("std_error", "lower", "upper", "p_value")
    }
    kept = reps if rng.random() < 0.7 else reps // 2
    return replace(one, status=status, estimate=estimate, **columns).take(slice(0, kept))


@pytest.mark.parametrize(("seed", "share"), [(2, 0.2), (3, 0.6)])
def test_a_damaged_run_read_again_has_its_performance_table(seed: int, share: float) -> None:
    assert_same_when_read(damaged_study(9, seed, share), ["layout.schools", "population.icc"])


@pytest.mark.slow
@settings(max_examples=25)
@given(st.integers(8, 16), st.integers(0, 9999), st.sampled_from([0.0, 0.2, 0.6]))
def test_any_run_read_again_has_its_performance_table(reps: int, seed: int, share: float) -> None:
    assert_same_when_read(damaged_study(reps, seed, share), ["layout.schools", "population.icc"])


def test_a_real_run_read_again_has_its_performance_table(tmp_path: Path) -> None:
    """With variance components, and a method that has fewer replications."""
    tables = {
        "experiment": {
            "name": "small",
            "estimators": ["ols", "mixedlm"],
            "replications": 8,
            "reference_replications": 5,
            "audit": 0,
        },
        "layout": {"schools": 4, "students": 5},
        "factors": {"population.icc": [0.0, 0.3]},
    }
    run = nestbench.run(experiment_from(tables), out=tmp_path / "run", workers=1)
    assert_same_when_read(run.store, ["population.icc"])


def test_rows_read_twice_are_one_run_and_other_rows_another(tmp_path: Path) -> None:
    rows = with_truths(school_study(8, schools=(6, 30)))
    first = nestbench.read_results(rows, tmp_path / "run")
    again = nestbench.read_results(rows, tmp_path / "run")
    assert first.experiment.key == again.experiment.key
    changed = rows.assign(estimate=rows["estimate"] + 1e-9)
    with pytest.raises(nestbench.StoreError, match="got a run of other results"):
        nestbench.read_results(changed, tmp_path / "run")
    other = nestbench.read_results(changed, tmp_path / "other")
    assert [cell.key for cell in other.experiment.cells] == [cell.key for cell in first.experiment.cells]

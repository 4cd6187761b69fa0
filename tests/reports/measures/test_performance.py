"""The performance table: its shape, its denominators, what is left out and why."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nestbench.estimators.estimates import FitStatus
from nestbench.reports.measures.performance import (
    FIT,
    factors_of,
    parquet_bytes,
    performance_of_cell,
    performance_table,
    write_performance,
)
from nestbench.sim.observed.model import Model
from tests.reports.synthetic import FakeResults, estimates_of, school_study, simple_estimates

MODEL = Model("y ~ x0 + x1")
TRUTH = {"x0": 0.5, "x1": 0.5}


@pytest.fixture(scope="module")
def study() -> FakeResults:
    return school_study(reps=120)


@pytest.fixture(scope="module")
def table(study: FakeResults) -> pd.DataFrame:
    return performance_table(study)


def test_columns_are_cell_factors_and_numbers(table: pd.DataFrame) -> None:
    assert list(table.columns) == [
        "cell",
        "layout.schools",
        "population.icc",
        "estimator",
        "term",
        "measure",
        "value",
        "mcse",
        "n",
        "n_attempted",
    ]
    assert factors_of(table) == ["layout.schools", "population.icc"]
    assert sorted(table["cell"].unique()) == list(range(6))


def test_one_row_a_number(table: pd.DataFrame) -> None:
    assert not table.duplicated(["cell", "estimator", "term", "measure"]).any()
    assert np.isfinite(table["value"]).all()
    assert ((table["n"] >= 0) & (table["n"] <= table["n_attempted"])).all()


def test_cells_alone_give_the_same_rows(study: FakeResults, table: pd.DataFrame) -> None:
    cell = study.experiment.cells[4]
    alone = performance_of_cell(study.estimates(4), cell.truth, cell.model)
    inside = table[(table["cell"] == 4) & ~table["measure"].str.startswith("seconds")]
    pd.testing.assert_frame_equal(alone, inside[alone.columns].reset_index(drop=True))


def test_a_term_no_fit_estimates_has_no_measures_and_no_bounds(table: pd.DataFrame) -> None:
    rows = table[(table["estimator"] == "dummies-cr1s-z") & (table["term"] == "resources")]
    assert set(rows["measure"]) == {"usable_share"}
    assert (rows["value"] == 0).all()


def test_quantities_get_only_what_needs_no_standard_error(table: pd.DataFrame) -> None:
    names = set(table.loc[table["term"] == "(icc)", "measure"])
    assert {"bias", "empirical_se", "rmse", "mse", "usable_share"} <= names
    assert not names & {"coverage", "model_se", "se_error", "rejection", "interval_width", "interval_score"}


def test_zero_truth_has_no_relative_bias(table: pd.DataFrame) -> None:
    null = table[(table["term"] == "(icc)") & (table["population.icc"] == 0)]
    other = table[(table["term"] == "(icc)") & (table["population.icc"] == 0.2)]
    assert "relative_bias" not in set(null["measure"])
    assert "relative_bias" in set(other["measure"])


def test_terms_without_truth_keep_what_needs_none() -> None:
    found = performance_of_cell({"m": simple_estimates()}, {"x0": 0.5}, MODEL)
    names = set(found.loc[found["term"] == "x1", "measure"])
    assert {"empirical_se", "model_se", "se_error", "be_coverage", "rejection"} <= names
    assert not names & {"bias", "coverage", "rmse"}


def test_status_shares_add_up(table: pd.DataFrame) -> None:
    rows = table[(table["term"] == FIT) & table["measure"].str.startswith("share_")]
    totals = rows.groupby(["cell", "estimator"])["value"].sum()
    np.testing.assert_allclose(totals, 1.0)


def test_all_failed_leaves_statuses_and_bounds() -> None:
    status = np.full(30, FitStatus.FAILED)
    estimates = simple_estimates(reps=30, status=status)
    for name in ("estimate", "std_error", "lower", "upper", "p_value"):
        getattr(estimates, name)[:] = np.nan
    found = performance_of_cell({"m": estimates}, TRUTH, MODEL).set_index(["term", "measure"])
    assert found.loc[("x0", "coverage_bound"), "value"] == 0
    assert found.loc[("x0", "usable_share"), "value"] == 0
    assert found.loc[(FIT, "share_failed"), "value"] == 1
    assert ("x0", "coverage") not in found.index


def test_runtime_is_summed_up_with_its_error(table: pd.DataFrame) -> None:
    rows = table[(table["estimator"] == "mixedlm") & (table["cell"] == 0)].set_index("measure")
    assert 0.03 < rows.loc["seconds_median", "value"] < 0.05
    assert rows.loc["seconds_p90", "value"] > rows.loc["seconds_median", "value"]
    assert 0 < rows.loc["seconds_mean", "mcse"] < 0.01


def test_nothing_stored_yet_is_an_empty_table() -> None:
    study = school_study(reps=4)
    empty = FakeResults(study.experiment, [{} for _ in study.cells])
    found = performance_table(empty)
    assert found.empty
    assert list(found.columns[:3]) == ["cell", "layout.schools", "population.icc"]


def test_files_hold_the_same_numbers(table: pd.DataFrame, tmp_path: Path) -> None:
    csv, parquet = write_performance(table, tmp_path)
    written = pd.read_csv(csv, dtype={"value": str})[
        "value"
    ]  # older versions of pandas read numbers not to the last bit
    np.testing.assert_array_equal(written.astype(float), table["value"])
    np.testing.assert_array_equal(pd.read_parquet(parquet)["mcse"], table["mcse"])


def test_levels_of_mixed_types_can_be_written(tmp_path: Path) -> None:
    study = school_study(reps=4, schools=(6,), icc=(0.0, 0.2))
    levels = tuple({"layout.students": size} for size in (20, (10, 30)))
    study.experiment = type(study.experiment)(
        **{f: getattr(study.experiment, f) for f in study.experiment.__slots__ if f != "levels"},
        levels=levels,
    )
    _, parquet = write_performance(performance_table(study), tmp_path)
    assert set(pd.read_parquet(parquet)["layout.students"]) == {"20", "(10, 30)"}


def test_mcse_of_a_constant_method_is_zero_and_nothing_warns() -> None:
    same = np.full((20, 1), 0.5)
    found = performance_of_cell({"m": estimates_of(same, same, ["x0"])}, TRUTH, MODEL)
    bias = found[found["measure"] == "bias"].iloc[0]
    assert (bias.value, bias.mcse) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("levels", "kept"),
    [
        ([6, "5, 5, 60"], ["6", "5, 5, 60"]),
        ([6, [5, 5, 60]], ["6", "[5, 5, 60]"]),
        ([1, 2.5], [1.0, 2.5]),
        ([3, 5], [3, 5]),
        ([False, True], [False, True]),
        ([False, "x"], ["False", "x"]),
        (["a", "b"], ["a", "b"]),
    ],
)
def test_parquet_keeps_levels_of_every_kind(levels: list[Any], kept: list[Any]) -> None:
    frames = [performance_of_cell({"ols": simple_estimates(reps=5)}, TRUTH, MODEL) for _ in levels]
    for frame, level in zip(frames, levels, strict=True):
        frame.insert(0, "layout.students", [level] * len(frame))
    back = pd.read_parquet(io.BytesIO(parquet_bytes(pd.concat(frames, ignore_index=True))))
    assert list(dict.fromkeys(back["layout.students"].tolist())) == kept

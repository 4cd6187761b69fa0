"""Causes of wrong coverage, each planted and found; steps against direct computation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nestbench.reports.comparing.decomposition import cause_of, decomposition_of_cell, decomposition_table
from tests.reports.synthetic import estimates_of, school_study

REPS = 4000


def decomposed(shift: float = 0.0, se: float = 1.0, df: float = np.inf, schools: int = 1000) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    t = shift + rng.standard_normal((REPS, 1))
    scale = se * np.sqrt(rng.chisquare(schools - 1, (REPS, 1)) / (schools - 1))
    found = {"m": estimates_of(t, scale, ["x"], df=df)}
    return decomposition_of_cell(found, {"x": 0.0}, 0.95, schools).set_index("step")


def cause(table: pd.DataFrame, biased: bool = True) -> str:
    return cause_of(table["value"].to_dict(), 0.95, biased)


def test_bias_is_found_where_it_is_shown() -> None:
    table = decomposed(shift=1.5)
    assert cause(table) == "bias"
    assert cause(table, biased=False) != "bias"
    assert table.loc["without_bias", "value"] == pytest.approx(0.95, abs=0.015)
    assert table.loc["with_true_se", "value"] < 0.75


def test_a_wrong_standard_error_is_found() -> None:
    table = decomposed(se=0.5)
    assert cause(table) == "standard error"
    assert table.loc["coverage", "value"] == pytest.approx(2 * stats.norm.cdf(0.98) - 1, abs=0.03)
    for step in ("with_scaled_se", "with_true_se"):
        assert table.loc[step, "value"] == pytest.approx(0.95, abs=0.015)


def test_a_wrong_reference_distribution_is_found() -> None:
    table = decomposed(schools=5)
    assert cause(table) == "reference distribution"
    assert table.loc["with_t", "value"] == pytest.approx(0.95, abs=0.015)
    assert table.loc["coverage", "value"] == table.loc["with_normal", "value"]


def test_gains_are_paired() -> None:
    table = decomposed(se=0.5)
    row = table.loc["with_true_se"]
    assert row.gain == pytest.approx(row.value - table.loc["coverage", "value"])
    assert 0 < row.gain_mcse < np.sqrt(2) * table.loc["coverage", "mcse"]
    assert table.loc["coverage", "gain"] == 0


def test_two_faults_are_mixed() -> None:
    assert (
        cause_of({"coverage": 0.4, "without_bias": 0.5, "with_scaled_se": 0.5, "with_t": 0.4}, 0.95, True)
        == "mixed"
    )


def test_over_all_cells() -> None:
    table = decomposition_table(school_study(reps=50))
    assert set(table["cell"]) == set(range(6))
    assert "layout.schools" in table.columns

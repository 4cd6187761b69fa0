"""Methods that give an interval or a p-value without a standard error keep every measure of what they give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestbench.estimators.estimates import P_VALUE, STD_ERROR, Estimates
from nestbench.reports.comparing.grades import estimands
from nestbench.reports.measures.declared import MEASURES
from nestbench.reports.measures.measure import INTERVAL
from nestbench.reports.measures.performance import (
    performance_of_cell,
    performance_table,
)
from nestbench.reports.words.summary import methods_table
from nestbench.sim.observed.model import Model
from tests.reports.synthetic import FakeResults, school_study, simple_estimates

TRUTH = {"x0": 0.5, "x1": 0.5}
GIVEN = {"std_error": STD_ERROR, "interval": INTERVAL, "p_value": P_VALUE}


def lacking(found: Estimates, *columns: str) -> Estimates:
    """Estimates without some columns; ``interval`` is both its ends."""
    gone = {"lower": "interval", "upper": "interval", "std_error": "std_error", "p_value": "p_value"}
    nothing = np.full_like(found.estimate, np.nan)
    return replace(found, **{name: nothing for name, group in gone.items() if group in columns})


@given(st.sets(st.sampled_from(sorted(GIVEN)), max_size=2), st.integers(1, 50))
def test_each_measure_needs_its_own_columns_only(without: set[str], seed: int) -> None:
    """Measures whose columns are there equal those of the full estimates; the others are missing."""
    full = simple_estimates(seed=seed, reps=40)
    whole = performance_of_cell({"m": full}, TRUTH, Model())
    table = performance_of_cell({"m": lacking(full, *without)}, TRUTH, Model())
    expected = {m.name for m in MEASURES if not m.needs & {GIVEN[name] for name in without}}
    keys = ["term", "measure"]
    left = whole[~whole["measure"].isin({m.name for m in MEASURES} - expected)]
    there = table.set_index(keys).sort_index()
    left = left.set_index(keys).sort_index()
    assert list(there.index) == list(left.index)
    for column in ("value", "mcse", "n", "n_attempted"):
        np.testing.assert_array_equal(there[column], left[column])


def test_estimates_alone_are_no_answer() -> None:
    found = lacking(simple_estimates(reps=40), "std_error", "interval", "p_value")
    assert not found.usable.any()


def test_an_infinite_standard_error_is_no_answer_with_any_interval() -> None:
    found = simple_estimates(reps=40)
    assert not replace(found, std_error=np.full_like(found.std_error, np.inf)).usable.any()


@pytest.mark.parametrize("without", ["interval", "std_error"])
def test_the_table_of_methods_shows_them(without: str) -> None:
    """With its coverage where it gives intervals, without where it only tests."""
    study = school_study(reps=60, schools=(6,), icc=(0.0,))
    first, *_ = study.cells[0]
    changed = FakeResults(
        study.experiment, [{**study.cells[0], first: lacking(study.cells[0][first], without)}]
    )
    table = performance_table(changed)
    made = methods_table(table, estimands(table, changed.experiment), changed.experiment)
    columns = {column.header: [str(cell) for cell in column.cells] for column in made.columns}
    row = columns["method"].index(first)
    assert (columns["low"][row] == "-") == (without == "interval")
    assert columns["usable"][row] == "100.0"

"""The terminal table where levels differ: what is lowest is judged by what was promised there."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from nestbench.reports.measures.performance import performance_table
from nestbench.reports.words.summary import print_summary, worst_term
from tests.reports.synthetic import FakeResults, school_study


def test_the_worst_coverage_is_the_one_furthest_below_its_own_level() -> None:
    rows = pd.DataFrame(
        {
            "term": ["age", "age", "age"],
            "coverage": [0.8, 0.85, 0.9],
            "level": [0.8, 0.95, 0.99],
            "missed": [1.0, 3.0, 10.0],
            "grade": ["holds", "fails", "fails"],
            "partial": [False, False, False],
        }
    )
    assert (worst_term(rows).low, worst_term(rows).level) == (0.9, 0.99)  # ten times the misses that may be
    assert worst_term(rows[:2]).low == 0.85
    assert np.isnan(worst_term(rows[:0]).low)


def at_level(study: FakeResults, levels: list[float]) -> str:
    cells = [
        replace(cell, model=replace(cell.model, level=levels[i % len(levels)]))
        for i, cell in enumerate(study.experiment.cells)
    ]
    made = replace(study, experiment=replace(study.experiment, cells=tuple(cells)))
    out = io.StringIO()
    print_summary(made, Console(file=out, width=120), performance_table(made))
    return out.getvalue()


@pytest.mark.parametrize(("levels", "said"), [([0.8, 0.95], True), ([0.95], False)])
def test_the_promise_stands_beside_the_lowest_coverage_where_promises_differ(
    levels: list[float], said: bool
) -> None:
    text = at_level(school_study(reps=60, schools=(6, 30)), levels)
    assert ("/95" in text) is said
    assert ("the nominal level there" in text) is said

"""Df that theory knows, against simulation and where it knows none."""

from __future__ import annotations

import numpy as np
import pytest

from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept
from nestbench.testing.known_df import _kinds, balanced_df

LAW = RandomIntercept(icc=0.5)


def test_school_level_terms_have_the_schools_less_their_columns() -> None:
    assert balanced_df(Cell(LAW, Layout(12, 5, 6), Model("grade ~ treated")), 1) == {
        "Intercept": 10.0,
        "treated": 10.0,
    }
    wider = balanced_df(Cell(LAW, Layout(12, 5, 6), Model("grade ~ treated + resources")), 1)
    assert set(wider.values()) == {9.0}


def test_columns_within_schools_have_the_students_left() -> None:
    school = np.repeat(np.arange(4), 6)
    inner = np.tile([-1.0, 0.0, 1.0], 8)
    x = np.array([np.ones(24), school % 2, inner, inner + school])
    between, within = _kinds(x, np.arange(0, 25, 6))
    assert between.tolist() == [True, True, False, False]
    assert within.tolist() == [True, False, True, False]


@pytest.mark.parametrize(
    ("layout", "model", "said"),
    [
        (Layout(4, (4, 5, 6, 7), 2), Model("grade ~ treated"), "schools of 4 to 7 students"),
        (Layout(6, 5, 3), Model("grade ~ treated", random="1 + age"), r"random part '1 \+ age'"),
        (Layout(6, 5, 3), Model("grade ~ age + treated"), "got age; leave them out"),
    ],
)
def test_where_theory_knows_none_it_says_so(layout: Layout, model: Model, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        balanced_df(Cell(LAW, layout, model), 1)

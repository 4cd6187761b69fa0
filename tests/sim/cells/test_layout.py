"""Layouts: sizes, and errors that say which value and why."""

from __future__ import annotations

from typing import Any

import pytest

from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput


def test_one_size_for_all_or_one_each() -> None:
    assert Layout(schools=3, students=5).sizes().tolist() == [5, 5, 5]
    assert Layout(schools=3, students=(2, 9, 4)).sizes().tolist() == [2, 9, 4]
    assert Layout(schools=2, students=[4, 4]).balanced  # type: ignore[arg-type]
    assert not Layout(schools=2, students=(4, 5)).balanced


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"schools": 0}, ["layout.schools", ">= 1", "0"]),
        ({"schools": 2.5}, ["layout.schools", "whole number"]),
        ({"schools": True}, ["layout.schools", "whole number"]),
        ({"students": 0}, ["layout.students", ">= 1"]),
        ({"students": -20}, ["layout.students", "-20"]),
        ({"students": "many"}, ["layout.students", "'many'"]),
        ({"schools": 3, "students": (5, 5)}, ["layout.students", "layout.schools = 3", "2 sizes"]),
        ({"schools": 2, "students": (5, 0)}, ["each size in layout.students"]),
        (
            {"schools": 4, "treated_schools": 5},
            ["layout.treated_schools", "layout.schools", "5 treated of 4"],
        ),
        ({"treated_schools": -1}, ["layout.treated_schools", "-1"]),
    ],
)
def test_errors_name_the_value(values: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        Layout(**values)
    assert all(word in str(caught.value) for word in words), str(caught.value)

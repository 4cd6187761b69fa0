"""Keys of cells: stable over time, blind to spelling, different for different laws."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from nestbench.sim.cell import Cell, canonical_json, primitives
from nestbench.sim.layout import Layout
from nestbench.sim.model import Model
from nestbench.sim.random_intercept import RandomIntercept

DRIFTED = "keys seed the streams and name stored files: a drift breaks every stored run"


@pytest.mark.parametrize(
    ("cell", "law_key", "key"),
    [
        (Cell(RandomIntercept(), Layout(), Model()), "9eaa45ae5525754e", "cf4a86177d5902d1"),
        (
            Cell(
                RandomIntercept(icc=0.05, effects={"age": 2.0, "resources": 0.5}),
                Layout(schools=6, students=(3, 4, 5, 6, 7, 8), treated_schools=2),
                Model(formula="grade ~ age + resources", random="1 + age", level=0.9),
            ),
            "d0c745e3e7b1e6c2",
            "5e4a9e20b2b9d759",
        ),
    ],
)
def test_golden_keys(cell: Cell, law_key: str, key: str) -> None:
    assert (cell.law_key, cell.key) == (law_key, key), DRIFTED


def test_spelling_does_not_matter() -> None:
    """Whole numbers for floats, the order of effects, a default written out."""
    a = Cell(RandomIntercept(total_sd=2, effects={"age": 1, "gender": 2}), Layout(students=[5] * 10), Model())  # type: ignore[arg-type]
    b = Cell(
        RandomIntercept(icc=0.2, total_sd=2.0, effects={"gender": 2.0, "age": 1.0}),
        Layout(schools=10, students=(5,) * 10),
        Model(),
    )
    assert a.key == b.key


def test_models_share_a_law_but_not_a_key() -> None:
    a, b = (Cell(RandomIntercept(), Layout(), Model(formula=f)) for f in ("grade ~ age", "grade ~ gender"))
    assert a.law_key == b.law_key
    assert a.key != b.key


def test_every_parameter_matters() -> None:
    base = Cell(RandomIntercept(), Layout(), Model())
    others = [
        Cell(RandomIntercept(icc=0.21), Layout(), Model()),
        Cell(RandomIntercept(effects={}), Layout(), Model()),
        Cell(RandomIntercept(), Layout(schools=11), Model()),
        Cell(RandomIntercept(), Layout(treated_schools=1), Model()),
    ]
    assert len({base.law_key, *(other.law_key for other in others)}) == 5


def test_a_new_parameter_at_its_default_changes_nothing() -> None:
    @dataclass(frozen=True)
    class Older:
        a: float = 1.0

    @dataclass(frozen=True)
    class Newer:
        a: float = 1.0
        b: dict[str, Any] = field(default_factory=lambda: {"c": 1})

    assert canonical_json(primitives(Older(2.0))) == canonical_json(primitives(Newer(2.0))) == '{"a":2.0}'

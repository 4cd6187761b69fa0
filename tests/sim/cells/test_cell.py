"""Keys of cells: stable over time, blind to spelling, different for different laws."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestbench.sim.cells.cell import Cell, canonical_json, places_of, primitives
from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept

DRIFTED = "keys seed the streams and name stored files: a drift breaks every stored run"


@pytest.mark.parametrize(
    ("cell", "law_key", "key"),
    [
        (Cell(RandomIntercept(version=1), Layout(), Model()), "7adb7b0f15398c2a", "4b4abc133fe3d05b"),
        (Cell(RandomIntercept(version=2), Layout(), Model()), "d95f18b1f68141ba", "2f2d41dc2a5eb250"),
        (
            Cell(
                RandomIntercept(icc=0.05, effects={"age": 2.0, "resources": 0.5}, version=1),
                Layout(schools=6, students=(3, 4, 5, 6, 7, 8), treated_schools=2),
                Model(formula="grade ~ age + resources", random="1 + age", level=0.9),
            ),
            "c17b10a139c7c17c",
            "be50249499f8eef1",
        ),
    ],
)
def test_golden_keys(cell: Cell, law_key: str, key: str) -> None:
    assert (cell.law_key, cell.key) == (law_key, key), DRIFTED


@pytest.mark.parametrize(
    ("parameters", "law_key"),
    [
        ({"residual_shape": "t(5)"}, "7e343c247a5e03ca"),
        ({"residual_age": 0.5}, "6c780de32e876b25"),
        ({"missing": 0.2, "missing_age": 1.0}, "9870946e38cbf6c5"),
    ],
)
def test_what_can_only_be_drawn_by_students_has_one_key(parameters: dict[str, Any], law_key: str) -> None:
    """The one it had before there was another way: its numbers are those of then."""
    laws = [RandomIntercept(**parameters, version=version) for version in (1, 2)]
    assert [Cell(law, Layout(), Model()).law_key for law in (*laws, RandomIntercept(**parameters))] == [
        law_key
    ] * 3


def test_conditions_are_found_in_both_versions() -> None:
    """The same condition first, then the one drawn otherwise, each once."""
    now, before, tails = (
        Cell(RandomIntercept(**parameters), Layout(), Model())
        for parameters in ({}, {"version": 1}, {"residual_shape": "t(5)"})
    )
    assert now.keys_drawn_otherwise == (before.key,)
    assert before.keys_drawn_otherwise == (now.key,)
    assert tails.keys_drawn_otherwise == ()
    keys = [now.key, before.key, tails.key]
    assert places_of(keys, [tails, before, now]) == [2, 1, 0]
    assert places_of(keys, [before]) == [None, 0, None]
    assert places_of([tails.key, before.key], [now, tails]) == [1, 0]


def test_spelling_does_not_matter() -> None:
    """Whole numbers for floats, the order of effects, a default written out."""
    a = Cell(RandomIntercept(total_sd=2, effects={"age": 1, "gender": 2}), Layout(students=[5] * 10), Model())  # type: ignore[arg-type]
    b = Cell(
        RandomIntercept(icc=0.2, total_sd=2.0, effects={"gender": 2.0, "age": 1.0}),
        Layout(schools=10, students=(5,) * 10),
        Model(),
    )
    assert a.key == b.key


ZEROS = ("gender", "resources", "treated", "school_age", "age:treated", "size", "treated:size")
NUMBERS = st.sampled_from([0.0, 0.5, -2.0])


@given(
    effects=st.dictionaries(st.sampled_from(("Intercept", "age", *ZEROS)), NUMBERS),
    zeros=st.dictionaries(st.sampled_from(ZEROS), st.sampled_from([0.0, -0.0, 0])),
    treated=st.sampled_from([0, 3]),
)
def test_effects_of_zero_written_out_change_no_key(
    effects: dict[str, float], zeros: dict[str, float], treated: int
) -> None:
    """One law, one key, and the same data, however its zeros are written; another effect is another law."""
    layout = Layout(6, 4, treated_schools=treated)
    plain = Cell(RandomIntercept(effects=effects), layout, Model())
    written = Cell(RandomIntercept(effects={**zeros, **effects}), layout, Model())
    assert written.law_key == plain.law_key
    assert written.key == plain.key
    again = written.draw(1, range(2)).columns["grade"]
    assert np.array_equal(again, plain.draw(1, range(2)).columns["grade"])  # type: ignore[arg-type]
    other = Cell(RandomIntercept(effects={**effects, "age": 7.0}), layout, Model())
    assert other.law_key != plain.law_key


def test_the_default_law_written_out_is_the_default_law() -> None:
    """With and without the treatment's 0, in layouts with and without treatment."""
    explicit = {"Intercept": 50.0, "age": 2.0, "gender": 1.0, "resources": 0.5}
    for layout in (Layout(), Layout(treated_schools=3)):
        keys = {
            Cell(law, layout, Model()).law_key
            for law in (
                RandomIntercept(),
                RandomIntercept(effects=explicit),
                RandomIntercept(effects=explicit | {"treated": 0.0, "size": 0.0}),
            )
        }
        assert len(keys) == 1


def test_numbers_of_numpy_are_numbers() -> None:
    """In laws, layouts and models, whole or not, in lists too: the same fields and keys as Python's."""
    plain = Cell(RandomIntercept(icc=0.25, effects={"age": 2}), Layout(3, (4, 5, 6)), Model(level=0.5))
    numpy = Cell(
        RandomIntercept(icc=np.float32(0.25), effects={"age": np.int64(2)}),  # type: ignore[arg-type]
        Layout(np.int64(3), tuple(np.array([4, 5, 6]))),  # type: ignore[arg-type]
        Model(level=np.float64(0.5)),
    )
    assert numpy == plain
    assert type(numpy.layout.schools) is int
    assert numpy.key == plain.key


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


def test_theory_is_asked_for_some_tests_only_where_the_population_takes_them() -> None:
    """A population of one's own that derives from ours knows what it says, and isn't asked for less."""

    class Own(RandomIntercept):
        def theory(self, layout: Layout, model: Model | None = None) -> dict[str, Any]:  # type: ignore[override]
            return {"coverage": {"mine": {"age": 0.9}, "cr0-z": {"age": 0.8}}}

    layout, model = Layout(6, 5), Model("grade ~ age + gender + resources")
    own = Cell(Own(), layout, model)
    assert own.theory(["cr1s-t"]) == own.theory() == Own().theory(layout)
    ours = Cell(RandomIntercept(), layout, model)
    assert set(ours.theory(["cr1s-t"])["coverage"]) == {"iid-t", "cr1s-t"} < set(ours.theory()["coverage"])

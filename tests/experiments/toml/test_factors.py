"""Factors that vary together and incomplete designs: which cells are made, and how mistakes are said."""

from __future__ import annotations

import itertools
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestbench.experiments.plan import plan
from nestbench.experiments.toml.factors import check, cross
from nestbench.experiments.toml.fields import Problems
from nestbench.experiments.toml.reading import experiment_from, read_experiment
from nestbench.experiments.toml.stored import from_stored, to_stored
from nestbench.experiments.toml.template import TEMPLATE
from nestbench.experiments.toml.writing import to_toml
from nestbench.sim.errors import InvalidInput
from nestbench.sim.random_intercept import RandomIntercept

TOGETHER = "layout.schools, layout.students"


def made(factors: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The levels of each cell, in order; the table goes through TOML text first, as a file's does."""
    read = tomllib.loads(to_toml({"factors": factors}))["factors"]
    problems = Problems()
    crossing = check(read, problems)
    problems.refuse("test")
    return [
        tuple(levels.values())
        for levels, _ in cross({s: {} for s in ("population", "layout", "model")}, crossing)
    ]


def message_of(tables: dict[str, Any], factors: dict[str, Any]) -> str:
    with pytest.raises(InvalidInput) as caught:
        experiment_from({**tables, "factors": factors})
    return str(caught.value)


def test_keys_of_one_row_vary_together(tables: dict[str, Any]) -> None:
    tables["factors"] = {TOGETHER: [[4, 9], [6, [3, 4, 5, 6, 7, 8]]], "population.icc": [0.0, 0.2]}
    found = experiment_from(tables)
    assert [dict(levels) for levels in found.levels] == [
        {"layout.schools": 4, "layout.students": 9, "population.icc": 0.0},
        {"layout.schools": 4, "layout.students": 9, "population.icc": 0.2},
        {"layout.schools": 6, "layout.students": "3, 4, 5, 6, 7, 8", "population.icc": 0.0},
        {"layout.schools": 6, "layout.students": "3, 4, 5, 6, 7, 8", "population.icc": 0.2},
    ]
    assert [(c.layout.schools, c.layout.students) for c in found.cells[1:3]] == [
        (4, 9),
        (6, (3, 4, 5, 6, 7, 8)),
    ]


def test_one_condition_names_levels_lists_of_levels_and_labels() -> None:
    kinds = [{"label": "few", "layout.schools": 4}, {"label": "many", "layout.schools": 40}]
    factors = {
        "kind": kinds,
        "layout.students": [5, [3, 4, 5, 6]],
        "population.icc": [0.0, 0.1, 0.4],
        "exclude": [
            {"kind": "few", "population.icc": [0.1, 0.4]},
            {"layout.students": [3, 4, 5, 6], "kind": "many"},
        ],
    }
    assert made(factors) == [
        ("few", 5, 0.0), ("few", "3, 4, 5, 6", 0.0), ("many", 5, 0.0), ("many", 5, 0.1), ("many", 5, 0.4),
    ]  # fmt: skip
    del factors["exclude"]
    assert made({**factors, "only": [{"kind": kinds[1], "population.icc": 0.4}]}) == [
        ("many", 5, 0.4),
        ("many", "3, 4, 5, 6", 0.4),
    ]


LEVELS = st.lists(st.integers(0, 4), min_size=1, max_size=4, unique=True)
NAMES = ("layout.a", "layout.b", "population.c", "model.d")


@st.composite
def designs(draw: st.DrawFn) -> dict[str, Any]:
    """Two keys that vary together, two that are crossed, and conditions over any of them."""
    rows = draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=4, unique=True)
    )
    factors: dict[str, Any] = {"layout.a, layout.b": [list(row) for row in rows]}
    factors |= {"population.c": draw(LEVELS), "model.d": draw(LEVELS)}
    seen = [
        sorted({row[0] for row in rows}),
        sorted({row[1] for row in rows}),
        factors["population.c"],
        factors["model.d"],
    ]
    one = st.fixed_dictionaries(
        {},
        optional={
            name: st.sampled_from(levels) | st.lists(st.sampled_from(levels), min_size=1)
            for name, levels in zip(NAMES, seen, strict=True)
        },
    ).filter(bool)
    for key in ("only", "exclude"):
        if conditions := draw(st.lists(one, max_size=3)):
            factors[key] = conditions
    return factors


def met(row: tuple[int, ...], condition: dict[str, Any]) -> bool:
    """Whether a combination meets a condition, by its words."""
    chosen = dict(zip(NAMES, row, strict=True))
    return all(chosen[n] in w if isinstance(w, list) else chosen[n] == w for n, w in condition.items())


@given(designs())
def test_the_cells_are_those_that_the_conditions_describe(factors: dict[str, Any]) -> None:
    rows = itertools.product(factors["layout.a, layout.b"], factors["population.c"], factors["model.d"])
    everything = [(*together, c, d) for together, c, d in rows]
    only, exclude = factors.get("only", []), factors.get("exclude", [])
    kept = [row for row in everything if not only or any(met(row, c) for c in only)]
    kept = [row for row in kept if not any(met(row, c) for c in exclude)]
    vain = [c for c in (*only, *exclude) if not any(met(row, c) for row in everything)]
    if vain or not kept:
        with pytest.raises(InvalidInput, match="fits no combination" if vain else "every combination"):
            made(factors)
    else:
        assert made(factors) == kept


@pytest.mark.parametrize(
    ("factors", "said"),
    [
        (
            {TOGETHER: [[4, 5], [6]]},
            "names 2 keys that vary together, so each level should be a list of 2 values, got [6]",
        ),
        ({TOGETHER: [4, 5]}, "got 4"),
        ({TOGETHER: [[4, 5], [4, 5.0]]}, "has a level twice"),
        ({"layout.schools, layout.schools": [[4, 5]]}, "names a key twice"),
        ({TOGETHER: [[4, 5]], "layout.schools": [4, 5]}, 'factors."layout.schools" is varied twice'),
        ({"layout.schools, layot.students": [[4, 5]]}, "Did you mean 'layout'?"),
        ({"population, layout.schools": [[4, 5]]}, 'factors."population" needs tables'),
        ({TOGETHER: [[4, 5], [6, "x"]]}, 'layout.students should be a whole number or a list, got "x"'),
        (
            {"exclude": {"layout.schools": 4}, TOGETHER: [[4, 5]]},
            "factors.exclude should be a list of tables",
        ),
        ({"exclude": [{}], TOGETHER: [[4, 5]]}, "factors.exclude[1] should name at least one factor"),
        ({"exclude": [{"layout.school": 4}], TOGETHER: [[4, 5]]}, "Did you mean 'layout.schools'?"),
        ({"only": [{"layout.schools": 5}], TOGETHER: [[4, 5]]}, "got 5; levels: [4]"),
        ({"only": [{"layout.schools": [4, 5]}], TOGETHER: [[4, 5]]}, "got [4, 5]; levels: [4]"),
        (
            {"only": [{"layout.schools": 4, "layout.students": 6}], TOGETHER: [[4, 5], [5, 6]]},
            "fits no combination",
        ),
        ({"exclude": [{"layout.schools": 4}], TOGETHER: [[4, 5]]}, "leave out every combination"),
        ({"layout.shuffle_sizes": [True], "only": [{"layout.shuffle_sizes": 1}]}, "got 1; levels: [true]"),
        (
            {"layout.schools": list(range(2, 200)), "layout.students": list(range(1, 2000))},
            "395802 combinations",
        ),
        (
            {"layout.schools": list(range(2, 200)), "layout.students": list(range(1, 200))},
            "make 39402 conditions",
        ),
        ({"population.icc": [i / 1e6 for i in range(1_000_000)]}, "1000000 levels"),
    ],
)
def test_mistakes_are_named(tables: dict[str, Any], factors: dict[str, Any], said: str) -> None:
    assert said in message_of(tables, factors)


def test_an_incomplete_design_goes_through_files_plans_and_shards(
    tables: dict[str, Any], tmp_path: Path
) -> None:
    tables["factors"] = {
        TOGETHER: [[4, 9], [9, 4], [6, 6]],
        "population.icc": [0.0, 0.2],
        "exclude": [{"layout.schools": 9, "population.icc": 0.0}],
    }
    tables["published"] = [
        {"source": "p", "term": "age", "measure": "coverage", "exact": True, "factors": ["layout.schools"],
         "estimators": ["ols"], "rows": [[9, 0.9], [4, 0.8]]},
    ]  # fmt: skip
    found = experiment_from(tables)
    assert len(found.cells) == 5
    (tmp_path / "x.toml").write_text(found.source)
    assert read_experiment(tmp_path / "x.toml") == found
    assert from_stored(to_stored(found), tmp_path) == found
    assert {task.cell for task in plan(found)} == set(range(5))
    assert len({cell.key for cell in found.cells}) == 5
    alone = {"layout.schools": [9], "layout.students": [4], "population.icc": [0.2]}
    crossed = experiment_from({**tables, "factors": alone, "published": []})
    assert crossed.cells[0].key == found.cells[2].key, (
        "a condition is the same however its factors are written"
    )


def test_published_rows_name_combinations_that_are_made(tables: dict[str, Any]) -> None:
    table = {
        "source": "p", "term": "age", "measure": "coverage", "exact": True,
        "factors": ["layout.schools", "layout.students"], "estimators": ["ols"], "rows": [[9, 9, 0.9]],
    }  # fmt: skip
    said = message_of({**tables, "published": [table]}, {TOGETHER: [[4, 9], [9, 4]]})
    assert "a combination that no condition has" in said


def test_what_the_template_offers_can_be_used(tmp_path: Path) -> None:
    """The commented lines of `nestbench new`, uncommented in place of the crossed factor they replace."""
    text = TEMPLATE.replace("NAME", "mine").replace('"layout.schools" = [6, 10, 30]\n', "")
    for line in ('"layout.schools, ', "exclude"):
        assert f"# {line}" in text
        text = text.replace(f"# {line}", line)
    (tmp_path / "mine.toml").write_text(text)
    found = read_experiment(tmp_path / "mine.toml")
    assert [tuple(levels.values()) for levels in found.levels] == [
        (0.0, 30, 20), (0.05, 30, 20), (0.2, 6, 100), (0.2, 30, 20),
    ]  # fmt: skip


@pytest.mark.parametrize("stated", [{}, {"effects": {"age": 1.0}}])
def test_one_effect_as_a_factor_leaves_the_others(tables: dict[str, Any], stated: dict[str, Any]) -> None:
    """As they are in the file, or the law's own where it has none."""
    usual = stated.get("effects", RandomIntercept().effects)
    asked = {
        **tables,
        "population": {"law": "random-intercept", **stated},
        "layout": {"schools": 8, "treated_schools": 4},
        "factors": {"population.effects.treated": [0.0, 3.0]},
    }
    for cell, effect in zip(experiment_from(asked).cells, (0.0, 3.0), strict=True):
        assert cell.population.effects == {**usual, "treated": effect}


def test_a_law_of_a_file_keeps_what_it_has(tables: dict[str, Any]) -> None:
    """A parameter that is no table, and a law that isn't known, are told of as before."""
    said = message_of(tables, {"population.icc.low": [0.1, 0.2]})
    assert "population.icc" in said
    said = message_of({**tables, "population": {"law": "nobodys"}}, {"population.effects.age": [1.0, 2.0]})
    assert "unknown population 'nobodys'" in said

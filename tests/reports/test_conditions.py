"""Words for conditions: no two levels or cells are called alike."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from nestbench.reports.conditions import (
    MOST,
    condition_of,
    conditions,
    distinct_texts,
    numbered,
    panel_titles,
)
from nestbench.reports.tokens import shortened
from tests.reports.figures.studies import study

LEVEL = st.one_of(
    st.integers(-5, 5),
    st.booleans(),
    st.floats(-2, 2, allow_nan=False),
    st.floats(0.12345, 0.1234501),
    st.text(max_size=4),
    st.text("ab ", min_size=80, max_size=120),
    st.lists(st.integers(1, 3), min_size=3, max_size=6),
)


@given(st.lists(LEVEL, min_size=1, max_size=12, unique_by=repr))
@settings(max_examples=100)
def test_levels_never_read_alike(values: list[Any]) -> None:
    texts = distinct_texts(values)
    assert len(set(texts)) == len(values)


def test_names_are_those_of_the_experiment_asked_about() -> None:
    """Those of the last one are kept: another's aren't taken for them, and who changes a list changes no name."""
    one, other = (study({"layout.schools": levels}).experiment for levels in ([6, 10], [7, 11]))
    conditions(one).clear()
    for experiment, schools in ((one, 6), (other, 7), (one, 6)):
        assert condition_of(experiment, 0) == conditions(experiment)[0] == f"{schools} schools"


@given(st.lists(st.lists(LEVEL, min_size=1, max_size=4, unique_by=repr), min_size=1, max_size=3))
@settings(max_examples=100)
def test_conditions_and_panels_never_read_alike(factors: list[list[Any]]) -> None:
    names = ("layout.schools", "population.effects.treated", "layout.treated")
    experiment = study(dict(zip(names, factors, strict=False))).experiment
    assert len(set(conditions(experiment))) == len(experiment.cells)
    assert len(set(panel_titles(experiment))) == len(experiment.cells)


def test_words_are_short_where_they_can_be() -> None:
    assert distinct_texts([0.1, 0.2, 1 / 3]) == ["0.1", "0.2", "0.333333"]
    assert distinct_texts([0.123456, 0.1234561, 0.2]) == ["0.123456", "0.1234561", "0.2"]
    assert distinct_texts([6, [5, 5, 60, 7]]) == ["6", "5-60"]
    assert distinct_texts([[5, 5, 60, 7], [5, 6, 60, 7]]) == ["5, 5, 60, 7", "5, 6, 60, 7"]
    assert distinct_texts([False, True]) == ["no", "yes"]
    assert numbered(["a", "b", "a", "a (2)", "a"]) == ["a", "b", "a (3)", "a (2)", "a (4)"]
    long = "grade ~ " + " + ".join(f"variable_{i}" for i in range(30))
    assert len(shortened(long, MOST)) <= MOST
    assert shortened(long, MOST).startswith("grade ~ variable_0")
    assert shortened(long, MOST).endswith("variable_29")


def test_factors_that_share_a_name_are_told_apart() -> None:
    factors = {"population.effects.treated": [0, 3], "layout.treated": [0, 3], "layout.schools": [10]}
    titles = panel_titles(study(factors).experiment)
    assert titles[1] == "effect of treated 0,\nlayout.treated 3"


def test_a_panel_without_a_factor_is_shared() -> None:
    titles = panel_titles(
        study({"layout.schools": [6, 10], "population.icc": [0.0, 0.2]}).experiment, "layout.schools"
    )
    assert titles == ["ICC 0", "ICC 0.2", "ICC 0", "ICC 0.2"]

"""Draws of X that conditions share: what theory says is what it says of each by itself, to the last bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.batch import Category
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept, known
from nestbench.sim.random_intercept.data_sets import draw_data
from nestbench.sim.streams import StreamSource

EFFECTS = {"Intercept": 50.0, "age": 2.0, "gender": 1.0, "resources": 0.5}
LAYOUT = Layout(6, 5, size_cv=0.5, treated_share=0.5)
CONFOUNDED: dict[str, Any] = {"age_icc": 0.2, "age_confounding": 0.5}
OTHERS: dict[str, Any] = {
    "icc": 0.35,
    "total_sd": 3.0,
    "effects": {"age": 1.0, "resources": -2.0, "school_age": 0.4, "age:resources": 0.2, "treated:size": 1.0},
}


def fresh(law: RandomIntercept, layout: Layout, model: Model) -> str:
    """Return what is known of a population, nothing of it from before."""
    known._last = ("", None)
    return remembered(law, layout, model)


def remembered(law: RandomIntercept, layout: Layout, model: Model) -> str:
    known._KNOWN.clear()
    known._AVERAGED.clear()
    return repr(known.theory_of(law, layout, model))


def test_all_that_is_of_outcomes_is_tried() -> None:
    assert set(OTHERS) == set(known.OF_OUTCOMES)


@pytest.mark.parametrize("name", known.OF_OUTCOMES)
@pytest.mark.parametrize("more", [{}, CONFOUNDED], ids=["plain", "confounded"])
@pytest.mark.parametrize("version", [1, 2])
def test_no_column_but_the_outcome_depends_on_it(name: str, more: dict[str, Any], version: int) -> None:
    law = RandomIntercept(**more, version=version)
    batches = [
        draw_data(one, LAYOUT, StreamSource(1, "theory"), range(3))
        for one in (law, replace(law, **{name: OTHERS[name]}))
    ]
    one, other = batches
    assert not np.array_equal(one.columns["grade"], other.columns["grade"])  # type: ignore[arg-type]
    np.testing.assert_array_equal(one.school_offsets, other.school_offsets)
    for column in ("age", "gender", "resources", "treated"):
        a, b = (c.codes if isinstance(c := batch.columns[column], Category) else c for batch in batches)
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("layout", "more"),
    [
        (LAYOUT, {}),
        (Layout(6, 5, treated_share=0.5), CONFOUNDED),
        (Layout(5, 4000, treated_share=0.4), {"missing": 0.1}),
    ],
    ids=["students", "biased", "strata"],
)
def test_conditions_that_share_their_columns_have_the_numbers_they_have_alone(
    layout: Layout, more: dict[str, Any]
) -> None:
    model = Model("grade ~ age + gender + resources + treated")
    effects = [EFFECTS, {**EFFECTS, "treated": 0.3}, {**EFFECTS, "school_age": 0.4}]
    laws = [RandomIntercept(icc=icc, effects=e, **more) for icc in (0.05, 0.3) for e in effects]
    alone = [fresh(law, layout, model) for law in laws]
    assert [remembered(law, layout, model) for law in laws] == alone
    assert len(set(alone)) > 1


def test_nothing_is_known_of_columns_that_depend_on_one_another() -> None:
    """Two schools have one contrast between them, not two."""
    assert "coverage" not in known.theory_of(RandomIntercept(), Layout(2, 5), Model("grade ~ resources"))
    assert "coverage" not in known.theory_of(
        RandomIntercept(),
        Layout(3, 5, treated_share=0.5),
        Model("grade ~ resources + treated + group_mean(age)"),
    )


def test_columns_are_drawn_once_for_conditions_that_share_them(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    draw = known._by_students
    monkeypatch.setattr(known, "_by_students", lambda *given: (drawn.append(given[0]), draw(*given))[1])
    known._last = ("", None)
    for layout in (LAYOUT, Layout(8, 5)):
        for icc in (0.01, 0.1, 0.3):
            remembered(RandomIntercept(icc=icc), layout, Model("grade ~ age + resources"))
    assert len(drawn) == 2


def test_some_tests_are_as_among_all_and_nothing_else_changes() -> None:
    law, model = RandomIntercept(icc=0.1), Model("grade ~ age + gender + resources + treated")
    whole = known.theory_of(law, LAYOUT, model)
    for tests in (["cr1s-t"], ["cr2-satt", "reml-satt"], ["cr0-z", "cr1s-z", "cr3-t", "iid-t"], []):
        some = known.theory_of(law, LAYOUT, model, tests)
        kept = {"iid-t", *tests}
        of_tests = ("coverage", "coverage_mcse", "se_ratio", "se_ratio_mcse")
        for key in of_tests:
            assert some[key] == {name: value for name, value in whole[key].items() if name in kept}
        assert {k: v for k, v in some.items() if k not in of_tests} == {
            k: v for k, v in whole.items() if k not in of_tests
        }
    assert known.theory_of(law, LAYOUT, model) == whole

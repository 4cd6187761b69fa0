"""The league's conditions: what their file says is what is drawn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nestbench.league.condition import chosen, conditions
from nestbench.league.making import MAKING
from nestbench.sim.errors import InvalidInput


def test_there_are_40_and_all_that_can_be_made_is_made() -> None:
    assert len({condition.name for condition in conditions()}) == 40
    assert {name for condition in conditions() for name in condition.made} == set(MAKING)
    assert {condition.asked.random for condition in conditions()} == {"intercept", "slope", "classes"}


def test_a_data_set_is_a_function_of_seed_condition_and_number() -> None:
    for condition in conditions():
        data = condition.data_set(1)
        pd.testing.assert_frame_equal(data, condition.data_set(1))
        assert not data["grade"].equals(condition.data_set(2)["grade"])
        assert not data["grade"].equals(condition.data_set(1, seed=5)["grade"])


def test_what_is_made_of_the_tables() -> None:
    def data(name: str) -> pd.DataFrame:
        return chosen([name])[0].data_set(0)

    assert data("missing-rows").isna().sum().to_dict() == {"grade": 20, "treated": 0, "age": 20, "school": 0}
    assert data("missing-schools")["school"].isna().sum() == 17
    assert np.std(data("outcome-1e-6")["grade"]) < 1e-5 < 1e5 < np.std(data("outcome-1e6")["grade"])
    np.testing.assert_allclose(data("collinear")["age2"], 2 * data("collinear")["age"] + 1)
    assert 0 < np.std(data("nearly-collinear").eval("age2 - age")) < 0.01
    assert data("labels-categories").index.has_duplicates
    assert len(data("labels-categories")["school"].cat.categories) == 22
    assert (data("labels-numbers")["school"].min(), data("labels-numbers")["arm"].dtype) == (-4.5, bool)


def test_an_unknown_condition_is_refused_with_the_nearest() -> None:
    with pytest.raises(InvalidInput, match=r"condition.*'balancd'.*balanced"):
        chosen(["balancd"])

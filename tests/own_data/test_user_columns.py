"""Columns and options as people pass them to `nestbench.estimate`: a number, or one sentence."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

import nestbench
from nestbench.sim.errors import InvalidInput

RNG = np.random.default_rng(5)
FRAME = pd.DataFrame(
    {
        "g": np.repeat([f"S{i}" for i in range(8)], 6),
        "x": RNG.normal(size=48).round(3),
        "sex": ["f", "m"] * 24,
        "k": np.tile(["1", "2", "3"], 16),
    }
)
FRAME["y"] = (FRAME.x + RNG.normal(size=48)).round(3)
Y_ON_X = np.polyfit(FRAME.x, FRAME.y, 1)[0]


def fit(frame: pd.DataFrame, formula: str = "y ~ x", **options: Any) -> Any:
    return nestbench.estimate(frame, "ols", formula=formula, group="g", **options)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"x": FRAME.x.map(lambda v: Decimal(str(v)))}, ""),
        ({"x": FRAME.x.astype(object)}, ""),
        ({"x": FRAME.x.astype("Float64")}, ""),
        ({"x": FRAME.x.map(lambda v: f"{v:.3f} %")}, "% signs"),
        ({"x": FRAME.x.map(lambda v: f"{v:.3f}".replace(".", ","))}, "decimal commas"),
        ({"x": FRAME.x.astype(object).where(FRAME.index != 3, str(FRAME.x[3]))}, "numbers as text"),
    ],
    ids=["decimals", "objects", "nullable", "percent", "commas", "one as text"],
)
def test_numbers_in_any_dress_are_numbers(change: dict[str, Any], said: str) -> None:
    found = fit(FRAME.assign(**change))
    assert found.terms.loc["x", "estimate"] == pytest.approx(Y_ON_X, rel=1e-9)
    assert said in "".join(found.messages)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"x": FRAME.x.where(FRAME.index != 3, np.inf)},
            "finite numbers in 'x', got inf in 1 of 48 rows, first in row 3",
        ),
        ({"y": FRAME.y.where(FRAME.index != 3, -np.inf)}, "finite numbers in 'y', got -inf"),
        ({"x": FRAME.x + 1j}, "real numbers in 'x'"),
        ({"x": [[1, 2]] * 48}, r"numbers or labels in 'x', got \[1, 2\] in row 0"),
        ({"x": [{"a": 1}] * 48}, "numbers or labels in 'x'"),
        ({"x": (FRAME.x * 1000 + 5000).map(lambda v: f"{v:,.0f}")}, "numbers with one meaning in 'x'"),
        ({"y": FRAME.y.astype(object).where(FRAME.index != 5, "absent")}, "such as 'absent', first in row 5"),
        ({"x:sex": FRAME.x}, "the column 'x:sex'; rename it"),
    ],
)
def test_what_is_no_number_is_refused(change: dict[str, Any], words: str) -> None:
    formula = "y ~ x:sex + `x:sex`+ x + sex" if "x:sex" in change else "y ~ x"
    with pytest.raises(InvalidInput, match=words):
        fit(FRAME.assign(**change), formula)


@pytest.mark.parametrize(
    ("change", "formula", "words"),
    [
        ({}, "y ~ k", "'k' is text, though all its values are numbers"),
        ({"x": FRAME.x.where(FRAME.index > 2, -99.0)}, "y ~ x", "'x' has -99 in 3 rows, far from all else"),
        ({"sex": "f"}, "y ~ x + sex", "'sex' has one value alone, 'f'"),
        ({"x": [f"w{i}" for i in range(48)]}, "y ~ x", "its 48 values in 48 rows are a term each"),
        ({"x": pd.date_range("2020", periods=48)}, "y ~ x", "dates or times, taken as labels"),
        ({"sex": FRAME.sex.where(FRAME.index > 1, "Missing")}, "y ~ sex", "the label 'Missing' in 2 rows"),
        (
            {"sex": FRAME.sex.where(FRAME.index > 1, "")},
            "y ~ sex",
            r"dropped 2 of 48 rows with missing values \(sex 2\)",
        ),
    ],
)
def test_what_may_be_meant_otherwise_is_said(change: dict[str, Any], formula: str, words: str) -> None:
    found = fit(FRAME.assign(**change), formula)
    assert pd.Series(found.messages).str.contains(words).any(), found.messages


def test_rows_of_one_index_label_are_rows() -> None:
    """Concatenated tables repeat their index."""
    found = fit(FRAME.assign(x=FRAME.x.astype(str) + "%").set_index(np.zeros(len(FRAME))))
    assert found.terms.loc["x", "estimate"] == pytest.approx(Y_ON_X, rel=1e-9)


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("y ~ ", "nothing stands after '~'"),
        ("y ~ Intercept", "'Intercept' names the constant"),
        ("y ~ x + y", "'y' stands on both sides"),
        ("y ~ x + I(y ** 2)", "'y' stands on both sides"),
        ("y ~ np.log(x)", r"finite number for 'np.log\(x\)' in every row, got -?(nan|inf) in \d+ of 48"),
        ("y ~ lag(x)", "finite number for"),
    ],
)
def test_formulas_that_would_be_taken_otherwise(formula: str, words: str) -> None:
    frame = FRAME.assign(Intercept=FRAME.x)
    with pytest.raises(InvalidInput, match=words):
        fit(frame, formula)


def test_options_stay_options_beside_columns_of_that_name() -> None:
    frame = FRAME.assign(**{"True": FRAME.x})
    assert fit(frame, "y ~ poly(x, 2, raw=True)").terms.shape[0] == 3
    assert fit(frame, "y ~ `True`").terms.loc["True", "estimate"] == pytest.approx(Y_ON_X, rel=1e-9)


@pytest.mark.parametrize(
    "wrong",
    [
        {"formula": None},
        {"formula": 3},
        {"random": 1},
        {"random": "."},
        {"random": ""},
        {"random": "1 + y"},
        {"level": "95"},
        {"level": 95},
        {"level": True},
        {"subgroup": ["sex"]},
        {"null": [1]},
    ],
    ids=str,
)
def test_options_of_another_type_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="expected"):
        nestbench.estimate(FRAME, "ols", **{"formula": "y ~ x", "group": "g", **wrong})


@pytest.mark.parametrize("method", [None, 3, 2.5])
def test_what_is_no_method_is_refused(method: Any) -> None:
    with pytest.raises(InvalidInput, match="expected a method by name"):
        nestbench.estimate(FRAME, method, formula="y ~ x", group="g")


def test_labels_within_several_groups_are_said() -> None:
    found = fit(FRAME, subgroup="sex")
    assert any("'sex' has labels that occur in several 'g'" in words for words in found.messages)

"""Which method is named, and which the formula is held to: of answers made by hand."""

from __future__ import annotations

from typing import Any

from nestbench.sizing.answer import MethodAnswer
from nestbench.sizing.asking import of_the_formula
from nestbench.sizing.measuring import choose, strictest
from nestbench.sizing.posing import Options, question_of

ASKED = question_of(
    Options(None, "schools", None, None, 0.05, None, 0.3, 0.0, 0.0, None, {"students": 20, "icc": 0.1})
)


def answer(method: str, value: float, size: float = 0.05, grade: str = "holds") -> MethodAnswer:
    kept: dict[str, Any] = {"half_width": 0.3, "half_width_mcse": 0.001, "grade": grade, "n": 10_000}
    return MethodAnswer(method, value, value - 1, value + 1, True, 0.8, 0.002, size, 0.002, **kept)


def test_the_first_of_those_that_need_least_is_named() -> None:
    first, second, more = answer("reml-kr", 75), answer("means", 76), answer("ols-cr2-satt", 90)
    assert choose(ASKED, [more, first, second]) == "reml-kr"


def test_what_rejects_too_often_comes_after_what_does_not() -> None:
    loose = answer("ols-cr1s-t", 60, size=0.06)
    assert choose(ASKED, [loose, answer("means", 75)]) == "means"
    assert strictest(ASKED, [loose]) == [loose]


def test_a_conservative_test_comes_after_one_as_good_that_is_not() -> None:
    low = answer("reml-kr", 75, size=0.0, grade="too wide")
    assert choose(ASKED, [low, answer("means", 75)]) == "means"
    assert choose(ASKED, [low, answer("means", 90)]) == "reml-kr"


def test_the_formula_is_held_to_a_test_that_uses_its_level() -> None:
    """An ICC near 0, where Kenward-Roger's test rejects 3.3 %: the formula's answer is that of school means."""
    low, means, ols = answer("reml-kr", 29, size=0.033), answer("means", 28), answer("ols", 26)
    assert of_the_formula(ASKED, [low, means, ols], "ols") is means
    assert of_the_formula(ASKED, [low, ols], "ols") is low
    assert of_the_formula(ASKED, [ols], "ols") is ols


def test_where_effects_vary_the_formula_is_that_of_the_schools_own_effects() -> None:
    trial = {"kind": "students", "students": 20, "icc": 0.15}
    fixed, varying = (
        question_of(
            Options(None, "schools", None, None, 0.05, None, 0.2, 0.0, 0.0, None, {**trial, "effect_sd": sd})
        )
        for sd in (0.0, 0.1)
    )
    low, iid, own = answer("reml-kr", 40, size=0.037), answer("dummies", 35), answer("dummies-cr2-satt", 38)
    assert of_the_formula(fixed, [low, iid, own], "dummies") is iid
    assert of_the_formula(varying, [low, iid, own], "dummies") is own

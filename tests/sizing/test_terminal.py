"""The answer on a terminal: eight lines with five methods, in the width there is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nestbench.sizing.answer import Sizing
from nestbench.sizing.asking import size, with_words
from nestbench.sizing.paragraph import paragraph
from nestbench.sizing.posing import Options, question_of
from nestbench.sizing.sentences import assumed
from nestbench.sizing.terminal import text_of

CLASSES = {"kind": "classes", "classes": 3, "students": 30, "icc": 0.1, "class_icc": 0.08}
METHODS = "means,ols,ols-cr2-satt,ols-cr1s-t,ols-cr3-t"


def asked(**trial: Any) -> Sizing:
    found = size(
        **{"solve": "schools", "students": 8, "icc": 0.15, **trial}, methods=METHODS, most=500, workers=1
    )
    assert isinstance(found, Sizing)
    return found


@pytest.fixture(scope="module")
def sizing() -> Sizing:
    return asked(effect=0.9)


def test_eight_lines_with_five_methods(sizing: Sizing) -> None:
    lines = sizing.shown.splitlines()
    assert len(lines) == 8
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith(f"{sizing.value:g} schools")
    assert lines[1] == "Of 8 students a school, half treated, ICC .15: power .8 for .9 at alpha .05."
    assert [line.split()[0] for line in lines[3:]] == METHODS.split(",")


def test_a_narrow_terminal_holds_it(sizing: Sizing) -> None:
    lines = text_of(sizing, 60).splitlines()
    assert max(map(len, lines)) <= 60
    assert [line.split()[0] for line in lines[-5:]] == METHODS.split(",")


def test_a_conservative_test_is_called_so(sizing: Sizing) -> None:
    """Below Bradley's band the answer counts, and errs on the safe side."""
    first, *others = sizing.answers
    low = replace(first, grade="too wide", size=0.02)
    found = with_words(replace(sizing, answers=(low, *others), named=low.method))
    assert low.valid
    assert f"{low.method} is conservative there (type I error 2.0 %, nominal 5 %)" in found.shown.replace(
        "\n", " "
    )
    (row,) = [line for line in found.shown.splitlines() if line.endswith("conservative")]
    assert row.startswith(low.method)
    assert "conservative" in found.html
    assert "errs on the safe side" in paragraph(found)
    assert "conservative" not in sizing.shown


def test_a_formula_of_another_method_says_so(sizing: Sizing) -> None:
    """Where ICCs are near 0, OLS holds and needs less than the t test of schools that the formula is of."""
    assert sizing.closed is not None
    assert sizing.closed.method == sizing.named == "means"
    assert "Closed form: " in sizing.shown
    assert "Closed form of means: " in with_words(replace(sizing, named="ols")).shown


def test_long_names_leave_out_errors_before_columns(sizing: Sizing) -> None:
    answers = tuple(replace(a, method=f"dummies-{a.method}", grade="too wide") for a in sizing.answers)
    lines = text_of(replace(sizing, answers=answers, named=None, closed=None), 80).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[-1].endswith("conservative")


def test_what_was_given_is_what_is_said() -> None:
    """The ICC before covariates, not the one that they leave; half-widths where these are the target."""
    found = asked(half_width=0.9, r2_school=0.5)
    assert "ICC .15, R^2 .5 of schools: 95 % intervals of half-width .9" in found.shown.replace("\n", " ")
    assert "half-width  type I error" in found.shown


def test_the_classes_share_is_said() -> None:
    asked = Options(None, "schools", None, None, 0.05, None, 0.3, 0.0, 0.0, None, CLASSES)
    assert "in 3 classes, half treated, ICC .1, of classes .08: power .8" in assumed(question_of(asked))


def test_a_half_width_is_held_to_the_formula_too() -> None:
    """CR2 with its own df isn't the t test of school means that the formula is of: few treated schools show it."""
    asked: dict[str, Any] = {"students": 8, "icc": 0.15, "treated_share": 0.2, "half_width": 0.7}
    means, cr2 = (
        size(solve="schools", methods=each, most=1000, workers=1, **asked)
        for each in ("means", "ols-cr2-satt")
    )
    assert isinstance(means, Sizing)
    assert isinstance(cr2, Sizing)
    assert means.closed is not None
    assert means.closed.agrees
    assert cr2.closed is not None
    assert f"beyond Monte Carlo error (half-width {cr2.closed.half_width:.3g} there)" in cr2.shown.replace(
        "\n", " "
    )

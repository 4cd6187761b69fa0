"""The page, its curves and alternatives, the paragraph: of a small question, and what they say read back."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from nestbench.estimators.methods.registry import get
from nestbench.sim.random_intercept.planned import planned_of
from nestbench.sim.theory.planning import required
from nestbench.sim.theory.planning.schools import SchoolsRandomised
from nestbench.sim.theory.planning.targets import HalfWidth, Power
from nestbench.sizing import formula
from nestbench.sizing.answer import Sizing
from nestbench.sizing.asking import size
from nestbench.sizing.closed import planned
from nestbench.sizing.page import Detail, detail_of, render, write_page
from nestbench.sizing.paragraph import METHODS, paragraph, sources_of
from nestbench.sizing.posing import (
    FOR_BLOCKS,
    FOR_CLASSES,
    FOR_PAIRS,
    FOR_SCHOOLS,
    FOR_STUDENTS,
    Options,
    question_of,
)
from nestbench.sizing.question import Question


def asked(solve: str, half_width: float | None = None, **trial: object) -> Question:
    effect: Any = trial.pop("effect", None)
    return question_of(Options(None, solve, None, half_width, 0.05, None, effect, 0.0, 0.0, None, trial))


@pytest.fixture(scope="module")
def sizing() -> Sizing:
    return size(solve="schools", students=10, icc=0.2, effect=0.9, methods="means,ols", most=1000, workers=1)


@pytest.fixture(scope="module")
def detail(sizing: Sizing) -> Detail:
    return detail_of(sizing, workers=1)


def words_of(html: str) -> str:
    bare = re.sub(r"<(script|style).*?</\1>", " ", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", bare)))


def test_the_page_says_what_the_answer_says(sizing: Sizing, detail: Detail) -> None:
    html = render(sizing, detail)
    words = words_of(html)
    answer, naive = sizing.answers
    assert f"{answer.value:g} schools" in words
    assert f"ols says {naive.value:g} schools; its type I error there is {100 * naive.size:.1f} %" in words
    assert paragraph(sizing) in words
    assert "not valid: fails" in words
    assert html.count("<svg") == 4  # two figures, light and dark
    assert not re.search(r"(src|href)=\"(?!#)", html), "the page loads nothing"
    assert "trial is to find an effect of 0.9 SD with 80 % power" in words


def test_curves_surround_the_answers(sizing: Sizing, detail: Detail) -> None:
    values = sorted(set(detail.curve["value"]))
    reached = [a.value for a in sizing.answers]
    assert values[0] < min(reached)
    assert max(reached) < values[-1]
    assert set(reached) <= set(values)
    means = detail.curve[(detail.curve["method"] == "means") & (detail.curve["n"] >= 1000)]
    closed = dict(formula.along(sizing.question, means["value"]))
    for _, row in means.iterrows():
        # school means of equal schools are exactly noncentral t; 5.5 errors are a chance of 4e-8 each
        assert row["power"] == pytest.approx(closed[row["value"]], abs=5.5 * row["power_mcse"] + 1e-9)


def test_alternatives_are_other_circumstances_of_one_design(sizing: Sizing, detail: Detail) -> None:
    rows = {one.name: one for one in detail.alternatives}
    assert list(rows) == ["as planned", "ICC 0.05", "ICC 0.1", "2 schools drop out", "sizes differ (cv 0.5)"]
    assert sizing.answer is not None
    assert rows["as planned"].power == sizing.answer.power
    assert rows["ICC 0.05"].power > rows["ICC 0.1"].power > rows["as planned"].power
    assert rows["ICC 0.05"].needed < rows["ICC 0.1"].needed < rows["as planned"].needed
    assert rows["2 schools drop out"].needed > rows["as planned"].needed
    trial = SchoolsRandomised(schools=2, students=10, icc=0.05)
    assert rows["ICC 0.05"].needed == required.required_schools(trial, Power(0.9))


def test_needed_is_the_closed_form_in_units_of_the_outcome() -> None:
    trial = SchoolsRandomised(schools=2, students=20, icc=0.1)
    wide = asked("schools", half_width=3.0, students=20, icc=0.1, sd=10.0)
    assert formula.needed(wide, wide.cell(20)) == required.required_schools(trial, HalfWidth(0.3))
    students = asked("students", schools=30, icc=0.1, effect=0.25)
    assert formula.needed(students, students.cell(20)) == float("inf")


def test_pairs_by_the_thousand_have_a_closed_form() -> None:
    """Whose dummies are not made: the trial is that of the model's own terms, where these are few."""
    pairs = asked("schools", students=10, icc=0.2, effect=0.4, kind="pairs", r2_school=0.5)
    cell = pairs.cell(40)
    own = planned_of(cell.population, cell.layout, cell.found.terms)  # type: ignore[arg-type]
    assert own is not None
    assert planned(cell, "treated") == (own.trial, own.sd)
    assert formula.needed(pairs, pairs.cell(2000)) == pytest.approx(formula.needed(pairs, cell), abs=4)


def test_the_references_are_those_of_the_paragraph(sizing: Sizing) -> None:
    """Each method asked by default whose sources are publications: as many references as it names."""
    names = {*FOR_SCHOOLS, *FOR_PAIRS, *FOR_BLOCKS, *FOR_CLASSES, *FOR_STUDENTS}
    assert len(sources_of(sizing)) == 4  # Bradley, two of the formula, school means
    for source in (get(name).info.source for name in names):
        years = re.findall(r"[12]\d{3}", source)
        assert len([key for key in METHODS if key in source]) == len(years)


@pytest.mark.slow
def test_pages_of_every_unknown(tmp_path: Path) -> None:
    """A page for each unknown and target, and a trial that nothing reaches."""
    common = {"methods": "means,ols", "most": 1000, "workers": 1}
    cases = {
        "effect": {"solve": "effect", "schools": 12, "students": 10, "icc": 0.1},
        "students": {"solve": "students", "schools": 20, "icc": 0.05, "effect": 0.6},
        "treated": {"solve": "treated", "schools": 40, "students": 10, "icc": 0.05, "effect": 0.5},
        "icc": {"solve": "icc", "schools": 30, "students": 10, "effect": 0.5},
        "width": {"solve": "schools", "students": 10, "icc": 0.1, "half_width": 0.5},
        "pairs": {
            "solve": "schools",
            "students": 10,
            "icc": 0.1,
            "effect": 0.6,
            "kind": "pairs",
            "r2_school": 0.4,
        },
        "unreachable": {"solve": "students", "schools": 10, "icc": 0.3, "effect": 0.1},
    }
    for name, case in cases.items():
        words = words_of(write_page(size(**common, **case), tmp_path / name).read_text())  # type: ignore[arg-type]
        assert "For a grant or a preregistration In " in words
        assert "nan" not in words

"""No two labels of a rendered figure overprint each other, and its size is that of something that can be printed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nestbench.reports.figures.axes import names
from nestbench.reports.figures.drawing import FromTable
from nestbench.reports.figures.faceting import arranged, broken
from nestbench.reports.figures.kinds import Wish, figure, record_of
from nestbench.reports.figures.letters import text_width
from nestbench.reports.figures.lines import crowded_factor
from nestbench.reports.figures.panels import coverage
from nestbench.reports.figures.theme import dressed
from nestbench.reports.page.gallery import figures
from tests.reports.figures.reading import Picture, Text, overprinted, plain, read
from tests.reports.figures.studies import LEVELS, LONG, METHODS, study, table_of

ACROSS = (
    "coverage",
    "bias",
    "failures",
    "frontier",
    "lollipop",
    "nested-loop",
    "power",
    "rejection",
    "runtime",
    "runtime-size",
    "se-error",
)

SETS: dict[str, dict[str, list[Any]]] = {
    "four factors": {
        "layout.schools": [6, 30],
        "population.icc": [0.0, 0.2],
        "layout.treated_schools": [1, 3],
        "population.effects.treated": [0, 3],
    },
    "3 formulas x 2 ICC": {"model.formula": list(LEVELS["model.formula"][1:]), "population.icc": [0.0, 0.2]},
    "32 levels": {"layout.schools": list(range(4, 36))},
    "long words": {"design": list(LEVELS["design"]), "model.level": [0.8, 0.95]},
}


def drawn(
    kind: str, factors: dict[str, list[Any]], methods: tuple[str, ...], seed: int, unit: float
) -> Picture | None:
    made = study(factors, methods, seed)
    table = table_of(made, np.random.default_rng(seed), 0.2, unit)
    record = record_of(kind)
    measure = record.measure if isinstance(record, FromTable) else ""
    there = table["measure"].str.startswith(measure).any()
    return read(dressed(figure(made, kind, Wish(), table))) if there else None


def check(picture: Picture | None) -> None:
    assert picture is not None
    texts = [t for t in picture.texts if t.words not in "()[]"]
    assert overprinted(texts) == []
    for text in texts:
        left, top, right, bottom = text.box
        assert left >= -2, text
        assert right <= picture.width + 2, text
        assert top >= -2, text
        assert bottom <= picture.height + 2, text
    longer, shorter = max(picture.width, picture.height), min(picture.width, picture.height)
    assert longer <= 1500 or longer <= 2.5 * shorter, (picture.width, picture.height)
    assert longer <= 6000


@pytest.mark.parametrize("name", list(SETS))
@pytest.mark.parametrize("kind", ["coverage", "nested-loop"])
def test_labels_stand_apart(kind: str, name: str) -> None:
    check(drawn(kind, SETS[name], (*METHODS[:2], LONG), 1, 1.0))


@st.composite
def factor_sets(draw: Any, most: int = 40) -> dict[str, list[Any]]:
    chosen: dict[str, list[Any]] = {}
    room = most
    for name in draw(st.lists(st.sampled_from(list(LEVELS)), min_size=1, max_size=4, unique=True)):
        if room > 1:
            levels = st.lists(st.sampled_from(LEVELS[name]), min_size=1, max_size=room, unique_by=repr)
            chosen[name] = draw(levels)
            room //= len(chosen[name])
    return chosen


@pytest.mark.slow
@pytest.mark.parametrize("kind", ACROSS)
@given(
    factors=factor_sets(),
    methods=st.integers(1, 24),
    unit=st.sampled_from([1e-5, 1.0, 1e6]),
    seed=st.integers(0, 999),
)
@settings(max_examples=25)
def test_labels_stand_apart_in_many_studies(
    kind: str, factors: dict[str, list[Any]], methods: int, unit: float, seed: int
) -> None:
    if kind == "power":
        factors = {f: levels[:2] for f, levels in factors.items()} | {"layout.schools": [5, 10, 30]}
    names = tuple(f"{METHODS[i % 4]}-{i}" for i in range(methods))
    picture = drawn(kind, factors, (*names, LONG), seed, unit)
    assume(picture is not None)  # holes may leave nothing to draw
    check(picture)


@given(
    st.text("abW ~+,\n", max_size=120).map(lambda t: "\n".join(" ".join(x.split()) for x in t.split("\n"))),
    st.integers(40, 300),
)
def test_breaking_loses_no_letter(title: str, width: int) -> None:
    lines = broken(title, width)
    assert plain(lines) == plain(title)
    words = title.split()
    assert lines.split() == words or max(len(w) for w in words) > width / 14


@given(st.lists(st.integers(1, 6), max_size=5), st.integers(20, 700))
def test_every_panel_has_its_place(sizes: list[int], height: int) -> None:
    n = int(np.prod(sizes)) if sizes else 7
    grid = arranged([f"panel {i}" for i in range(n)], [size for size in sizes if size > 1], height)
    assert sorted(grid.titles) == sorted(f"panel {i}" for i in range(n))
    assert 1 <= grid.columns <= n


def test_many_levels_of_a_number_are_lines_on_the_page() -> None:
    """A factor of 32 levels: a line a method instead of 32 panels, with every number at its place."""
    made = study({"layout.schools": list(range(4, 36))}, (*METHODS[:2], LONG))
    table = table_of(made, np.random.default_rng(1))
    assert crowded_factor(made.experiment) == "layout.schools"
    assert crowded_factor(study({"layout.schools": list(range(4, 16))}).experiment) is None
    assert crowded_factor(study({"design": [f"design {i}" for i in range(32)]}).experiment) is None
    picture = read(dressed(coverage(table, made.experiment, "resources", crowded_factor(made.experiment))))
    check(picture)
    (panel,) = picture.panels
    rows = table[(table["measure"] == "coverage") & (table["term"] == "resources")]
    found = sorted((picture.value(d.x, panel), picture.height_value(d.y, panel)) for d in picture.dots)
    expected = sorted((4.0 + row.cell, row.value) for row in rows.itertuples())
    assert np.allclose([x for x, _ in found], [x for x, _ in expected], atol=0.05)
    assert sorted(y for _, y in found) == pytest.approx(sorted(y for _, y in expected), abs=2e-3)
    (first, *_) = figures(table, made.experiment)
    assert first["caption"].startswith("Schools: more than 12 levels, so a line stands for each method")
    assert "columns" not in first["spec"]


@given(st.lists(st.text("abW-", min_size=30, max_size=120), min_size=1, max_size=3, unique=True))
def test_names_of_methods_are_whole_and_differ(labels: list[str]) -> None:
    lines = names(labels)
    assert {label: plain(text) for label, text in lines.items()} == {label: label for label in labels}
    assert max(text_width(line, 11) for text in lines.values() for line in text.split("\n")) <= 220


@pytest.mark.parametrize("bold", [False, True])
def test_no_letter_is_wider_than_estimated(bold: bool) -> None:
    for letter in map(chr, range(32, 127)):
        assert Text(0, 0, (letter,), 12, "start", 0, "", bold).width <= 1.01 * text_width(letter, 12, bold), (
            letter
        )


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60), st.booleans())
def test_no_text_is_wider_than_estimated(text: str, bold: bool) -> None:
    """By Helvetica's own metrics: an estimate too small lets titles run out of their panel."""
    assert Text(0, 0, (text,), 12, "start", 0, "", bold).width <= 1.01 * text_width(text, 12, bold) + 1e-9

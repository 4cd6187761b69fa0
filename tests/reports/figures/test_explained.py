"""A figure's file explains itself: its words name its measure, its term and the marks that are drawn, and no others."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nestbench.reports.figures.drawing import FromTable
from nestbench.reports.figures.kinds import KINDS, TERM, Wish, figure, record_of
from nestbench.reports.figures.records import headline_term
from nestbench.reports.figures.theme import dressed
from tests.reports.figures.reading import Picture, read
from tests.reports.figures.studies import study, table_of

DOTTED = ("nested-loop", "power", "frontier")


def said(picture: Picture) -> str:
    """The head of a figure and the lines below it: what stands above all else."""
    return " ".join(t.words for t in picture.texts if t.role in ("role-title-text", "role-title-subtitle"))


@pytest.mark.parametrize("few", [False, True], ids=["all usable", "few usable"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if isinstance(record_of(kind), FromTable)])
def test_words_name_the_term_and_the_marks_that_are_drawn(kind: str, few: bool) -> None:
    made = study({"layout.schools": [6, 30]}, ("ols", "reml-satt"), seed=3)
    table = table_of(made, np.random.default_rng(3))
    table["n_attempted"] = 2 * table["n"] if few else table["n"]
    picture = read(dressed(figure(made, kind, Wish(), table)))
    words, marks = said(picture), {t.words for t in picture.texts if t.role == "role-mark"}
    if TERM in KINDS[kind].uses:
        assert f"for {headline_term(table)}" in words
    assert ("[" in marks) == ("In square brackets" in words) == (few and TERM in KINDS[kind].uses)
    assert ("(" in marks) == ("In round brackets" in words)
    dashes = any(line.role == "dashed" for line in picture.lines)
    assert dashes == ("dashed" in words.lower() or "dotted line" in words)
    assert ("dotted line" in words) == (few and kind in DOTTED)
    assert "Unfinished: 0 of 2 conditions" in words  # the made-up study has a table and no rows


@pytest.mark.parametrize("kind", ["nested-loop", "power"])
def test_a_key_shows_colours_as_they_are_drawn(kind: str) -> None:
    made = study({"layout.schools": [6, 30]}, ("ols", "reml-satt"))
    spec = dressed(figure(made, kind, Wish(), table_of(made, np.random.default_rng(1))))
    assert '"symbolOpacity": 1' in json.dumps(spec)

"""Figures of single fits: each mark read back from the picture, against the stored rows and the performance table."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.reports.figures.kinds import Wish, figure
from nestbench.reports.figures.theme import CATEGORIES, LIGHT, dressed
from nestbench.reports.measures.performance import performance_table
from tests.reports.figures.reading import Picture, Shape, plain, read
from tests.reports.figures.studies import TERMS, studies_of_rows
from tests.reports.synthetic import FakeResults

FEW, MANY = 4, 40
Rows = dict[str, np.ndarray]


def usable(found: Estimates, term: str) -> Rows:
    """The columns of a term over the fits that are usable, written out."""
    k = found.terms.index(term)
    columns = ("estimate", "std_error", "lower", "upper", "p_value")
    keep = np.isin(found.status, (FitStatus.OK, FitStatus.BOUNDARY))
    made = {name: getattr(found, name)[keep, k] for name in columns}
    return {**made, "replication": found.replications[keep]}


def number_of(table: pd.DataFrame, cell: int, label: str, term: str, measure: str) -> tuple[float, int]:
    """A measure's value and n in the performance table."""
    at = (table["cell"] == cell) & (table["estimator"] == label) & (table["term"] == term)
    rows = table[at & (table["measure"] == measure)]
    return float(rows["value"].item()), int(rows["n"].item())


def drawn(made: FakeResults, kind: str, cell: int, term: str) -> Picture:
    assume(made.cells[cell])
    picture = read(dressed(figure(made, kind, Wish(term, cell))))
    words = plain("".join(t.words for t in picture.texts))
    assert plain(f"Condition {cell}:") in words
    assert plain(term) in words
    return picture


def panels_by_method(picture: Picture, labels: list[str]) -> dict[str, tuple[Shape, str]]:
    """Each method's panel, by the header above it, and the header's last line."""
    found = {}
    for panel in picture.panels:
        name, fits = picture.header(panel)
        found[name] = panel, fits
    assert sorted(found) == sorted(plain(label) for label in labels)
    assert len(picture.panels) == len(labels)
    return {label: found[plain(label)] for label in labels}


def inside(marks: list[Shape], panel: Shape) -> list[Shape]:
    return [
        m
        for m in marks
        if panel.left - 1 <= m.x <= panel.right + 1 and panel.top - 1 <= m.y <= panel.bottom + 1
    ]


def same(found: list[Any], expected: list[Any], spread: float) -> None:
    """Equal as sets of points, up to what a pixel's hundredth is worth."""
    assert len(found) == len(expected)
    if found:
        one, other = (np.array(sorted(points)) for points in (found, expected))
        assert np.allclose(one, other, atol=1e-4 * spread), (one, other)


def fits_said(n: int, attempted: int) -> str:
    """What a header says of n fits; of how many, where under 95 % are usable."""
    few = f" usable, of {attempted}" if n / attempted < 0.95 else ""
    return f"{n} fit{'s' * (n > 1)}{few}"


def check_zip(made: FakeResults, cell: int, term: str) -> None:
    picture, table = drawn(made, "zip", cell, term), performance_table(made)
    law = made.experiment.cells[cell]
    truth = law.truth[term]
    for label, (panel, words) in panels_by_method(picture, list(made.cells[cell])).items():
        rows = usable(made.cells[cell][label], term)
        coverage, n = number_of(table, cell, label, term, "coverage")
        lines = inside(picture.lines, panel)
        colours = {LIGHT["fair"]: True, LIGHT["bad"]: False}
        intervals = [line for line in lines if line.colour in colours]
        assert len(intervals) == n == len(rows["estimate"])
        assert sum(colours[line.colour] for line in intervals) == pytest.approx(coverage * n)
        (upright,) = [line for line in lines if line.colour == LIGHT["ink"]]
        (promise,) = [line for line in lines if line.colour == LIGHT["soft"]]
        ends = picture.value(panel.left, panel), picture.value(panel.right, panel)
        assert picture.value(upright.x, panel) == pytest.approx(truth, abs=1e-3 * (ends[1] - ends[0]))
        assert picture.height_value(promise.y, panel) == pytest.approx(100 * law.model.level, abs=0.05)
        check_intervals(picture, panel, intervals, rows, truth)
        slack = 1e-4 * (ends[1] - ends[0])  # of the reading
        beyond = rows["lower"] < ends[0] - slack, rows["upper"] > ends[1] + slack
        cut = int((beyond[0] | beyond[1]).sum())
        said = fits_said(n, len(made.cells[cell][label].status))
        assert words == said + (f", {cut} cut" if cut else "")
        assert len(inside(picture.dots, panel)) == beyond[0].sum() + beyond[1].sum()


def check_intervals(picture: Picture, panel: Shape, intervals: list[Shape], rows: Rows, truth: float) -> None:
    """From top to bottom by distance from the truth in standard errors; ends at their place, or where they are cut."""
    ends = picture.value(panel.left, panel), picture.value(panel.right, panel)
    order = np.argsort(np.abs(rows["estimate"] - truth) / rows["std_error"])
    for place, (i, line) in enumerate(
        zip(order, sorted(intervals, key=lambda line: -line.y), strict=True), start=1
    ):
        assert picture.height_value(line.y, panel) == pytest.approx(100 * place / len(order), abs=0.05)
        wanted = np.clip([rows["lower"][i], rows["upper"][i]], *ends)
        got = [picture.value(line.left, panel), picture.value(line.right, panel)]
        assert got == pytest.approx(wanted.tolist(), abs=1e-3 * (ends[1] - ends[0]))
        assert (line.colour == LIGHT["fair"]) == (rows["lower"][i] <= truth <= rows["upper"][i])


def check_se(made: FakeResults, cell: int, term: str) -> None:
    picture, table = drawn(made, "se-estimate", cell, term), performance_table(made)
    for label, (panel, words) in panels_by_method(picture, list(made.cells[cell])).items():
        rows = usable(made.cells[cell][label], term)
        dots = inside(picture.dots, panel)
        found = [(picture.value(d.x, panel), picture.height_value(d.y, panel)) for d in dots]
        same(found, list(zip(rows["estimate"], rows["std_error"], strict=True)), 10.0)
        assert words == fits_said(len(dots), len(made.cells[cell][label].status))
        spread = [line for line in inside(picture.lines, panel) if line.colour == LIGHT["ink"]]
        if len(dots) < 2:
            assert not spread
            continue
        value, n = number_of(table, cell, label, term, "empirical_se")
        assert n == len(dots)
        assert picture.height_value(spread[0].y, panel) == pytest.approx(value, abs=1e-3)


def check_methods(made: FakeResults, cell: int, term: str) -> None:
    first, *others = made.cells[cell] or [""]
    assume(others)
    rows = {label: usable(found, term) for label, found in made.cells[cell].items()}
    common = {o: np.intersect1d(rows[first]["replication"], rows[o]["replication"]) for o in others}
    assume(all(len(both) > 1 for both in common.values()))  # one dot alone makes no axis
    picture = drawn(made, "methods", cell, term)
    assert plain(first) in plain("".join(t.words for t in picture.texts))
    for label, (panel, words) in panels_by_method(picture, others).items():
        both = common[label]
        x, y = (rows[o]["estimate"][np.isin(rows[o]["replication"], both)] for o in (first, label))
        dots = inside(picture.dots, panel)
        found = [(picture.value(d.x, panel), picture.height_value(d.y, panel)) for d in dots]
        same(found, list(zip(x, y, strict=True)), 10.0)
        sets = min(len(made.cells[cell][one].status) for one in (first, label))
        assert words == fits_said(len(both), sets)
        equal = [
            (picture.value(a, panel), picture.height_value(b, panel))
            for _, corners in picture.paths
            for a, b in corners
            if panel.left - 1 <= a <= panel.right + 1 and panel.top - 1 <= b <= panel.bottom + 1
        ]
        assert equal
        assert all(a == pytest.approx(b, abs=5e-3) for a, b in equal)


def check_p_values(made: FakeResults, cell: int, term: str) -> None:
    picture, table = drawn(made, "p-values", cell, term), performance_table(made)
    (panel,) = picture.panels
    labels = dict(zip(CATEGORIES, made.cells[cell], strict=False))
    found = {}
    for colour, corners in picture.paths:
        if colour in labels:
            found[labels[colour]] = [
                (picture.value(x, panel), picture.height_value(y, panel)) for x, y in corners
            ]
    for label, one in made.cells[cell].items():
        p = np.sort(usable(one, term)["p_value"])
        rises = [b for a, b in pairwise([(0.0, 0.0), *found[label]]) if b[1] > a[1] + 1e-3]
        same(rises, [(value, (i + 1) / len(p)) for i, value in enumerate(p)], 10.0)
        rejected, _ = number_of(table, cell, label, term, "rejection")
        alpha = 1 - made.experiment.cells[cell].model.level
        below = [share for value, share in rises if value <= alpha]
        assert max(below, default=0.0) == pytest.approx(rejected, abs=1e-3)


CHECKS: dict[str, Callable[[FakeResults, int, str], None]] = {
    "zip": check_zip,
    "se-estimate": check_se,
    "methods": check_methods,
    "p-values": check_p_values,
}
cells = st.integers(0, 2)
terms = st.sampled_from(TERMS)


@pytest.mark.parametrize("kind", list(CHECKS))
@given(made=studies_of_rows(), cell=cells, term=terms)
@settings(max_examples=FEW)
def test_fits_stand_where_their_rows_say(kind: str, made: FakeResults, cell: int, term: str) -> None:
    CHECKS[kind](made, cell % len(made.cells), term)


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(CHECKS))
@given(made=studies_of_rows(holes=(0.0, 0.3, 0.6)), cell=cells, term=terms)
@settings(max_examples=MANY)
def test_fits_stand_where_their_rows_say_in_many_studies(
    kind: str, made: FakeResults, cell: int, term: str
) -> None:
    CHECKS[kind](made, cell % len(made.cells), term)

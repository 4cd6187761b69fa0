"""Figures of times: each mark read back from the picture and compared with the performance table."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from nestbench.reports.figures.kinds import Wish, figure
from nestbench.reports.figures.records import headline_term
from nestbench.reports.figures.theme import CATEGORIES, LIGHT, dressed
from nestbench.reports.measures.performance import FIT
from tests.reports.figures.reading import Picture, plain, read
from tests.reports.figures.studies import studies, study, table_of
from tests.reports.synthetic import FakeResults

FEW, MANY = 4, 40
Study = tuple[FakeResults, pd.DataFrame]


def times_of(table: pd.DataFrame, measure: str) -> dict[tuple[int, str], float]:
    """Milliseconds by condition and method."""
    rows = table[(table["term"] == FIT) & (table["measure"] == measure)]
    return {(r.cell, r.estimator): 1e3 * r.value for r in rows.itertuples()}


def drawn(made: Study, kind: str, term: str | None = None) -> Picture:
    return read(dressed(figure(made[0], kind, Wish(term), made[1])))


def in_logs(found: list[tuple[object, ...]], expected: list[tuple[object, ...]]) -> None:
    """Equal names, and numbers that a pixel doesn't tell apart."""
    assert len(found) == len(expected)
    for one, other in zip(sorted(found), sorted(expected), strict=True):
        for got, wanted in zip(one, other, strict=True):
            assert got == (wanted if isinstance(wanted, str) else pytest.approx(wanted, rel=5e-3))


def check_runtime(made: Study) -> None:
    assume(times_of(made[1], "seconds_median"))
    picture = drawn(made, "runtime")
    (panel,) = picture.panels
    median, slow = times_of(made[1], "seconds_median"), times_of(made[1], "seconds_p90")
    dots = [(picture.method(d.y, panel), picture.value(d.x, panel, log=True)) for d in picture.dots]
    in_logs(dots, [(label, value) for (_, label), value in median.items()])
    spans = [
        (picture.method(one.y, panel), *(picture.value(x, panel, log=True) for x in (one.left, one.right)))
        for one in picture.lines
    ]
    in_logs(spans, [(label, value, slow[cell, label]) for (cell, label), value in median.items()])


def check_size(made: Study) -> None:
    assume(times_of(made[1], "seconds_median"))
    picture, cells = drawn(made, "runtime-size"), made[0].experiment.cells
    (panel,) = picture.panels
    median = times_of(made[1], "seconds_median")
    there = {label for _, label in median}
    labels = [e.label for e in made[0].experiment.estimators if e.label in there]
    colours = dict(zip(CATEGORIES, labels, strict=False))
    students = {cell: float(cells[cell].layout.sizes().sum()) for cell, _ in median}
    across = np.log(sorted(set(students.values())))

    def x_of(value: float) -> float:
        """Where so many students stand: the axis runs from the fewest to the most, 12 px inside."""
        share = 0.5 if len(across) == 1 else (np.log(value) - across[0]) / (across[-1] - across[0])
        return float(panel.left + 12 + share * (panel.right - panel.left - 24))

    shown = [t for t in picture.texts if t.role == "role-axis-label" and t.anchor == "middle"]
    assert shown
    for text in shown:  # students, whatever the factors are
        assert text.x == pytest.approx(x_of(float(text.words.replace(",", ""))), abs=1)
    dots = [(colours[d.colour], d.x, picture.height_value(d.y, panel, log=True)) for d in picture.dots]
    in_logs(dots, [(label, x_of(students[cell]), ms) for (cell, label), ms in median.items()])
    corners = [
        (colours[colour], a[0], picture.height_value(a[1], panel, log=True))
        for colour, path in picture.paths
        for a in path
    ]
    middles = [
        (
            label,
            x_of(n),
            float(np.median([ms for (c, e), ms in median.items() if e == label and students[c] == n])),
        )
        for label in labels
        for n in {students[c] for c, e in median if e == label}
    ]
    in_logs(corners, middles)
    assert all(a[0] <= b[0] for _, path in picture.paths for a, b in pairwise(path))


def check_frontier(made: Study) -> None:
    term = headline_term(made[1])
    rows = made[1][(made[1]["measure"] == "coverage") & (made[1]["term"] == term)]
    assume(len(rows))
    median, cells = times_of(made[1], "seconds_median"), made[0].experiment.cells
    assume({e for _, e in median} & set(rows["estimator"]))
    picture = drawn(made, "frontier", term)
    (panel,) = picture.panels
    expected = {}
    for label, own in rows.groupby("estimator"):
        if times := [ms for (_, e), ms in median.items() if e == label]:
            level = np.array([cells[c].model.level for c in own["cell"]])
            bound = own["value"] * np.where(
                own["n"] < 0.95 * own["n_attempted"], own["n"] / own["n_attempted"], 1.0
            )
            far, farther = (float(np.abs(values - level).max()) for values in (own["value"], bound))
            few = bool((own["n"] < 0.95 * own["n_attempted"]).any())
            expected[str(label)] = float(np.median(times)), far, max(far, farther), few
    beaten = {
        one: any(
            expected[o][0] <= x
            and expected[o][1] <= y
            and (sooner(median, o, one) or nearer(made, rows, o, one))
            for o in expected
        )
        for one, (x, y, *_) in expected.items()
    }
    names = {plain(t.words): t for t in picture.texts if t.role == "role-mark" and t.words not in "[]"}
    assert set(names) == {plain(label) for label in expected}
    found = []
    for dot in picture.dots:
        at = picture.value(dot.x, panel, log=True), picture.height_value(dot.y, panel)
        (label,) = [
            one
            for one, (x, y, *_) in expected.items()
            if at == (pytest.approx(x, rel=5e-3), pytest.approx(y, abs=2e-3))
            and names[plain(one)].x == pytest.approx(dot.x + 14, abs=0.1)
        ]
        found.append(label)
        assert (dot.colour == LIGHT["doubt"]) == beaten[label]
    assert sorted(found) == sorted(expected)
    check_brackets(picture, expected)


def sooner(median: dict[tuple[int, str], float], a: str, b: str) -> bool:
    """Whether log ratios lie below 0 by a t test, to whose squares four conditions with an SD of .9 are added."""
    ratios = [np.log(median[c, a] / median[c, b]) for c, label in median if label == a and (c, b) in median]
    if not ratios:
        return False
    df = len(ratios) + 3
    variance = (4 * 0.81 + len(ratios) * np.var(ratios)) / df
    return bool(np.mean(ratios) + stats.t(df).ppf(0.975) * np.sqrt(variance / len(ratios)) < 0)


def nearer(made: Study, rows: pd.DataFrame, a: str, b: str) -> bool:
    """Whether the worst distances differ by 1.96 errors of independent shares."""
    found = []
    for label in (a, b):
        own = rows[rows["estimator"] == label]
        level = np.array([made[0].experiment.cells[c].model.level for c in own["cell"]])
        far = (own["value"] - level).abs()
        row = own.loc[far.idxmax()]
        low, high = proportion_confint(round(row["value"] * row["n"]), row["n"], method="wilson")
        error = row["mcse"] if row["mcse"] > 0 else (high - low) / 2 / stats.norm.isf(0.025)
        found.append((far.max(), error))
    (near, first), (distant, second) = found
    return bool(distant - near > stats.norm.isf(0.025) * np.hypot(first, second))


def check_brackets(picture: Picture, expected: dict[str, tuple[float, float, float, bool]]) -> None:
    """Around the dots of methods with few usable fits somewhere, with a line to the distance with them as misses."""
    (panel,) = picture.panels
    few = [(x, y, bound) for x, y, bound, partial in expected.values() if partial]
    for sign, side in (("[", 7), ("]", -7)):
        places = [
            (picture.value(t.x + side, panel, log=True), picture.height_value(t.middle, panel))
            for t in picture.texts
            if t.words == sign
        ]
        assert len(places) == len(few)
        for (x, y), (wanted, height, _) in zip(sorted(places), sorted(few), strict=True):
            assert x == pytest.approx(wanted, rel=5e-3)
            assert y == pytest.approx(height, abs=0.02)
    ends = sorted(
        picture.height_value(line.top, panel) for line in picture.lines if line.bottom - line.top > 0.5
    )
    bounds = sorted(bound for _, y, bound in few if bound - y > 2e-3)
    assert np.allclose(ends[-len(bounds) :] if bounds else [], bounds, atol=3e-3)


CHECKS: dict[str, Callable[[Study], None]] = {
    "runtime": check_runtime,
    "runtime-size": check_size,
    "frontier": check_frontier,
}


@pytest.mark.parametrize("kind", list(CHECKS))
@given(made=studies())
@settings(max_examples=FEW)
def test_times_stand_where_the_table_says(kind: str, made: Study) -> None:
    CHECKS[kind](made)


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(CHECKS))
@given(made=studies(most=24, factors=4))
@settings(max_examples=MANY)
def test_times_stand_where_the_table_says_in_many_studies(kind: str, made: Study) -> None:
    CHECKS[kind](made)


def test_true_and_false_are_no_numbers_of_students() -> None:
    made = study({"layout.shuffle_sizes": [False, True], "layout.schools": [6, 30]})
    picture = drawn((made, table_of(made, np.random.default_rng(1))), "runtime-size")
    below = {t.words for t in picture.texts if t.role == "role-axis-label" and t.anchor == "middle"}
    assert below == {"24", "120"}
    assert {"Students"} == {t.words for t in picture.texts} & {"Students", "Shuffle sizes", "Schools"}

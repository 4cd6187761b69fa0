"""Every mark of a rendered figure stands in the panel of its condition, at its value: read back from the picture."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from nestbench.experiments.experiment import Experiment
from nestbench.reports.conditions import panel_titles
from nestbench.reports.figures.fits import STATUS_COLOURS
from nestbench.reports.figures.kinds import KINDS, MEASURE, TERM, Wish, figure
from nestbench.reports.figures.records import headline_term
from nestbench.reports.figures.theme import CATEGORIES, LIGHT, dressed
from nestbench.reports.measures.performance import FIT
from nestbench.sim.errors import InvalidInput
from tests.reports.figures.reading import Picture, Shape, plain, read
from tests.reports.figures.studies import SHARES, studies, study, table_of
from tests.reports.synthetic import FakeResults

FEW, MANY = 4, 40
Study = tuple[FakeResults, pd.DataFrame]


def drawn(made: FakeResults, table: pd.DataFrame, kind: str, measure: str | None = None) -> Picture:
    term = headline_term(table) if TERM in KINDS[kind].uses else None
    wish = Wish(term, measure=measure if MEASURE in KINDS[kind].uses else None)
    return read(dressed(figure(made, kind, wish, table)))


def titles_of(picture: Picture, experiment: Experiment) -> list[str]:
    """Each cell's title as drawn: one panel a cell, and its title says every level that varies."""
    if not experiment.levels[0]:
        assert len(picture.panels) == 1
        return [""]
    shown = [plain(picture.title(panel)) for panel in picture.panels]
    titles = [plain(title) for title in panel_titles(experiment)]
    assert sorted(shown) == sorted(titles)
    assert len(set(shown)) == len(shown)
    for factor in experiment.levels[0]:
        levels = [one[factor] for one in experiment.levels]
        if len(set(map(repr, levels))) > 1 or len(levels) == 1:
            assert all(says(title, level) for title, level in zip(titles, levels, strict=True))
    return titles


def says(title: str, level: Any) -> bool:
    """Whether a title holds a level: a number to six digits, a text at least by its beginning."""
    if isinstance(level, (int, float)) and not isinstance(level, bool):
        numbers = [float(found) for found in re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?", title)]
        return any(found == pytest.approx(level, rel=1e-5) for found in numbers)
    words = {True: "yes", False: "no"}[level] if isinstance(level, bool) else str(level)[:40]
    return plain(words) in title


def title_at(picture: Picture, panel: Shape) -> str:
    return plain(picture.title(panel)) if len(picture.panels) > 1 or picture.titled else ""


def rows_of(table: pd.DataFrame, measure: str, term: str) -> pd.DataFrame:
    return table[(table["measure"] == measure) & (table["term"] == term)]


def near(found: dict[Any, Any], expected: dict[Any, Any], tolerance: float = 1e-3) -> None:
    """Equal keys and equal numbers, up to what a pixel's thousandth is worth."""
    assert set(found) == set(expected)
    for key, numbers in found.items():
        assert np.allclose(numbers, expected[key], atol=tolerance), (key, numbers, expected[key])


def said_in_empty_panels(picture: Picture) -> dict[str, str]:
    """What stands inside panels, by the panel's title."""
    inside = [t for t in picture.texts if t.role == "role-mark" and t.words not in "()[]"]
    return {title_at(picture, picture.panel_at(t.x, t.y)): t.words for t in inside}


def limits(row: Any) -> tuple[float, float]:
    if row.measure in SHARES:
        low, high = proportion_confint(round(row.value * row.n), row.n, method="wilson")
        return float(low), float(high)
    half = stats.t(row.n - 1).ppf(0.975) * row.mcse if row.mcse > 0 else 0.0
    return row.value - half, row.value + half


def check_dots(made: Study, kind: str, measure: str) -> Picture:
    results, table = made
    picture, experiment = drawn(results, table, kind, measure), results.experiment
    titles = titles_of(picture, experiment)
    rows = rows_of(table, measure, headline_term(table))
    found = {}
    for dot in picture.dots:
        panel = picture.panel_at(dot.x, dot.y)
        found[title_at(picture, panel), picture.method(dot.y, panel)] = picture.value(dot.x, panel)
    near(found, {(titles[r.cell], r.estimator): r.value for r in rows.itertuples()})
    assert len(found) == len(picture.dots)
    check_brackets(picture, rows, titles)
    empty = set(range(len(titles))) - set(rows["cell"])
    assert said_in_empty_panels(picture) == {titles[cell]: "no data" for cell in empty}
    return picture


def few_usable(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["n"] < 0.95 * rows["n_attempted"]]


def check_brackets(picture: Picture, rows: pd.DataFrame, titles: list[str]) -> None:
    """Where under 95 % of the fits are usable and nowhere else: from the bound of a share, else beside the dot."""
    ends: dict[str, dict[tuple[str, str], float]] = {"[": {}, "]": {}}
    for text in picture.texts:
        if text.words in ends:
            x = text.x - {"[": 0 if rows["measure"].iloc[0] in SHARES else -7, "]": 7}[text.words]
            panel = picture.panel_at(x, text.middle)
            place = title_at(picture, panel), picture.method(text.middle, panel)
            ends[text.words][place] = picture.value(x, panel)
    few = few_usable(rows)
    near(ends["]"], {(titles[r.cell], r.estimator): r.value for r in few.itertuples()})
    share = few["measure"].isin(SHARES)
    opens = few.assign(value=few["value"] * np.where(share, few["n"] / few["n_attempted"], 1.0))
    near(ends["["], {(titles[r.cell], r.estimator): r.value for r in opens.itertuples()})


def upright_brackets(picture: Picture, dx: int) -> dict[str, list[tuple[float, float]]]:
    """Where the dots of upright brackets are, by sign."""
    return {
        sign: sorted((round(t.x - way * dx, 1), round(t.middle, 0)) for t in picture.texts if t.words == sign)
        for sign, way in (("[", -1), ("]", 1))
    }


def check_panels(made: Study, kind: str, measure: str) -> None:
    assume(len(rows_of(made[1], measure, headline_term(made[1]))))
    picture = check_dots(made, kind, measure)
    experiment, titles = made[0].experiment, titles_of(picture, made[0].experiment)
    rows = rows_of(made[1], measure, headline_term(made[1]))
    spans, ideals, bands = {}, {}, {}
    for line in picture.lines:
        panel = picture.panel_at(line.x, line.y)
        where = title_at(picture, panel)
        if line.right - line.left > line.bottom - line.top:
            ends = picture.value(line.left, panel), picture.value(line.right, panel)
            spans[where, picture.method(line.y, panel)] = ends
        else:
            ideals[where] = picture.value(line.x, panel)
    for bar in picture.bars:
        if bar.colour == LIGHT["band"]:
            panel = picture.panel_at(bar.x, bar.y)
            ends = picture.value(bar.left, panel), picture.value(bar.right, panel)
            bands[title_at(picture, panel)] = ends
    near(spans, {(titles[r.cell], r.estimator): limits(r) for r in rows.itertuples()}, 5e-3)
    cells = {cell: experiment.cells[cell] for cell in sorted(set(rows["cell"]))}
    levels = {cell: one.model.level for cell, one in cells.items()}
    nulls = [cell for cell, one in cells.items() if one.truth[headline_term(made[1])] == 0]
    near(
        ideals,
        {
            "coverage": {titles[cell]: level for cell, level in levels.items()},
            "rejection": {titles[cell]: 1 - levels[cell] for cell in nulls},
        }.get(measure, {titles[cell]: 0.0 for cell in cells}),
    )
    tolerated = {titles[c]: (1 - 1.5 * (1 - level), 1 - 0.5 * (1 - level)) for c, level in levels.items()}
    near(bands, tolerated if measure == "coverage" else {})


def check_failures(made: Study) -> None:
    results, table = made
    rows = table[(table["term"] == FIT) & table["measure"].str.startswith("share_")]
    bad = rows[rows["measure"] != "share_ok"]
    assume(len(bad))
    picture = drawn(results, table, "failures")
    titles = titles_of(picture, results.experiment)
    names = {colour: name.replace(" ", "_") for name, colour in STATUS_COLOURS.items()}
    found = {}
    for bar in picture.bars:
        panel = picture.panel_at(bar.x, bar.y)
        share = picture.value(bar.right, panel) - picture.value(bar.left, panel)
        found[title_at(picture, panel), picture.method(bar.y, panel), names[bar.colour]] = share
    expected = {
        (titles[r.cell], r.estimator, r.measure.removeprefix("share_")): r.value for r in bad.itertuples()
    }
    near(found, expected)
    stored = {titles[cell] for cell in rows["cell"]}
    empty = set(titles) - {titles[cell] for cell in bad["cell"]}
    words = {title: "every fit OK" if title in stored else "no data" for title in empty}
    assert said_in_empty_panels(picture) == words


def check_lollipop(made: Study) -> None:
    assume(len(rows_of(made[1], "coverage", headline_term(made[1]))))
    picture = check_dots(made, "lollipop", "coverage")
    experiment, titles = made[0].experiment, titles_of(picture, made[0].experiment)
    rows = rows_of(made[1], "coverage", headline_term(made[1]))
    ideals = {}
    for line in picture.lines:
        panel = picture.panel_at(line.x, line.y)
        if line.bottom - line.top > line.right - line.left:
            ideals[title_at(picture, panel)] = picture.value(line.x, panel)
    near(ideals, {titles[cell]: experiment.cells[cell].model.level for cell in set(rows["cell"])})


def check_power(made: Study) -> None:
    results, table = made
    experiment, rows = results.experiment, rows_of(table, "rejection", headline_term(table))
    numeric = [f for f in experiment.levels[0] if f in ("layout.schools", "population.icc", "model.level")]
    numeric = [f for f in numeric if len({one[f] for one in experiment.levels}) > 1]
    assume(len(rows) and numeric)
    factor = numeric[0]
    picture = drawn(results, table, "power")
    titles = [plain(t) for t in panel_titles(experiment, without=factor)]
    shown = [title_at(picture, panel) for panel in picture.panels]
    assert len(set(shown)) == len(shown)
    assert set(shown) == set(titles)
    x = [one[factor] for one in experiment.levels]
    labels = [e.label for e in experiment.estimators if e.label in set(rows["estimator"])]
    colours = dict(zip(CATEGORIES, labels, strict=False))

    def place(at: tuple[float, float], colour: str) -> tuple[str, str, float, float]:
        panel = picture.panel_at(*at)
        value = picture.height_value(at[1], panel)
        return (
            title_at(picture, panel),
            colours[colour],
            round(picture.value(at[0], panel), 3),
            round(value, 3),
        )

    found = sorted(place((dot.x, dot.y), dot.colour) for dot in picture.dots)
    expected = sorted((titles[r.cell], r.estimator, round(x[r.cell], 3), r.value) for r in rows.itertuples())
    assert [one[:2] for one in found] == [one[:2] for one in expected]
    assert np.allclose([one[2:] for one in found], [one[2:] for one in expected], atol=2e-3)
    few = sorted((titles[r.cell], x[r.cell], r.value) for r in few_usable(rows).itertuples())
    for places in upright_brackets(picture, 7).values():
        panels = [(picture.panel_at(*at), *at) for at in places]
        read_back = sorted(
            (title_at(picture, p), picture.value(a, p), picture.height_value(b, p)) for p, a, b in panels
        )
        assert [one[0] for one in read_back] == [one[0] for one in few]
        assert np.allclose([one[1] for one in read_back], [one[1] for one in few], rtol=1e-3, atol=2e-3)
        assert np.allclose(sorted(one[2] for one in read_back), sorted(one[2] for one in few), atol=0.02)
    check_segments(picture, place, rows, titles, x)


def check_segments(
    picture: Picture, place: Callable[..., Any], rows: pd.DataFrame, titles: list[str], x: list[float]
) -> None:
    """Lines join a panel's neighbouring levels that both have a number, and no others."""
    known = {(titles[r.cell], r.estimator): set() for r in rows.itertuples()}
    for r in rows.itertuples():
        known[titles[r.cell], r.estimator].add(x[r.cell])
    joined = 0
    for (title, _), there in known.items():
        levels = sorted({x[cell] for cell in range(len(titles)) if titles[cell] == title})
        joined += sum(a in there and b in there for a, b in pairwise(levels))
    segments = [
        (place(a, colour), place(b, colour))
        for colour, corners in picture.paths
        for a, b in pairwise(corners)
    ]
    assert len(segments) == joined
    assert all(a[:2] == b[:2] for a, b in segments)


def check_nested(made: Study) -> None:
    results, table = made
    experiment, rows = results.experiment, rows_of(table, "coverage", headline_term(table))
    assume(len(rows))
    picture, cells = drawn(results, table, "nested-loop"), len(experiment.cells)
    top, *below = sorted(picture.panels, key=lambda panel: panel.top)
    labels = [e.label for e in experiment.estimators if e.label in set(rows["estimator"])]
    colours = dict(zip(CATEGORIES, labels, strict=False))
    step = (top.right - top.left) / cells
    found: dict[tuple[str, int], float] = {}
    for colour, corners in picture.paths:
        for a, b in pairwise(corners):
            if colour in colours and b[0] - a[0] > 1:  # level over one condition, no more
                assert a[1] == pytest.approx(b[1], abs=0.01)
                assert b[0] - a[0] == pytest.approx(step, abs=0.01)
                cell = round((a[0] - top.left) / step)
                found[colours[colour], cell] = picture.height_value(a[1], top)
    near(found, {(r.estimator, r.cell): r.value for r in rows.itertuples()})
    few = sorted((r.cell, r.value) for r in few_usable(rows).itertuples())
    for (sign, places), after in zip(upright_brackets(picture, -3).items(), (0, 1), strict=True):
        read_back = [((x - top.left) / step - after, picture.height_value(y, top)) for x, y in places]
        assert np.allclose(sorted(read_back), few, atol=0.03) if few else not places, sign
    factors = [f for f in experiment.levels[0] if len({repr(one[f]) for one in experiment.levels}) > 1]
    assert len(below) == len(factors)
    for factor, panel in zip(factors, below, strict=True):
        check_steps(picture, experiment, factor, panel)


def check_steps(picture: Picture, experiment: Experiment, factor: str, panel: Shape) -> None:
    """Below, at each condition, the step of each factor lies on the line of the level that it has there."""
    (corners,) = [c for colour, c in picture.paths if panel.top <= c[0][1] <= panel.bottom]
    step = (panel.right - panel.left) / len(experiment.cells)
    names: dict[str, str] = {}
    for cell, levels in enumerate(experiment.levels):
        middle = panel.left + step * (cell + 0.5)
        (y,) = [a[1] for a, b in pairwise(corners) if a[0] < middle < b[0]]
        name = nearest_name(picture, panel, y)
        assert names.setdefault(name, repr(levels[factor])) == repr(levels[factor])
        if isinstance(levels[factor], (bool, int, float)):
            assert says(name, levels[factor])


def nearest_name(picture: Picture, panel: Shape, y: float) -> str:
    names = [t for t in picture.texts if t.role == "role-axis-label" and t.x < panel.left]
    return min(names, key=lambda t: abs((t.box[1] + t.box[3]) / 2 - y)).words


CHECKS: dict[str, Callable[[Study], None]] = {
    "coverage": lambda made: check_panels(made, "coverage", "coverage"),
    "bias": lambda made: check_panels(made, "bias", "bias"),
    "se-error": lambda made: check_panels(made, "se-error", "se_error"),
    "rejection": lambda made: check_panels(made, "rejection", "rejection"),
    "failures": check_failures,
    "lollipop": check_lollipop,
    "power": check_power,
    "nested-loop": check_nested,
}


@pytest.mark.parametrize("kind", list(CHECKS))
@given(made=studies())
@settings(max_examples=FEW)
def test_marks_stand_where_the_table_says(kind: str, made: Study) -> None:
    CHECKS[kind](made)


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(CHECKS))
@given(made=studies(most=24, factors=4))
@settings(max_examples=MANY)
def test_marks_stand_where_the_table_says_in_many_studies(kind: str, made: Study) -> None:
    CHECKS[kind](made)


def test_true_and_false_are_no_numbers_on_an_axis() -> None:
    only = study({"layout.shuffle_sizes": [False, True]})
    with pytest.raises(InvalidInput, match="expected a factor with several numbers"):
        drawn(only, table_of(only, np.random.default_rng(1)), "power")
    both = study(
        {"layout.shuffle_sizes": [False, True], "layout.students": [6, 30, "5, 5"], "layout.schools": [6, 30]}
    )
    picture = drawn(both, table_of(both, np.random.default_rng(1)), "power")
    assert {t.words for t in picture.texts} & {"Schools", "Students", "Shuffle sizes"} == {"Schools"}


def test_one_condition_chosen_is_named() -> None:
    made = study({"layout.schools": [6, 30], "population.icc": [0.0, 0.2]})
    table = table_of(made, np.random.default_rng(1))
    for kind in ("coverage", "bias", "se-error", "rejection", "lollipop", "failures"):
        term = "resources" if TERM in KINDS[kind].uses else None
        picture = read(dressed(figure(made, kind, Wish(term, 2), table)))
        assert title_at(picture, picture.panels[0]) == plain("30 schools, ICC 0")


def test_no_line_runs_through_a_level_without_a_number() -> None:
    made = study({"layout.schools": [6, 10, 30]}, ("ols", "reml-satt"))
    table = table_of(made, np.random.default_rng(1))
    table = table[(table["cell"] != 1) | (table["estimator"] != "ols")]
    power, nested = drawn(made, table, "power"), drawn(made, table, "nested-loop")
    assert [(colour, len(corners)) for colour, corners in power.paths if len(corners) > 1] == [
        (CATEGORIES[1], 3)
    ]
    left, right = nested.panels[0].left, nested.panels[0].right
    thirds = [(right - left) / 3 * k + left for k in range(4)]
    ols = sorted([x for x, _ in corners] for colour, corners in nested.paths if colour == CATEGORIES[0])
    assert ols == [pytest.approx(thirds[:2], abs=0.01), pytest.approx(thirds[2:], abs=0.01)]

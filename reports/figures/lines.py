"""Measures against a numeric factor: one line a method, panels by the other factors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import altair as alt
import pandas as pd

from nestbench.experiments.experiment import Experiment
from nestbench.reports.conditions import level_texts, panel_titles, varying
from nestbench.reports.figures import axes, brackets, tooltips
from nestbench.reports.figures.drawing import FromTable, Shown
from nestbench.reports.figures.explained import INTERVAL
from nestbench.reports.figures.faceting import arranged, faceted, missing_words, sizes_of
from nestbench.reports.figures.records import NO_DATA, Record, labels_of, of_term, tested
from nestbench.reports.figures.theme import LIGHT, Chart, colour, dash
from nestbench.reports.measures.declared import measure_named
from nestbench.reports.measures.printed import SHARES
from nestbench.reports.wording import factor_words
from nestbench.sim.errors import InvalidInput

WIDTH, HEIGHT = 240, 200
"""Of a panel, px."""

MANY = 12
"""Levels of a factor; where there are more, a panel for each is too many to read."""


def power_curves(
    table: pd.DataFrame, experiment: Experiment, measure: str = "rejection", term: str | None = None
) -> Chart:
    """A measure against the first numeric factor, one line a method, panels by the other factors.

    Parameters
    ----------
    table : DataFrame
    experiment : Experiment
    measure : str
    term : str, optional

    Raises
    ------
    InvalidInput
        No factor whose levels are numbers.
    """
    records = of_term(table, experiment, measure, term)
    of = tested(experiment, {record["term"] for record in records}) if measure.startswith("rejection") else ""
    title = measure_named(measure).label + of
    return lines(records, experiment, numeric_factor(experiment), title, measure in SHARES)


def numeric_factor(experiment: Experiment) -> str:
    """Return the first factor that varies and has numbers alone as levels; true and false are none.

    Raises
    ------
    InvalidInput
        There is none.
    """
    for factor in varying(experiment):
        if is_numeric(experiment, factor):
            return factor
    raise InvalidInput("expected a factor with several numbers as levels to draw a curve against, got none")


def is_numeric(experiment: Experiment, factor: str) -> bool:
    """Return whether all levels of a factor are numbers; true and false are none."""
    values = [levels.get(factor) for levels in experiment.levels]
    return all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)


def crowded_factor(experiment: Experiment) -> str | None:
    """Return the first numeric factor with more than `MANY` levels: figures draw lines against it, not panels."""
    many = [factor for factor, texts in level_texts(experiment).items() if len(texts) > MANY]
    return next((factor for factor in many if is_numeric(experiment, factor)), None)


def lines(records: list[Record], experiment: Experiment, factor: str, title: str, share: bool) -> Chart:
    """Return lines of records (see `rows`) against a factor. A line is broken where a condition has no number.

    Parameters
    ----------
    records : list of Record
    experiment : Experiment
    factor : str
        The axis.
    title : str
        Of the values.
    share : bool
        Whether they are shown in per cent.
    """
    labels, titles = labels_of(records, experiment), panel_titles(experiment, without=factor)
    x = alt.X("x:Q", title=factor_words(factor), scale=alt.Scale(zero=False), axis=axes.numbers(False))
    axis = axes.heights(share)

    def y(field: str) -> alt.Y:
        """Return the axis of values for a field."""
        return alt.Y(f"{field}:Q", title=title, axis=axis, scale=alt.Scale(zero=False))

    base = alt.Chart().encode(x=x, color=colour(labels), tooltip=tooltips.of_value(share))
    # `_holes` have an x and no value: by default Vega-Lite leaves them out and joins their neighbours.
    path = base.mark_line(strokeWidth=1.6, invalid="break-paths-show-domains")
    layers = [
        *_ideals(records, x, y),
        path.encode(y=y("value"), strokeDash=dash(labels)),
        base.mark_rule(opacity=0.6).encode(y=y("low"), y2="high:Q"),
        base.mark_point(filled=True, size=26, opacity=1).encode(y=y("value")),
    ]
    if any("theory" in record for record in records):
        tick = alt.Chart().mark_tick(color=LIGHT["ink"], thickness=2, size=9, orient="horizontal")
        layers.append(tick.encode(x=x, y=y("theory")))
    if brackets.marked(records):
        layers += brackets.standing([x, x, x], y, colour=colour(labels))
    placed = [*_placed(records, experiment, factor, titles), *_holes(records, experiment, factor, titles)]
    if any("missing" in record for record in placed):
        layers.append(missing_words())
    chart = alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)
    grid = arranged(list(dict.fromkeys(titles)), sizes_of(experiment, factor), HEIGHT + 60, WIDTH)
    return faceted(chart, placed, grid, WIDTH)


def _ideals(records: list[Record], x: alt.X, y: Any) -> list[Chart]:
    """Return the tolerated band, and a dash at each level where the measure should lie."""
    layers = []
    if any("band_low" in record for record in records):
        area = alt.Chart().mark_area(color=LIGHT["band"])
        layers.append(area.encode(x=x, y=y("min(band_low)"), y2=alt.Y2("min(band_high):Q")))
    if any("ideal" in record for record in records):
        tick = alt.Chart().mark_tick(color=LIGHT["soft"], thickness=1, size=12, orient="horizontal")
        layers.append(tick.encode(x=x, y=y("min(ideal)")))
    return layers


def _placed(
    records: list[Record], experiment: Experiment, factor: str, titles: Sequence[str]
) -> Iterator[Record]:
    """Yield records with their place on the axis and the title of their panel."""
    for record in sorted(records, key=lambda r: (r["cell"], r["estimator"])):
        cell = record["cell"]
        yield {**record, "x": float(experiment.levels[cell][factor]), "panel": titles[cell]}


def _holes(
    records: list[Record], experiment: Experiment, factor: str, titles: Sequence[str]
) -> Iterator[Record]:
    """Yield gaps in lines, and words in panels that have none; for each term."""
    for term in dict.fromkeys(record["term"] for record in records):
        own = [record for record in records if record["term"] == term]
        there = dict.fromkeys((r["estimator"], titles[r["cell"]]) for r in own)
        known = {(r["estimator"], r["cell"]) for r in own}
        for label, panel in there:
            for cell, title in enumerate(titles):
                if title == panel and (label, cell) not in known:
                    x = float(experiment.levels[cell][factor])
                    yield {"estimator": label, "term": term, "cell": cell, "x": x, "panel": title}
        shown = {panel for _, panel in there}
        for cell, title in enumerate(titles):
            if title not in shown:
                shown.add(title)
                about = {"estimator": own[0]["estimator"], "term": term, "cell": cell}
                yield {**about, "panel": title, "missing": NO_DATA}


def _words(shown: Shown) -> list[str]:
    """Say how to read lines over a factor."""
    return [f"One line a method, broken where it has no number. {INTERVAL}"]


POWER = FromTable(
    "rejection", lambda s: power_curves(s.table, s.experiment, s.measure, s.term), _words, upright=True
)

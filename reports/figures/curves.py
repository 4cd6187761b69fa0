"""Figures across conditions: lollipops, power curves, runtime against size, accuracy against runtime."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from nestbench.experiments.experiment import Experiment
from nestbench.reports.figures.faceting import (
    PANEL,
    STEP,
    arranged,
    by_condition,
    faceted,
    missing_words,
    sizes_of,
)
from nestbench.reports.figures.fits import runtime_records
from nestbench.reports.figures.rows import (
    NO_DATA,
    Record,
    format_of,
    labels_of,
    of_term,
    promised,
    with_holes,
)
from nestbench.reports.figures.theme import LIGHT, Chart, colour, dash, decades, inline
from nestbench.reports.measures.declared import measure_named
from nestbench.reports.words.conditions import panel_titles, varying
from nestbench.reports.words.wording import factor_words
from nestbench.sim.errors import InvalidInput


def _tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("estimator:N", title="method"),
        alt.Tooltip("condition:N"),
        alt.Tooltip("value:Q", format=".4~r"),
        alt.Tooltip("mcse:Q", title="MCSE", format=".2~r"),
        alt.Tooltip("usable:N", title="usable fits"),
    ]


def lollipop(
    table: pd.DataFrame, experiment: Experiment, measure: str = "bias", term: str | None = None
) -> Chart:
    """A measure as lollipops from its ideal value (the condition's level, or 0), with brackets at the interval."""
    made = of_term(table, experiment, measure, term)
    labels = labels_of(made, experiment)
    levels = promised(experiment, measure)
    for record in made:
        record["ideal"] = levels[record["cell"]] if levels else 0.0
    y = alt.Y("estimator:N", title=None, sort=labels)
    axis = alt.Axis(format=format_of(measure), tickCount=5, labelOverlap=True)
    x = alt.X("value:Q", title=measure_named(measure).label, scale=alt.Scale(zero=False), axis=axis)
    base = alt.Chart().encode(y=y, tooltip=_tooltip())
    ideal = alt.Chart().mark_rule(color=LIGHT["soft"], strokeDash=[3, 3]).encode(x="min(ideal):Q")
    layers = [
        base.mark_rule(color=LIGHT["line"], strokeWidth=3).encode(x=x, x2="ideal:Q"),
        base.mark_text(text="(", color=LIGHT["good"], fontSize=13).encode(x="low:Q"),
        base.mark_text(text=")", color=LIGHT["good"], fontSize=13).encode(x="high:Q"),
        base.mark_point(filled=True, size=36, opacity=1, color=LIGHT["good"]).encode(x=x),
        ideal,
        missing_words(),
    ]
    chart = alt.layer(*layers).properties(width=PANEL, height=alt.Step(STEP))
    return faceted(chart, with_holes(made, experiment), by_condition(experiment, len(labels)))


CURVE = {"width": 240, "height": 200}


def power_curves(
    table: pd.DataFrame, experiment: Experiment, measure: str = "rejection", term: str | None = None
) -> Chart:
    """A measure against the first numeric factor, one line a method, panels by the other factors.

    A line is broken where a condition has no number.
    """
    made = of_term(table, experiment, measure, term)
    labels = labels_of(made, experiment)
    factor = numeric_factor(experiment)
    titles = panel_titles(experiment, without=factor)
    base = alt.Chart().encode(
        x=alt.X("x:Q", title=factor_words(factor), scale=alt.Scale(zero=False)),
        color=colour(labels),
        tooltip=_tooltip(),
    )
    y = alt.Y("value:Q", title=measure_named(measure).label, axis=alt.Axis(format=format_of(measure)))
    layers = [
        base.mark_line(strokeWidth=1.6, invalid="break-paths-show-domains").encode(
            y=y, strokeDash=dash(labels)
        ),
        base.mark_rule(opacity=0.6).encode(y=alt.Y("low:Q"), y2="high:Q"),
        base.mark_point(filled=True, size=26, opacity=1).encode(y=y),
        missing_words(),
    ]
    chart = alt.layer(*layers).properties(**CURVE)
    records = _curves(made, experiment, factor, titles)
    grid = arranged(
        list(dict.fromkeys(titles)), sizes_of(experiment, factor), CURVE["height"] + 60, CURVE["width"]
    )
    return faceted(chart, records, grid, CURVE["width"])


def _curves(made: list[Record], experiment: Experiment, factor: str, titles: list[str]) -> list[Record]:
    """Return records with their x and panel, with gaps in lines, and with words in panels that have none."""
    there = {(r["estimator"], titles[r["cell"]]) for r in made}
    known = {(r["estimator"], r["cell"]) for r in made}
    lines = [
        {**r, "x": float(experiment.levels[r["cell"]][factor]), "panel": titles[r["cell"]]} for r in made
    ]
    gaps = [
        {"estimator": label, "cell": cell, "x": float(experiment.levels[cell][factor]), "panel": title}
        for label, panel in there
        for cell, title in enumerate(titles)
        if title == panel and (label, cell) not in known
    ]
    shown = {panel for _, panel in there}
    empty = [
        {"estimator": made[0]["estimator"], "panel": title, "missing": NO_DATA}
        for title in dict.fromkeys(titles)
        if title not in shown
    ]
    return sorted(lines + gaps, key=lambda r: (r["cell"], r["estimator"])) + empty


def numeric_factor(experiment: Experiment) -> str:
    """Return the first factor that varies and has numbers alone as levels; true and false are none.

    Raises
    ------
    InvalidInput
        There is none.
    """
    for factor in varying(experiment):
        values = [levels.get(factor) for levels in experiment.levels]
        if all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
            return factor
    raise InvalidInput("expected a factor with several numbers as levels to draw a curve against, got none")


def runtime_curves(table: pd.DataFrame, experiment: Experiment) -> Chart:
    """Milliseconds per fit against the number of students, log-log; the legend gives slopes that are known."""
    made = runtime_records(table, experiment)
    if not made:
        raise InvalidInput("expected stored times, got none; run the experiment first")
    for record in made:
        sizes = experiment.cells[record["cell"]].layout.sizes()
        record["x"] = int(sizes.sum())
        record["schools"] = len(sizes)
    slopes = {
        label: slope_of([r for r in made if r["estimator"] == label]) for label in labels_of(made, experiment)
    }
    names = {label: label if x is None else f"{label} (slope {x:.2f})" for label, x in slopes.items()}
    for record in made:
        record["estimator"] = names[record["estimator"]]
    labels = list(names.values())
    ticks = alt.Axis(values=sorted({record["x"] for record in made}), labelOverlap=True)
    base = alt.Chart(inline(made)).encode(
        x=alt.X("x:Q", title="Students", scale=alt.Scale(type="log", nice=False, padding=12), axis=ticks),
        color=colour(labels),
    )
    title, scale = "Milliseconds per fit", alt.Scale(type="log")
    points = base.mark_point(filled=True, size=26).encode(
        y=alt.Y("value:Q", title=title, scale=scale),
        tooltip=["estimator:N", "condition:N", "x:Q", "schools:Q", alt.Tooltip("value:Q", format=".3~r")],
    )
    lines = base.mark_line(strokeWidth=1.4).encode(
        y=alt.Y("median(value):Q", title=title, scale=scale), strokeDash=dash(labels)
    )
    done: Chart = alt.layer(lines, points).properties(width=520, height=320)
    return done


SPAN, SURE = 3.0, 0.2
"""How far numbers of students must lie apart for a slope, and the largest standard error of one that is told."""


def slope_of(made: list[Record]) -> float | None:
    """Return the least-squares slope of log time on log students.

    None where conditions are fewer than three or their sizes less than `SPAN` apart, and where the slope's standard
    error is above `SURE`: times of a run scatter by more than students explain.
    """
    x = np.log([record["x"] for record in made])
    y = np.log([record["value"] for record in made])
    if len(x) < 3 or np.ptp(x) < np.log(SPAN):
        return None
    across = x - x.mean()
    slope = float(across @ y / (across @ across))
    left = y - y.mean() - slope * across
    error = np.sqrt(left @ left / ((len(x) - 2) * (across @ across)))
    return slope if error <= SURE else None


def frontier(table: pd.DataFrame, experiment: Experiment, term: str | None = None) -> Chart:
    """Distance of coverage from its level (worst condition) against milliseconds per fit; ringed: nothing is both
    faster and closer."""
    times = pd.DataFrame(runtime_records(table, experiment))
    covered = of_term(table, experiment, "coverage", term)
    if times.empty:
        raise InvalidInput("expected stored times, got none; run the experiment first")
    speed = times.groupby("estimator")["value"].median()
    made = []
    for label in labels_of(covered, experiment):
        gaps = [
            (abs(r["value"] - experiment.cells[r["cell"]].model.level), r["condition"])
            for r in covered
            if r["estimator"] == label
        ]
        if label in speed:
            made.append(
                {"estimator": label, "x": float(speed[label]), "y": max(gaps)[0], "condition": max(gaps)[1]}
            )
    for one in made:
        beaten = any(_beats(other, one) for other in made)
        one["front"] = "beaten by another" if beaten else "on the frontier"
    _spreadlabels_of(made)
    ticks = alt.Axis(values=decades([one["x"] for one in made], (1,)))
    base = alt.Chart(inline(made)).encode(
        x=alt.X("x:Q", title="Milliseconds per fit (median)", scale=alt.Scale(type="log"), axis=ticks),
        y=alt.Y("y:Q", title="Largest distance of coverage from its level", axis=alt.Axis(format=".0%")),
        tooltip=[
            "estimator:N",
            "condition:N",
            alt.Tooltip("x:Q", format=".3~r"),
            alt.Tooltip("y:Q", format=".1%"),
        ],
    )
    colour = alt.Color(
        "front:N",
        title=None,
        scale=alt.Scale(
            domain=["on the frontier", "beaten by another"], range=[LIGHT["good"], LIGHT["doubt"]]
        ),
    )
    shape = alt.Shape("front:N", title=None, scale=alt.Scale(domain=["on the frontier", "beaten by another"]))
    points = base.mark_point(filled=True, size=60, opacity=1).encode(color=colour, shape=shape)
    words = base.mark_text(align="left", dx=7, color=LIGHT["ink"]).encode(
        text="estimator:N", y=alt.Y("label:Q", title="Largest distance of coverage from its level")
    )
    done: Chart = alt.layer(points, words).properties(width=520, height=320)
    return done


def _spreadlabels_of(made: list[Record]) -> None:
    """Give each point a height for its label, at least a line's height from those of points a decade or less away."""
    line = 0.045 * max((one["y"] for one in made), default=0.0)
    placed: list[Record] = []
    for one in sorted(made, key=lambda one: one["y"]):
        near = [p["label"] for p in placed if abs(np.log10(p["x"] / one["x"])) < 1.0]
        one["label"] = max([one["y"], *(label + line for label in near)])
        placed.append(one)


def _beats(other: Record, one: Record) -> bool:
    """Whether another method is at least as fast and as close, and better in one of the two."""
    no_worse: bool = other["x"] <= one["x"] and other["y"] <= one["y"]
    return no_worse and (other["x"] < one["x"] or other["y"] < one["y"])

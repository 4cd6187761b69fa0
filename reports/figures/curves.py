"""Figures across conditions: nested loops, lollipops, power curves, runtime against size, accuracy against runtime."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from nestbench.experiments.experiment import Experiment
from nestbench.reports.figures.fits import runtime_records
from nestbench.reports.figures.panels import STEP
from nestbench.reports.figures.rows import SHARES, Record, headline_term, records
from nestbench.reports.figures.theme import LIGHT, Chart, colour, dash, decades, inline
from nestbench.reports.measures.declared import measure_named
from nestbench.reports.measures.performance import factors_of
from nestbench.reports.words.wording import factor_words, level_words, value_words
from nestbench.sim.errors import InvalidInput, unknown_name


def _of_term(table: pd.DataFrame, experiment: Experiment, measure: str, term: str | None) -> list[Record]:
    chosen = headline_term(table) if term is None else term
    made = [r for r in records(table, experiment, measure) if r["term"] == chosen]
    if not made:
        known = table.loc[table["measure"] == measure, "term"].unique()
        raise unknown_name(f"term with {measure}", chosen, [str(name) for name in known])
    return made


def _labels(made: list[Record], experiment: Experiment) -> list[str]:
    present = {record["estimator"] for record in made}
    return [e.label for e in experiment.estimators if e.label in present]


def _format(measure: str) -> Any:
    return ".0%" if measure in SHARES else alt.Undefined


def _tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("estimator:N", title="method"),
        alt.Tooltip("condition:N"),
        alt.Tooltip("value:Q", format=".4~r"),
        alt.Tooltip("mcse:Q", title="MCSE", format=".2~r"),
        alt.Tooltip("n:Q", title="usable fits"),
    ]


def nested_loop(
    table: pd.DataFrame, experiment: Experiment, measure: str = "coverage", term: str | None = None
) -> Chart:
    """All conditions on one axis, the factors' levels as steps below (Ruecker & Schwarzer 2014)."""
    made = _of_term(table, experiment, measure, term)
    labels = _labels(made, experiment)
    x = alt.X("cell:O", axis=None)
    lines = (
        alt.Chart(inline(made))
        .mark_line(interpolate="step", strokeWidth=1.6)
        .encode(
            x=x,
            y=alt.Y(
                "value:Q",
                title=measure_named(measure).label,
                scale=alt.Scale(zero=False),
                axis=alt.Axis(format=_format(measure)),
            ),
            color=colour(labels),
            strokeDash=dash(labels),
            tooltip=_tooltip(),
        )
        .properties(width=640, height=260)
    )
    charts = [lines, *(_steps(experiment, factor) for factor in factors_of(table))]
    done: Chart = alt.vconcat(*charts, spacing=4).resolve_scale(x="shared")
    return done


def _steps(experiment: Experiment, factor: str) -> Chart:
    values = [levels[factor] for levels in experiment.levels]
    order = list(dict.fromkeys(value_words(v) for v in values))
    made = [
        {"cell": i, "step": order.index(value_words(v)), "words": level_words(factor, v)}
        for i, v in enumerate(values)
    ]
    return (
        alt.Chart(inline(made))
        .mark_line(interpolate="step", color=LIGHT["soft"], strokeWidth=1.2)
        .encode(
            x=alt.X("cell:O", axis=None),
            y=alt.Y(
                "step:Q", title=factor_words(factor), axis=alt.Axis(labels=False, grid=False, titleAngle=0)
            ),
            tooltip=["words:N"],
        )
        .properties(width=640, height=34)
    )


def lollipop(
    table: pd.DataFrame, experiment: Experiment, measure: str = "bias", term: str | None = None
) -> Chart:
    """A measure as lollipops from its ideal value, with brackets at the Monte Carlo interval."""
    made = _of_term(table, experiment, measure, term)
    labels = _labels(made, experiment)
    ideal = experiment.cells[0].model.level if measure in ("coverage", "be_coverage") else 0.0
    y = alt.Y("estimator:N", title=None, sort=labels)
    x = alt.X(
        "value:Q",
        title=measure_named(measure).label,
        scale=alt.Scale(zero=False),
        axis=alt.Axis(format=_format(measure)),
    )
    base = alt.Chart().encode(y=y, tooltip=_tooltip())
    layers = [
        base.mark_rule(color=LIGHT["line"], strokeWidth=3).encode(x=x, x2=alt.datum(ideal)),
        base.mark_text(text="(", color=LIGHT["good"], fontSize=13).encode(x="low:Q"),
        base.mark_text(text=")", color=LIGHT["good"], fontSize=13).encode(x="high:Q"),
        base.mark_point(filled=True, size=36, opacity=1, color=LIGHT["good"]).encode(x=x),
        alt.Chart(inline([{}])).mark_rule(color=LIGHT["soft"], strokeDash=[3, 3]).encode(x=alt.datum(ideal)),
    ]
    order = list(dict.fromkeys(record["condition"] for record in made))
    facet = alt.Facet("condition:N", title=None, sort=order)
    chart = alt.layer(*layers).properties(width=210, height=alt.Step(STEP))
    done: Chart = chart.facet(facet=facet, columns=3, data=inline(made))
    return done


def power_curves(
    table: pd.DataFrame, experiment: Experiment, measure: str = "rejection", term: str | None = None
) -> Chart:
    """A measure against the first numeric factor, one line a method, panels by the other factors."""
    made = _of_term(table, experiment, measure, term)
    factor = _numeric_factor(experiment, table)
    for record in made:
        levels = experiment.levels[record["cell"]]
        record["x"] = float(levels[factor])
        record["panel"] = ", ".join(level_words(f, v) for f, v in levels.items() if f != factor)
    labels = _labels(made, experiment)
    base = alt.Chart().encode(
        x=alt.X("x:Q", title=factor_words(factor), scale=alt.Scale(zero=False)),
        color=colour(labels),
        tooltip=_tooltip(),
    )
    y = alt.Y("value:Q", title=measure_named(measure).label, axis=alt.Axis(format=_format(measure)))
    layers = [
        base.mark_line(strokeWidth=1.6).encode(y=y, strokeDash=dash(labels)),
        base.mark_rule(opacity=0.6).encode(y=alt.Y("low:Q"), y2="high:Q"),
        base.mark_point(filled=True, size=26, opacity=1).encode(y=y),
    ]
    order = list(dict.fromkeys(record["panel"] for record in made))
    chart = alt.layer(*layers).properties(width=240, height=200)
    facet = alt.Facet("panel:N", title=None, sort=order)
    done: Chart = chart.facet(facet=facet, columns=3, data=inline(made))
    return done


def _numeric_factor(experiment: Experiment, table: pd.DataFrame) -> str:
    for factor in factors_of(table):
        values = {value_words(levels[factor]): levels[factor] for levels in experiment.levels}
        if len(values) > 1 and all(isinstance(v, (int, float)) for v in values.values()):
            return factor
    raise InvalidInput("expected a factor with several numbers as levels to draw a curve against, got none")


def runtime_curves(table: pd.DataFrame, experiment: Experiment) -> Chart:
    """Milliseconds per fit against the number of students, log-log; the legend gives each method's slope."""
    made = runtime_records(table, experiment)
    if not made:
        raise InvalidInput("expected stored times, got none; run the experiment first")
    for record in made:
        sizes = experiment.cells[record["cell"]].layout.sizes()
        record["x"] = int(sizes.sum())
        record["schools"] = len(sizes)
    slopes = {
        label: slope_of([r for r in made if r["estimator"] == label]) for label in _labels(made, experiment)
    }
    names = {
        label: f"{label} ({slope:+.2f})" if slope is not None else label for label, slope in slopes.items()
    }
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


def slope_of(made: list[Record]) -> float | None:
    """Return the least-squares slope of log time on log students; None for a single size."""
    x = np.log([record["x"] for record in made])
    if len(set(x)) < 2:
        return None
    return float(np.polyfit(x, np.log([record["value"] for record in made]), 1)[0])


def frontier(table: pd.DataFrame, experiment: Experiment, term: str | None = None) -> Chart:
    """Distance of coverage from its level (worst condition) against milliseconds per fit; ringed: nothing is both
    faster and closer."""
    times = pd.DataFrame(runtime_records(table, experiment))
    covered = _of_term(table, experiment, "coverage", term)
    if times.empty:
        raise InvalidInput("expected stored times, got none; run the experiment first")
    speed = times.groupby("estimator")["value"].median()
    made = []
    for label in _labels(covered, experiment):
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
    _spread_labels(made)
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


def _spread_labels(made: list[Record]) -> None:
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

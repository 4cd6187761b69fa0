"""Figures across conditions: lollipops, runtime against size, accuracy against runtime."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from nestbench.experiments.experiment import Experiment
from nestbench.reports.figures import axes, brackets
from nestbench.reports.figures.faceting import PANEL, by_condition, faceted, missing_words
from nestbench.reports.figures.fits import runtime_records
from nestbench.reports.figures.records import IDEAL, Record, labels_of, of_term, promised, with_holes
from nestbench.reports.figures.theme import LIGHT, Chart, colour, dash, inline
from nestbench.reports.measures.declared import measure_named
from nestbench.reports.measures.printed import SHARES
from nestbench.reports.words.usable import BOUNDED
from nestbench.sim.errors import InvalidInput


def _tooltip() -> list[alt.Tooltip]:
    """Return what hovering a mark shows."""
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
    """A measure as lollipops from its ideal value (the condition's level, 1 or 0), with brackets at the interval.

    Parameters
    ----------
    table : DataFrame
    experiment : Experiment
    measure : str
    term : str, optional
    """
    made = of_term(table, experiment, measure, term)
    labels = labels_of(made, experiment)
    levels = promised(experiment, measure)
    for record in made:
        record["ideal"] = levels[record["cell"]] if levels else IDEAL.get(measure, 0.0)
    y, share = axes.methods(labels), measure in SHARES

    def x(field: str) -> alt.X:
        """Return the axis of values for a field."""
        title, scale = measure_named(measure).label, alt.Scale(zero=False)
        return alt.X(f"{field}:Q", title=title, scale=scale, axis=axes.numbers(share))

    base = alt.Chart().encode(y=y, tooltip=_tooltip())
    layers = [
        base.mark_rule(color=LIGHT["line"], strokeWidth=3).encode(x=x("value"), x2="ideal:Q"),
        base.mark_text(text="(", color=LIGHT["good"], fontSize=13).encode(x=x("low")),
        base.mark_text(text=")", color=LIGHT["good"], fontSize=13).encode(x=x("high")),
        base.mark_point(filled=True, size=36, opacity=1, color=LIGHT["good"]).encode(x=x("value")),
        alt.Chart().mark_rule(color=LIGHT["soft"], strokeDash=[3, 3]).encode(x=x("min(ideal)")),
        missing_words(),
    ]
    if brackets.marked(made):
        layers += brackets.lying(x, y, measure in BOUNDED, _tooltip())
    chart = alt.layer(*layers).properties(width=PANEL, height=alt.Step(axes.step(labels)))
    return faceted(chart, with_holes(made, experiment), by_condition(experiment, labels))


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

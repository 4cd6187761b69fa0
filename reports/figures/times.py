"""Runtime against the size of the data."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from nestbench.experiments.experiment import Experiment
from nestbench.reports.figures.drawing import FromTable, Shown
from nestbench.reports.figures.fits import NO_TIMES, RUN_TIMES, runtime_records
from nestbench.reports.figures.records import Record, labels_of
from nestbench.reports.figures.theme import Chart, colour, dash, inline
from nestbench.sim.errors import InvalidInput


def runtime_curves(table: pd.DataFrame, experiment: Experiment) -> Chart:
    """Milliseconds per fit against the number of students, log-log; the legend gives slopes that are known."""
    records = runtime_records(table, experiment)
    if not records:
        raise InvalidInput(NO_TIMES)
    for record in records:
        sizes = experiment.cells[record["cell"]].layout.sizes()
        record["x"] = int(sizes.sum())
        record["schools"] = len(sizes)
    slopes = {
        label: slope_of([r for r in records if r["estimator"] == label])
        for label in labels_of(records, experiment)
    }
    names = {label: label if x is None else f"{label} (slope {x:.2f})" for label, x in slopes.items()}
    for record in records:
        record["estimator"] = names[record["estimator"]]
    labels = list(names.values())
    ticks = alt.Axis(values=sorted({record["x"] for record in records}), labelOverlap=True)
    base = alt.Chart(inline(records)).encode(
        x=alt.X("x:Q", title="Students", scale=alt.Scale(type="log", nice=False, padding=12), axis=ticks),
        color=colour(labels),
    )
    title, scale = "Milliseconds per fit", alt.Scale(type="log")
    # The tooltip is the points' alone: Vega-Lite groups by every field that isn't aggregated, and the lines' median
    # would be one of single values.
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


def slope_of(records: list[Record]) -> float | None:
    """Return the least-squares slope of log time on log students.

    None where conditions are fewer than three or their sizes less than `SPAN` apart, and where the slope's standard
    error is above `SURE`: times of a run scatter by more than students explain.
    """
    x = np.log([record["x"] for record in records])
    y = np.log([record["value"] for record in records])
    if len(x) < 3 or np.ptp(x) < np.log(SPAN):
        return None
    across = x - x.mean()
    slope = float(across @ y / (across @ across))
    left = y - y.mean() - slope * across
    error = np.sqrt(left @ left / ((len(x) - 2) * (across @ across)))
    return slope if error <= SURE else None


def _words(shown: Shown) -> list[str]:
    """Say where times come from and what the slopes are."""
    slope = "slope: of log time on log students, where it is known."
    return [f"Median of each condition; {slope}", RUN_TIMES]


RUNTIME_SIZE = FromTable(
    "seconds_",
    lambda s: runtime_curves(s.table, s.experiment),
    _words,
    by_term=False,
    head="Time of a fit in the run, by size of the data",
)

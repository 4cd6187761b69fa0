"""What became of the fits: failures by status, and seconds per fit."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from nestbench.experiments.experiment import Experiment
from nestbench.reports.figures import axes
from nestbench.reports.figures.axes import STEP
from nestbench.reports.figures.drawing import FromTable, Shown
from nestbench.reports.figures.explained import TIMES
from nestbench.reports.figures.faceting import PANEL, by_condition, faceted, missing_words
from nestbench.reports.figures.records import NO_DATA, Record, labels_of, places, with_holes
from nestbench.reports.figures.theme import LIGHT, Chart, decades, inline
from nestbench.reports.frames import items_of, rows_of
from nestbench.reports.measures.performance import FIT

STATUS_COLOURS = {
    "boundary": LIGHT["fair"],
    "not converged": LIGHT["doubt"],
    "singular": LIGHT["wide"],
    "failed": LIGHT["bad"],
    "timeout": LIGHT["plain"],
}


ALL_OK = "every fit OK"


def failure_records(table: pd.DataFrame, experiment: Experiment) -> list[Record]:
    """Return the share of every status but OK, by method and condition; only what occurred."""
    stands = places(experiment)
    rows = table[(table["term"] == FIT) & table["measure"].str.startswith("share_")]
    rows = rows[(rows["measure"] != "share_ok") & (rows["value"] > 0)]
    return [
        {
            "cell": row.cell,
            "estimator": row.estimator,
            "status": row.measure.removeprefix("share_").replace("_", " "),
            "value": row.value,
            "mcse": row.mcse,
            "n": row.n,
            **stands[row.cell],
        }
        for row in rows_of(rows, ("cell", "estimator", "measure", "value", "mcse", "n"))
    ]


def failures(table: pd.DataFrame, experiment: Experiment) -> Chart:
    """Share of fits by status other than OK; a fit at the boundary is usable and shown too."""
    records = failure_records(table, experiment)
    stored = set(table.loc[table["term"] == FIT, "cell"])
    filled = with_holes(records, experiment, lambda cell: ALL_OK if cell in stored else NO_DATA)
    colour = alt.Color(
        "status:N",
        title=None,
        scale=alt.Scale(domain=list(STATUS_COLOURS), range=list(STATUS_COLOURS.values())),
    )
    labels = labels_of(records, experiment)
    bars = (
        alt.Chart()
        .mark_bar(height=STEP - 6)
        .encode(
            x=alt.X("value:Q", title="Share of fits", axis=axes.numbers(True, tickCount=4)),
            y=axes.methods(labels),
            color=colour,
            tooltip=[
                alt.Tooltip("estimator:N", title="method"),
                alt.Tooltip("condition:N"),
                alt.Tooltip("status:N"),
                alt.Tooltip("value:Q", title="share", format=".2%"),
                alt.Tooltip("mcse:Q", title="MCSE", format=".2%"),
                alt.Tooltip("n:Q", title="fits"),
            ],
        )
    )
    layers = [bars, missing_words()] if len(filled) > len(records) else [bars]
    chart = alt.layer(*layers).properties(width=PANEL, height=alt.Step(axes.step(labels)))
    return faceted(chart, filled, by_condition(experiment, labels))


NO_TIMES = (
    "expected stored times, got none; an experiment that is run has some, results read from a table have none"
)


def runtime_records(table: pd.DataFrame, experiment: Experiment) -> list[Record]:
    """Return median and 90th percentile of the milliseconds per fit, by method and condition."""
    rows = table[(table["term"] == FIT) & table["measure"].str.startswith("seconds_")]
    stands = places(experiment)
    wide = rows.pivot_table(index=["cell", "estimator"], columns="measure", values="value", sort=False)
    counts = rows.groupby(["cell", "estimator"])["n"].max()
    return [
        {
            "cell": cell,
            "estimator": label,
            "value": 1e3 * row["seconds_median"],
            "high": 1e3 * row["seconds_p90"],
            "n": int(counts[(cell, label)]),
            **stands[cell],
        }
        for (cell, label), row in items_of(wide)
        if np.isfinite(row["seconds_median"]) and row["seconds_median"] > 0
    ]


RUN_TIMES = (
    "What several methods share (reading the formula, school cross-products, a REML fit) counts in full for each that "
    "uses it; the first fit of a process is left out. Made while the run was using all its workers: orders of "
    "magnitude; nestbench time makes a benchmark."
)
"""What times stored by a run are (`experiments.running.timekeeping`)."""


def runtime(table: pd.DataFrame, experiment: Experiment) -> Chart:
    """Milliseconds per fit, one mark a condition (log scale); as stored, so made under load."""
    records = runtime_records(table, experiment)
    labels = labels_of(records, experiment)
    tooltip = [
        alt.Tooltip("estimator:N", title="method"),
        alt.Tooltip("condition:N"),
        alt.Tooltip("value:Q", title="median, ms", format=".3~g"),
        alt.Tooltip("high:Q", title="90th percentile, ms", format=".3~g"),
        alt.Tooltip("n:Q", title="fits"),
    ]
    base = alt.Chart().encode(y=axes.methods(labels), tooltip=tooltip)
    x = alt.X(
        "value:Q",
        title="Milliseconds per fit",
        scale=alt.Scale(type="log"),
        axis=alt.Axis(values=decades([r[name] for r in records for name in ("value", "high")])),
    )
    spread = base.mark_rule(color=LIGHT["line"], strokeWidth=3).encode(x=x, x2="high:Q")
    dots = base.mark_point(size=40, filled=True, opacity=0.8, color=LIGHT["good"]).encode(x=x)
    chart = alt.layer(spread, dots, data=inline(records))
    done: Chart = chart.properties(width=640, height=alt.Step(axes.step(labels)))
    return done


def _failures_words(shown: Shown) -> list[str]:
    """Say which statuses count as answers."""
    return ["Share of fits by status other than OK. A fit at the boundary is usable; the others are not."]


def _times_words(shown: Shown) -> list[str]:
    """Say where times come from."""
    return [TIMES, RUN_TIMES]


FAILURES = FromTable(
    "share_",
    lambda s: failures(s.table, s.experiment),
    _failures_words,
    by_term=False,
    head="Fits that were not OK",
)
RUNTIME = FromTable(
    "seconds_",
    lambda s: runtime(s.table, s.experiment),
    _times_words,
    by_term=False,
    head="Time of a fit in the run",
)

"""Figures across conditions: lollipops, runtime against size, accuracy against runtime."""

from __future__ import annotations

import math
from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from nestbench.experiments.experiment import Experiment
from nestbench.reports.figures import axes, brackets
from nestbench.reports.figures.faceting import PANEL, by_condition, faceted, missing_words
from nestbench.reports.figures.fits import runtime_records
from nestbench.reports.figures.letters import text_width, wrapped
from nestbench.reports.figures.records import IDEAL, Record, labels_of, of_term, promised, with_holes
from nestbench.reports.figures.theme import LIGHT, Chart, colour, dash, decades, inline
from nestbench.reports.measures.declared import measure_named
from nestbench.reports.measures.printed import SHARES
from nestbench.reports.words.usable import BOUNDED
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
    """A measure as lollipops from its ideal value (the condition's level, 1 or 0), with brackets at the interval."""
    made = of_term(table, experiment, measure, term)
    labels = labels_of(made, experiment)
    levels = promised(experiment, measure)
    for record in made:
        record["ideal"] = levels[record["cell"]] if levels else IDEAL.get(measure, 0.0)
    y, share = axes.methods(labels), measure in SHARES

    def x(field: str) -> alt.X:
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


BEATEN, FRONT = "beaten by another", "on the frontier"
PLOT, LINE, NAME = (520, 320), 0.045, 260
"""Size of a figure of times, px; height of a name's line as a share of its height; width of a name, px."""


def frontier(table: pd.DataFrame, experiment: Experiment, term: str | None = None) -> Chart:
    """Distance of coverage from its level (worst condition) against milliseconds per fit; marked: nothing is both
    faster and closer."""
    made = frontier_records(table, experiment, term)
    ends = _decades_around([one["x"] for one in made])
    farthest = max(float(one["opened"] if "opened" in one else one["value"]) for one in made) or 0.01
    top = max(farthest, _spread_names(made, ends, LINE * farthest))
    upright = alt.Scale(domain=[0.0, top], nice=False)
    scale = alt.Scale(type="log", domain=ends, nice=False)
    ticks = alt.Axis(values=decades(ends, (1,)))
    x = alt.X("x:Q", title="Milliseconds per fit (median)", scale=scale, axis=ticks)

    def y(field: str) -> alt.Y:
        title = "Largest distance of coverage from its level"
        return alt.Y(f"{field}:Q", title=title, axis=axes.heights(True), scale=upright)

    kinds = alt.Scale(domain=[FRONT, BEATEN], range=[LIGHT["good"], LIGHT["doubt"]])
    points = alt.Chart().mark_point(filled=True, size=60, opacity=1)
    points = points.encode(
        x=x,
        y=y("value"),
        color=alt.Color("front:N", title=None, scale=kinds),
        shape=alt.Shape("front:N", title=None, scale=alt.Scale(domain=[FRONT, BEATEN])),
        tooltip=[
            alt.Tooltip("estimator:N", title="method"),
            "condition:N",
            alt.Tooltip("x:Q", format=".3~r"),
            alt.Tooltip("value:Q", title="distance", format=".1%"),
        ],
    )
    words = alt.Chart().mark_text(align="left", dx=2 * brackets.SIDE, color=LIGHT["ink"])
    layers = [points, words.encode(x=x, text="name:N", y=y("label"))]
    if brackets.marked(made):
        layers += brackets.standing([x, x, x], y)
    # Names that are stacked above the farthest dot make the figure higher: its scale stays, so they stay apart.
    done: Chart = alt.layer(*layers, data=inline(made)).properties(
        width=PLOT[0], height=PLOT[1] * top / farthest
    )
    return done


def frontier_records(table: pd.DataFrame, experiment: Experiment, term: str | None) -> list[Record]:
    """Return, for each method with coverage and times, its worst condition and whether another beats it.

    ``opened``, where fewer than 95 % of its fits are usable in a condition: the largest distance with the others as
    misses.
    """
    times = pd.DataFrame(runtime_records(table, experiment))
    covered = of_term(table, experiment, "coverage", term)
    if times.empty:
        raise InvalidInput("expected stored times, got none; run the experiment first")
    speed = times.groupby("estimator")["value"].median()
    made: list[Record] = []
    for label in labels_of(covered, experiment):
        if label not in speed:
            continue
        own = [(r, experiment.cells[r["cell"]].model.level) for r in covered if r["estimator"] == label]
        far, words = max((abs(float(r["value"]) - level), str(r["condition"])) for r, level in own)
        one = {"estimator": label, "x": float(speed[label]), "value": far, "condition": words}
        if any(r["partial"] for r, _ in own):
            one["opened"] = max(far, *(abs(float(r["bound"]) - level) for r, level in own if r["partial"]))
        made.append(one)
    for one in made:
        one["front"] = BEATEN if any(_beats(other, one) for other in made) else FRONT
    return made


def _decades_around(x: Sequence[float]) -> list[float]:
    low, high = math.floor(math.log10(min(x))), math.ceil(math.log10(max(x)))
    return [10.0**low, 10.0 ** max(high, low + 1)]


def _spread_names(made: list[Record], ends: Sequence[float], line: float) -> float:
    """Give each point its name, in lines, and a height for it at which it overprints no other name.

    `line` is the height of a line in units of the axis. Returns the height of the highest name.
    """
    across = PLOT[0] / math.log10(ends[1] / ends[0])
    placed: list[tuple[float, float, Record]] = []
    for one in sorted(made, key=lambda one: one["value"]):
        lines = wrapped(one["estimator"], NAME, 11)
        left = across * math.log10(one["x"] / ends[0])
        right = left + max(text_width(part, 11) for part in lines) + brackets.SIDE
        near = [other["label"] for start, end, other in placed if start < right and left < end]
        one["name"] = "\n".join(lines)
        one["label"] = max(
            [one["value"], line * (len(lines) - 1), *(label + line * len(lines) for label in near)]
        )
        placed.append((left, right, one))
    return max(float(one["label"]) for one in made)


def _beats(other: Record, one: Record) -> bool:
    """Whether another method is at least as fast and as close, and better in one of the two."""
    no_worse: bool = other["x"] <= one["x"] and other["value"] <= one["value"]
    return no_worse and (other["x"] < one["x"] or other["value"] < one["value"])

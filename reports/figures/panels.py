"""Dot-and-interval panels: one panel a condition, one line a method, a dot with its Monte Carlo interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from nestbench.experiments.experiment import Experiment
from nestbench.reports.comparing import grades
from nestbench.reports.comparing.grades import Grade
from nestbench.reports.figures import rows as data
from nestbench.reports.figures.rows import Record
from nestbench.reports.figures.theme import LIGHT, Chart, inline

_COLOURS = {
    Grade.HOLDS: LIGHT["good"],
    Grade.LIKELY: LIGHT["fair"],
    Grade.DOUBTFUL: LIGHT["doubt"],
    Grade.FAILS: LIGHT["bad"],
    Grade.WIDE: LIGHT["wide"],
    data.WITHIN: LIGHT["good"],
    data.OFF: LIGHT["bad"],
    "power": LIGHT["plain"],
}
_SHAPES = {
    Grade.HOLDS: "circle",
    Grade.LIKELY: "circle",
    Grade.DOUBTFUL: "triangle-down",
    Grade.FAILS: "triangle-left",
    Grade.WIDE: "triangle-right",
    data.WITHIN: "circle",
    data.OFF: "diamond",
    "power": "circle",
}
STEP = 17


@dataclass(frozen=True, slots=True)
class Axis:
    """How a measure is drawn: axis title, number format, the ideal value's line, the tolerated band."""

    title: str
    number: str | None
    ideal: float | None = None
    band: tuple[float, float] | None = None
    zero: bool = False


def coverage(table: pd.DataFrame, experiment: Experiment, term: str | None = None) -> Chart:
    """Coverage by method and condition, the nominal level, Bradley's band, and theory for naive OLS."""
    made = data.with_theory(data.graded(data.records(table, experiment, "coverage"), experiment), experiment)
    level = experiment.cells[0].model.level if experiment.cells else 0.95
    axis = Axis("Coverage", ".0%", level, grades.band(level))
    return panels(_of_term(made, table, term), experiment, axis)


def bias(table: pd.DataFrame, experiment: Experiment, term: str | None = None) -> Chart:
    """Bias by method and condition, in units of the estimate."""
    made = data.against(data.records(table, experiment, "bias"), 0.0)
    return panels(_of_term(made, table, term), experiment, Axis("Bias", None, 0.0))


def se_error(table: pd.DataFrame, experiment: Experiment, term: str | None = None) -> Chart:
    """Relative error of the standard error by method and condition, with theory for naive OLS."""
    made = data.against(data.records(table, experiment, "se_error"), 0.0)
    made = data.with_se_theory(made, experiment)
    return panels(_of_term(made, table, term), experiment, Axis("Error of the SE, %", None, 0.0))


def rejection(table: pd.DataFrame, experiment: Experiment, term: str | None = None) -> Chart:
    """Rejection rate by method and condition: type I error (with its nominal size) or power."""
    made = data.sized(data.records(table, experiment, "rejection"), experiment)
    return panels(_of_term(made, table, term), experiment, Axis("Rejection rate", ".0%", zero=True))


def _of_term(made: list[Record], table: pd.DataFrame, term: str | None) -> list[Record]:
    if term == "*":
        return [r for r in made if not r["term"].startswith("(")]
    chosen = data.headline_term(table) if term is None else term
    return [record for record in made if record["term"] == chosen]


def panels(made: list[Record], experiment: Experiment, axis: Axis) -> Chart:
    """Return the panels of some records (see `rows`); the facets follow the factors."""
    layers = [layer for layer in (_band(axis), _ideal(axis, made)) if layer is not None]
    layers += [_intervals(experiment, axis), _dots(experiment, axis)]
    if any("theory" in record for record in made):
        layers.append(_theory(experiment))
    chart = alt.layer(*layers).properties(width=200, height=alt.Step(STEP))
    return faceted(chart, made)


def faceted(chart: Chart, made: list[Record]) -> Chart:
    """Return a chart over records as small multiples: columns by the first factor, rows by the others."""
    values = inline(made)
    columns = list(dict.fromkeys(record["column"] for record in made))
    rows = list(dict.fromkeys(record["row"] for record in made))
    encodings: dict[str, Any] = {}
    if columns and columns != [""]:
        encodings["column"] = alt.Column("column:N", title=None, sort=columns)
    if rows and rows != [""]:
        header = alt.Header(labelAngle=90, labelOrient="right", labelPadding=4)
        encodings["row"] = alt.Row("row:N", title=None, sort=rows, header=header)
    if not encodings:
        done: Chart = chart.properties(data=values)
        return done
    facet: Chart = chart.facet(**encodings, data=values)
    return facet


def _y(experiment: Experiment) -> alt.Y:
    order = [estimator.label for estimator in experiment.estimators]
    return alt.Y("estimator:N", title=None, sort=order)


def _x(axis: Axis, field: str = "value") -> alt.X:
    return alt.X(
        f"{field}:Q",
        title=axis.title,
        scale=alt.Scale(zero=axis.zero, nice=True),
        axis=alt.Axis(tickCount=5, labelOverlap=True, format=axis.number or alt.Undefined),
    )


def _tooltip(axis: Axis) -> list[alt.Tooltip]:
    exact, error = (".1%", ".2%") if axis.number else (".4~r", ".2~r")
    return [
        alt.Tooltip("estimator:N", title="method"),
        alt.Tooltip("term:N"),
        alt.Tooltip("condition:N"),
        alt.Tooltip("value:Q", title=axis.title, format=exact),
        alt.Tooltip("mcse:Q", title="MCSE", format=error),
        alt.Tooltip("n:Q", title="usable fits"),
        alt.Tooltip("n_attempted:Q", title="attempted"),
        alt.Tooltip("state:N", title="verdict"),
    ]


def _state(experiment: Experiment) -> tuple[alt.Color, alt.Shape]:
    names = [str(name) for name in _COLOURS]
    colour = alt.Color("state:N", scale=alt.Scale(domain=names, range=list(_COLOURS.values())), legend=None)
    shape = alt.Shape("state:N", scale=alt.Scale(domain=names, range=list(_SHAPES.values())), legend=None)
    return colour, shape


def _intervals(experiment: Experiment, axis: Axis) -> Chart:
    colour, _ = _state(experiment)
    return (
        alt.Chart()
        .mark_rule(strokeWidth=1.5)
        .encode(x=_x(axis, "low"), x2="high:Q", y=_y(experiment), color=colour, tooltip=_tooltip(axis))
    )


def _dots(experiment: Experiment, axis: Axis) -> Chart:
    colour, shape = _state(experiment)
    return (
        alt.Chart()
        .mark_point(size=46, filled=True, opacity=1)
        .encode(x=_x(axis), y=_y(experiment), color=colour, shape=shape, tooltip=_tooltip(axis))
    )


def _theory(experiment: Experiment) -> Chart:
    tooltip = [alt.Tooltip("estimator:N", title="method"), alt.Tooltip("theory:Q", title="theory expects")]
    return (
        alt.Chart()
        .transform_filter("isValid(datum.theory)")
        .mark_tick(color=LIGHT["ink"], thickness=2, size=STEP - 4)
        .encode(x=alt.X("theory:Q"), y=_y(experiment), tooltip=tooltip)
    )


def _band(axis: Axis) -> Chart | None:
    if axis.band is None:
        return None
    low, high = axis.band
    return alt.Chart(inline([{}])).mark_rect(color=LIGHT["band"]).encode(x=alt.datum(low), x2=alt.datum(high))


def _ideal(axis: Axis, made: list[Record]) -> Chart | None:
    """One line a panel; type I errors have a line at their size, power has none."""
    mark: Any = {"color": LIGHT["soft"], "strokeDash": [3, 3]}
    if axis.ideal is not None:
        return alt.Chart(inline([{}])).mark_rule(**mark).encode(x=alt.datum(axis.ideal))
    if any("nominal" in record for record in made):
        return (
            alt.Chart()
            .mark_rule(**mark)
            .transform_filter("isValid(datum.nominal)")
            .encode(x=alt.X("nominal:Q"))
        )
    return None

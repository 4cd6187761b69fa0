"""Dot-and-interval panels: one panel a condition, one line a method, a dot with its Monte Carlo interval."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import altair as alt
import pandas as pd

from nestbench.experiments.experiment import Experiment
from nestbench.reports.comparing.biases import Bias
from nestbench.reports.comparing.grades import Grade
from nestbench.reports.comparing.judged import POWER, Off
from nestbench.reports.figures import axes, brackets
from nestbench.reports.figures import records as data
from nestbench.reports.figures.axes import STEP
from nestbench.reports.figures.drawing import FromTable, Shown
from nestbench.reports.figures.explained import BIASED, DIAMOND, GRADES, INTERVAL, THEORY
from nestbench.reports.figures.faceting import PANEL, by_condition, faceted, missing_words
from nestbench.reports.figures.lines import lines
from nestbench.reports.figures.records import Record
from nestbench.reports.figures.theme import LIGHT, Chart

COLOURS = {
    Grade.HOLDS: LIGHT["good"],
    Grade.LIKELY: LIGHT["fair"],
    Grade.DOUBTFUL: LIGHT["doubt"],
    Grade.FAILS: LIGHT["bad"],
    Grade.WIDE: LIGHT["wide"],
    Grade.LOOSE: LIGHT["fair"],
    Bias.OPEN: LIGHT["good"],
    Bias.SLIGHT: LIGHT["fair"],
    Bias.BIASED: LIGHT["bad"],
    Off.OPEN: LIGHT["good"],
    Off.SHOWN: LIGHT["bad"],
    POWER: LIGHT["plain"],
}
SHAPES = {
    Grade.HOLDS: "circle",
    Grade.LIKELY: "circle",
    Grade.DOUBTFUL: "triangle-down",
    Grade.FAILS: "triangle-left",
    Grade.WIDE: "triangle-right",
    Grade.LOOSE: "triangle-up",
    Bias.OPEN: "circle",
    Bias.SLIGHT: "square",
    Bias.BIASED: "diamond",
    Off.OPEN: "circle",
    Off.SHOWN: "diamond",
    POWER: "circle",
}


@dataclass(frozen=True, slots=True)
class Axis:
    """How a measure is drawn: axis title, whether it's a share, whether the axis starts at 0."""

    title: str
    share: bool = False
    zero: bool = False


def coverage(
    table: pd.DataFrame, experiment: Experiment, term: str | None = None, across: str | None = None
) -> Chart:
    """Coverage by method and condition, the nominal level, Bradley's band, and theory for naive OLS.

    Parameters
    ----------
    table : DataFrame
    experiment : Experiment
    term : str, optional
    across : str, optional
        A factor shown inside the panels.
    """
    records = data.with_theory(data.graded(table, experiment), experiment)
    return _drawn(_of_term(records, table, term), experiment, Axis("Coverage", share=True), across)


def bias(
    table: pd.DataFrame, experiment: Experiment, term: str | None = None, across: str | None = None
) -> Chart:
    """Bias by method and condition, in units of the estimate."""
    records = data.against(table, experiment, "bias")
    return _drawn(_of_term(records, table, term), experiment, Axis("Bias"), across)


def se_error(
    table: pd.DataFrame, experiment: Experiment, term: str | None = None, across: str | None = None
) -> Chart:
    """Relative error of the standard error by method and condition, with theory for naive OLS."""
    records = data.with_se_theory(data.against(table, experiment, "se_error"), experiment)
    return _drawn(_of_term(records, table, term), experiment, Axis("Error of the SE, %"), across)


def rejection(
    table: pd.DataFrame, experiment: Experiment, term: str | None = None, across: str | None = None
) -> Chart:
    """Rejection rate by method and condition: type I error (with its nominal size) or power."""
    records = _of_term(data.sized(table, experiment), table, term)
    title = f"Rejection rate{data.tested(experiment, {record['term'] for record in records})}"
    return _drawn(records, experiment, Axis(title, share=True, zero=True), across)


def _of_term(records: list[Record], table: pd.DataFrame, term: str | None) -> list[Record]:
    """Return the records of one term, or of all coefficients (``*``)."""
    if term == "*":
        return [r for r in records if not r["term"].startswith("(")]
    chosen = data.headline_term(table) if term is None else term
    return [record for record in records if record["term"] == chosen]


def _drawn(records: list[Record], experiment: Experiment, axis: Axis, across: str | None) -> Chart:
    """Return a panel a condition, or lines `across` a numeric factor."""
    if across is None:
        return panels(records, experiment, axis)
    return lines(records, experiment, across, axis.title, axis.share)


def panels(records: list[Record], experiment: Experiment, axis: Axis) -> Chart:
    """Return the panels of some records (see `rows`): one a condition, those without records say so.

    Parameters
    ----------
    records : list of Record
    experiment : Experiment
    axis : Axis
        Title of the values, whether they are shares, and what they should be.
    """
    layers = [_intervals(experiment, axis), _dots(experiment, axis)]
    if any("ideal" in record for record in records):
        layers.insert(0, _ideal(axis))
    if any("band_low" in record for record in records):
        layers.insert(0, _band(axis))
    if brackets.marked(records):
        layers += brackets.lying(partial(_x, axis), _y(experiment), axis.share, _tooltip(axis))
    if any("theory" in record for record in records):
        layers.append(_theory(experiment))
    filled = data.with_holes(records, experiment)
    if len(filled) > len(records):
        layers.append(missing_words())
    labels = data.labels_of(records, experiment)
    chart = alt.layer(*layers).properties(width=PANEL, height=alt.Step(axes.step(labels)))
    return faceted(chart, filled, by_condition(experiment, labels))


def _y(experiment: Experiment) -> alt.Y:
    """Return the axis of methods, in the experiment's order."""
    return axes.methods([estimator.label for estimator in experiment.estimators])


def _x(axis: Axis, field: str = "value") -> alt.X:
    """Return the axis of values for a field."""
    return alt.X(
        f"{field}:Q",
        title=axis.title,
        scale=alt.Scale(zero=axis.zero, nice=True),
        axis=axes.numbers(axis.share),
    )


def _tooltip(axis: Axis) -> list[alt.Tooltip]:
    """Return what hovering a mark shows."""
    exact, error = (".1%", ".2%") if axis.share else (".4~r", ".2~r")
    return [
        alt.Tooltip("estimator:N", title="method"),
        alt.Tooltip("term:N"),
        alt.Tooltip("condition:N"),
        alt.Tooltip("value:Q", title=axis.title, format=exact),
        alt.Tooltip("mcse:Q", title="MCSE", format=error),
        alt.Tooltip("usable:N", title="usable fits"),
        alt.Tooltip("state:N", title="verdict"),
    ]


def _state(experiment: Experiment) -> tuple[alt.Color, alt.Shape]:
    """Return colour and shape by grade: never colour alone."""
    names = [str(name) for name in COLOURS]
    colour = alt.Color("state:N", scale=alt.Scale(domain=names, range=list(COLOURS.values())), legend=None)
    shape = alt.Shape("state:N", scale=alt.Scale(domain=names, range=list(SHAPES.values())), legend=None)
    return colour, shape


def _intervals(experiment: Experiment, axis: Axis) -> Chart:
    """Return the Monte Carlo intervals."""
    colour, _ = _state(experiment)
    return (
        alt.Chart()
        .mark_rule(strokeWidth=1.5)
        .encode(x=_x(axis, "low"), x2="high:Q", y=_y(experiment), color=colour, tooltip=_tooltip(axis))
    )


def _dots(experiment: Experiment, axis: Axis) -> Chart:
    """Return the marks of the values."""
    colour, shape = _state(experiment)
    return (
        alt.Chart()
        .mark_point(size=46, filled=True, opacity=1)
        .encode(x=_x(axis), y=_y(experiment), color=colour, shape=shape, tooltip=_tooltip(axis))
    )


def _theory(experiment: Experiment) -> Chart:
    """Return the marks of what theory expects, where it expects something."""
    tooltip = [alt.Tooltip("estimator:N", title="method"), alt.Tooltip("theory:Q", title="theory expects")]
    return (
        alt.Chart()
        .transform_filter("isValid(datum.theory)")
        .mark_tick(color=LIGHT["ink"], thickness=2, size=STEP - 4)
        .encode(x=alt.X("theory:Q"), y=_y(experiment), tooltip=tooltip)
    )


def _band(axis: Axis) -> Chart:
    """Return the tolerated band."""
    return (
        alt.Chart()
        .mark_rect(color=LIGHT["band"])
        .encode(x=_x(axis, "min(band_low)"), x2=alt.X2("min(band_high):Q"))
    )


def _ideal(axis: Axis) -> Chart:
    """One line a panel: the promised level, no bias, the size of a test of a true null; power has none."""
    return alt.Chart().mark_rule(color=LIGHT["soft"], strokeDash=[3, 3]).encode(x=_x(axis, "min(ideal)"))


def _coverage_words(shown: Shown) -> list[str]:
    """Say how to read coverage, and theory's mark only where one is drawn."""
    records = data.with_theory(data.records(shown.rows, shown.experiment, shown.measure), shown.experiment)
    lines = [
        f"Share of intervals that hold the true value. {INTERVAL}",
        f"Dashed: the nominal level; shaded: the tolerated band around it. {GRADES}",
    ]
    return lines + [THEORY] * any("theory" in record for record in records)


def _bias_words(shown: Shown) -> list[str]:
    """Say how to read bias."""
    return [f"Mean error of the estimates. {INTERVAL} Dashed: no bias. {BIASED}"]


def _se_error_words(shown: Shown) -> list[str]:
    """Say how to read the error of standard errors."""
    records = data.with_se_theory(data.records(shown.rows, shown.experiment, shown.measure), shown.experiment)
    lines = [
        "How far the average standard error lies from the spread of the estimates; below 0 it promises too much.",
        f"{INTERVAL} Dashed: no error. {DIAMOND}",
    ]
    return lines + [THEORY] * any("theory" in record for record in records)


def _rejection_words(shown: Shown) -> list[str]:
    """Say which of the panels show size and which power, for the same share is good in the one and bad in the other."""
    pairs = shown.rows[["cell", "term"]].drop_duplicates().itertuples(index=False)
    null = [shown.experiment.cells[int(cell)].is_null(str(term)) for cell, term in pairs]
    size = f"Type I error: the value tested is the true one. Dashed: the nominal size. {GRADES}"
    power = "Power: the value tested isn't the true one. Power of a method whose coverage fails is no merit."
    terms = shown.rows["term"].unique()
    values = sorted({cell.model.null_of(str(term)) for cell in shown.experiment.cells for term in terms})
    what = f"Share of tests of {' or '.join(f'{value:.10g}' for value in values)} with p at most alpha. {INTERVAL}"
    return [what] + [size] * any(null) + [power] * (not all(null))


COVERAGE = FromTable("coverage", lambda s: coverage(s.table, s.experiment, s.term), _coverage_words)
BIAS = FromTable("bias", lambda s: bias(s.table, s.experiment, s.term), _bias_words)
SE_ERROR = FromTable("se_error", lambda s: se_error(s.table, s.experiment, s.term), _se_error_words)
REJECTION = FromTable("rejection", lambda s: rejection(s.table, s.experiment, s.term), _rejection_words)

"""The page's figures, as SVG drawn when the page is written: power and type I error along the unknown, by method."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import altair as alt
import markupsafe
import pandas as pd
from altair.utils.schemapi import debug_mode

from nestbench.advising.pictures import both
from nestbench.reports.figures import theme
from nestbench.reports.figures.theme import CATEGORIES, LIGHT
from nestbench.sim.observed.model import alpha_of
from nestbench.sizing.answer import Sizing
from nestbench.sizing.question import EFFECT, HALF_WIDTH, ICC, N_SCHOOLS, N_STUDENTS, N_TREATED

WIDTH, HEIGHT, LOW = 560, 270, 150
FEWEST = 1_000
"""Data sets below which a design is no point of a curve."""
NORMAL = 1.96
AXES = {
    N_SCHOOLS: "Schools",
    N_STUDENTS: "Students a school",
    N_TREATED: "Treated schools",
    EFFECT: "Effect",
    ICC: "Intraclass correlation",
}
HOLDING = (CATEGORIES[0], CATEGORIES[2], CATEGORIES[3], CATEGORIES[5], CATEGORIES[6])
FAILING = (CATEGORIES[7], CATEGORIES[1])
LEFT = 44
"""Width of the axes' labels: the two figures stand one above the other."""
SHAPES = ("circle", "square", "diamond", "triangle-up", "cross", "triangle-down", "stroke", "wedge")


@debug_mode(False)
def curves(sizing: Sizing, curve: pd.DataFrame, closed: Sequence[tuple[float, float]]) -> markupsafe.Markup:
    """Return the target's curves by method, with their Monte Carlo bands, the answer and the closed form.

    Parameters
    ----------
    sizing : Sizing
    curve : DataFrame
        From `sweep`.
    closed : sequence of (value, power or half-width)
    """
    question = sizing.question
    width = question.target == HALF_WIDTH
    key = "half_width" if width else "power"
    records = _records(sizing, curve, key, clip=not width)
    y = alt.Y(
        "y:Q",
        title="Half-width of the interval" if width else "Power",
        axis=alt.Axis(format="" if width else "%", tickCount=6, grid=True, minExtent=LEFT),
        scale=alt.Scale() if width else alt.Scale(domain=[0.0, 1.0]),
    )
    layers = [*_answer(sizing), *_lines(sizing, records, y)]
    target = alt.Chart(theme.inline([{}])).mark_rule(color=LIGHT["soft"], strokeDash=[4, 3])
    layers.append(target.encode(y=alt.YDatum(question.goal)))
    if closed:
        line = alt.Chart(theme.inline([{"x": x, "y": value} for x, value in closed]))
        layers.append(
            line.mark_line(color=LIGHT["ink"], strokeWidth=1.4, strokeDash=[1, 3]).encode(x=_x(sizing), y=y)
        )
    chart = alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)
    return both(
        chart, f"{'Half-width' if width else 'Power'} by method along {AXES[question.unknown].lower()}"
    )


@debug_mode(False)
def sizes(sizing: Sizing, curve: pd.DataFrame) -> markupsafe.Markup:
    """Return the type I error by method, with Monte Carlo bands and Bradley's band."""
    alpha = alpha_of(sizing.question.level)
    records = _records(sizing, curve, "size", clip=True)
    top = max([2.0 * alpha, *(r["high"] for r in records)])
    y = alt.Y(
        "y:Q",
        title="Type I error",
        axis=alt.Axis(format="%", tickCount=5, grid=True, minExtent=LEFT),
        scale=alt.Scale(domain=[0.0, top]),
    )
    base = alt.Chart(theme.inline([{}]))
    band = base.mark_rect(color=LIGHT["band"]).encode(y=alt.YDatum(0.5 * alpha), y2=alt.Y2Datum(1.5 * alpha))
    nominal = base.mark_rule(color=LIGHT["soft"], strokeDash=[4, 3]).encode(y=alt.YDatum(alpha))
    chart = alt.layer(band, nominal, *_lines(sizing, records, y)).properties(width=WIDTH, height=LOW)
    return both(chart, f"Type I error by method along {AXES[sizing.question.unknown].lower()}")


def _records(sizing: Sizing, curve: pd.DataFrame, key: str, clip: bool) -> list[dict[str, Any]]:
    """Return a curve's points with 95 % Monte Carlo limits."""
    valid = {a.method: a.valid for a in sizing.answers}
    records = []
    for _, row in curve.iterrows():
        value, error = float(row[key]), float(row[f"{key}_mcse"])
        if not math.isfinite(value) or (row["n"] < FEWEST and len(curve) > len(sizing.answers)):
            continue
        low, high = value - NORMAL * error, value + NORMAL * error
        records.append(
            {
                "x": float(row["value"]),
                "y": value,
                "low": max(low, 0.0) if clip else low,
                "high": min(high, 1.0) if clip else high,
                "method": row["method"],
                "holds": valid[row["method"]],
            }
        )
    return records


def _x(sizing: Sizing) -> alt.X:
    title = AXES[sizing.question.unknown]
    return alt.X("x:Q", title=title, scale=alt.Scale(zero=False, nice=False), axis=alt.Axis(tickCount=8))


def _lines(sizing: Sizing, records: list[dict[str, Any]], y: alt.Y) -> list[Any]:
    """Return bands, lines and points by method; methods that don't hold are dashed, their points hollow."""
    labels = [a.method for a in sizing.answers]
    legend = alt.Legend(symbolOpacity=1)
    scale = alt.Scale(domain=labels, range=colours_of(sizing))
    colour = alt.Color("method:N", title=None, scale=scale, legend=legend)
    shapes = [SHAPES[i % len(SHAPES)] for i in range(len(labels))]
    shape = alt.Shape("method:N", title=None, scale=alt.Scale(domain=labels, range=shapes), legend=legend)
    x, few = _x(sizing), len({r["x"] for r in records}) <= 20
    layers = []
    for holds in (True, False):
        base = alt.Chart(theme.inline([r for r in records if r["holds"] is holds]))
        band = base.mark_area(opacity=0.2).encode(x=x, y=alt.Y("low:Q"), y2="high:Q", color=colour)
        dashes: Any = {} if holds else {"strokeDash": [6, 3]}
        layers += [band, base.mark_line(strokeWidth=1.6, **dashes).encode(x=x, y=y, color=colour)]
        if few:
            dots = base.mark_point(filled=holds, size=38, opacity=1)
            layers.append(dots.encode(x=x, y=y, color=colour, shape=shape))
    return layers


def colours_of(sizing: Sizing) -> list[str]:
    """Return a colour a method, in their order: reds for those that don't hold."""
    good, bad = iter(HOLDING * 4), iter(FAILING * 8)
    return [next(good) if answer.valid else next(bad) for answer in sizing.answers]


def _answer(sizing: Sizing) -> list[Any]:
    """Return the answer as a line, with its interval."""
    answer = sizing.answer
    if answer is None:
        return []
    base = alt.Chart(theme.inline([{}]))
    band = base.mark_rect(color=LIGHT["band"]).encode(x=alt.XDatum(answer.low), x2=alt.X2Datum(answer.high))
    return [band, base.mark_rule(color=LIGHT["plain"], strokeWidth=1.2).encode(x=alt.XDatum(answer.value))]

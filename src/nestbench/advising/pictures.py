"""The page's figures, as SVG drawn when the page is written: coverage, leverage, placebos."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, takewhile
from typing import Any

import altair as alt
import markupsafe
import vl_convert
from altair.utils.schemapi import debug_mode

from nestbench.advising.advice import Advice
from nestbench.reports.comparing import grades
from nestbench.reports.comparing.grades import Grade
from nestbench.reports.figures import theme
from nestbench.reports.figures.panels import COLOURS, SHAPES
from nestbench.reports.figures.theme import LIGHT
from nestbench.reports.measures.proportions import wilson
from nestbench.sim.observed.model import alpha_of

PANELS = 3
DRAWN = 2000
"""Schools in the figure of leverage, those of the largest shares: each is a mark in the page, twice."""


def both(chart: Any, words: str) -> markupsafe.Markup:
    """Return a chart as SVG for a light and a dark page."""
    light = vl_convert.vegalite_to_svg({**theme.dressed(chart), "padding": theme.MARGIN})
    told = markupsafe.escape(words)
    parts = [
        f'<div class="on-{name}" role="img" aria-label="{told}">{svg}</div>'
        for name, svg in (("light", light), ("dark", theme.in_dark(light)))
    ]
    return markupsafe.Markup("".join(parts))


@debug_mode(False)
def coverage(advice: Advice) -> markupsafe.Markup:
    """Return coverage by method and scenario, with Monte Carlo intervals and Bradley's band."""
    level = advice.model.level
    records = []
    order = ordered(advice)
    for _, row in advice.table.iterrows():
        if row["n"] > 0 and row["grade"] in set(Grade):
            low, high = (float(v) for v in wilson(row["coverage"], row["n"]))
            records.append(
                {
                    "method": row["method"],
                    "scenario": row["scenario"],
                    "coverage": row["coverage"],
                    "low": low,
                    "high": high,
                    "grade": str(row["grade"]),
                }
            )
    floor = min((r["low"] for r in records), default=0.9)
    x = alt.Scale(domain=[max(0.0, floor - 0.02), 1.0], nice=False)
    y = alt.Y("method:N", sort=order, title=None)
    low, high = grades.band(level)
    base = alt.Chart(theme.inline(records))
    band = base.mark_rect(color=LIGHT["band"]).encode(x=alt.XDatum(low, scale=x), x2=alt.X2Datum(high))
    ideal = base.mark_rule(color=LIGHT["soft"], strokeDash=[4, 3]).encode(x=alt.XDatum(level, scale=x))
    line = base.mark_rule(strokeWidth=1.5).encode(
        x=alt.X("low:Q", scale=x), x2="high:Q", y=y, color=_colour()
    )
    # Labels of neighbouring ticks else touch where an axis begins far below 100 %.
    axis = alt.Axis(format="%", tickCount=5, labelSeparation=4)
    dot = base.mark_point(filled=True, size=55, opacity=1).encode(
        x=alt.X("coverage:Q", scale=x, title="Coverage", axis=axis), y=y, color=_colour(), shape=_shape()
    )
    panel = alt.layer(band, ideal, line, dot).properties(width=205, height=15 * len(order))
    laws = [law.name for law in advice.laws]
    facet = alt.Facet("scenario:N", sort=laws, title=None)
    # An axis under every panel: with one for each column, that of a short last row hangs below nothing.
    return both(
        panel.facet(facet, columns=PANELS).resolve_axis(x="independent"),
        "Coverage by method and scenario; the numbers are in the table below",
    )


def _colour() -> alt.Color:
    names = [str(grade) for grade in Grade]
    return alt.Color(
        "grade:N", title=None, scale=alt.Scale(domain=names, range=[COLOURS[grade] for grade in Grade])
    )


def _shape() -> alt.Shape:
    names = [str(grade) for grade in Grade]
    return alt.Shape(
        "grade:N", title=None, scale=alt.Scale(domain=names, range=[SHAPES[grade] for grade in Grade])
    )


def ordered(advice: Advice) -> list[str]:
    """Return the methods: the one named, the other valid ones, then the rest."""
    tried: Sequence[str] = list(dict.fromkeys(advice.table["method"]))
    return list(dict.fromkeys([advice.choice.least_bad, *advice.choice.valid, *tried]))


@debug_mode(False)
def leverage(advice: Advice, sizes: Sequence[int], values: Sequence[str]) -> markupsafe.Markup:
    """Return each school's share of the term's information against its size; where all are of one size, in order."""
    shares = advice.design.leverage
    alike = len(set(sizes)) == 1
    rank = {label: place for place, label in enumerate(sorted(shares, key=lambda name: -shares[name]), 1)}
    records: list[dict[str, Any]] = [
        {"school": label, "share": share, "x": rank[label] if alike else int(size), "value": value}
        for (label, share), size, value in zip(shares.items(), sizes, values, strict=True)
    ]
    title = f"Schools by their share (all of {sizes[0]})" if alike else "Students of the school"
    records = sorted(records, key=lambda r: -float(r["share"]))[:DRAWN]
    base = alt.Chart(theme.inline(records)).properties(width=560, height=230)
    shown = sorted(set(values))
    dots = base.mark_point(filled=True, size=60, opacity=0.75).encode(
        x=alt.X("x:Q", title=title, scale=alt.Scale(zero=False, nice=True)),
        y=alt.Y(
            "share:Q", title="Share of the information", axis=alt.Axis(format="%", grid=True, tickCount=5)
        ),
        **(
            {"color": _two(shown, advice.term), "shape": _two_shapes(shown, advice.term)}
            if len(shown) > 1
            else {}
        ),
    )
    rule = base.mark_rule(color=LIGHT["soft"], strokeDash=[4, 3]).encode(
        y=alt.YDatum(1.0 / advice.design.schools)
    )
    names = (
        alt.Chart(theme.inline(_outstanding(records)))
        .mark_text(align="left", dx=7, fontSize=11, color=LIGHT["ink"])
        .encode(x="x:Q", y="share:Q", text="school:N")
    )
    return both(alt.layer(rule, dots, names), "Partial leverage of the schools against their size")


def _outstanding(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return up to three schools that stand out, whose names can be written apart; none where two share the top."""
    top = sorted(records, key=lambda r: -float(r["share"]))[:4]
    apart = takewhile(lambda pair: float(pair[1]["share"]) < 0.93 * float(pair[0]["share"]), pairwise(top))
    return [first for first, _ in apart]


def _two(shown: Sequence[str], term: str) -> alt.Color:
    return alt.Color(
        "value:N", title=term, scale=alt.Scale(domain=list(shown), range=list(theme.CATEGORIES[: len(shown)]))
    )


def _two_shapes(shown: Sequence[str], term: str) -> alt.Shape:
    kinds = ["circle", "diamond", "square", "triangle-up", "cross", "triangle-down"]
    return alt.Shape("value:N", title=term, scale=alt.Scale(domain=list(shown), range=kinds[: len(shown)]))


@debug_mode(False)
def placebos(advice: Advice) -> markupsafe.Markup | None:
    """Return how often placebo terms were found on the real outcome, by method."""
    good = advice.placebo[advice.placebo["n"] > 0]
    if good.empty:
        return None
    records = []
    for _, row in good.iterrows():
        low, high = (float(v) for v in wilson(row["rejected"], row["n"]))
        records.append({"method": row["method"], "rejected": row["rejected"], "low": low, "high": high})
    alpha = alpha_of(advice.model.level)
    base = alt.Chart(theme.inline(records))
    y = alt.Y("method:N", sort=ordered(advice), title=None)
    band = base.mark_rect(color=LIGHT["band"]).encode(x=alt.XDatum(0.5 * alpha), x2=alt.X2Datum(1.5 * alpha))
    line = base.mark_rule(color=LIGHT["plain"], strokeWidth=1.5).encode(x="low:Q", x2="high:Q", y=y)
    dot = base.mark_point(filled=True, size=55, opacity=1, color=LIGHT["plain"]).encode(
        x=alt.X(
            "rejected:Q",
            title="Placebos found",
            axis=alt.Axis(format="%", tickCount=6),
            scale=alt.Scale(zero=True),
        ),
        y=y,
    )
    rule = base.mark_rule(color=LIGHT["soft"], strokeDash=[4, 3]).encode(x=alt.XDatum(alpha))
    chart = alt.layer(band, rule, line, dot).properties(width=560, height=15 * len(good))
    return both(chart, "Share of placebo terms found by each method")

"""Measures over commits as a figure: one line a method, a panel a measure and condition, steps marked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from nestbench.history.entry import Entry
from nestbench.history.steps import Step
from nestbench.reports.accuracy.changes import SHARES
from nestbench.reports.figures import axes, theme
from nestbench.reports.figures.theme import LIGHT, Chart
from nestbench.reports.measures.declared import measure_named
from nestbench.sim.errors import unknown_name

WIDTH, HEIGHT, ACROSS = 260, 150, 3
NORMAL = 1.96
USUAL = ("coverage", "model_se")
MOST = 4
"""Measures that are drawn where none is named."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is drawn: measures, methods (none: those that changed, all), the term (None: the one that changed most)."""

    measures: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    term: str | None = None


def picture(entries: Sequence[Entry], steps: Sequence[Step], chosen: Chosen) -> Chart:
    """Return the figure of a history.

    Parameters
    ----------
    entries : sequence of Entry
        At least one.
    steps : sequence of Step
    chosen : Chosen

    Raises
    ------
    InvalidInput
        A measure, method or term that the history doesn't have.
    """
    term = _term(entries, steps, chosen.term)
    own = [one for one in entries if one.term == term]
    methods = _known("method of the history", chosen.methods, [one.method for one in own])
    own = [one for one in own if one.method in methods]
    measures = _measures(own, steps, term, chosen.measures)
    records = list(_records(own, steps, measures))
    x = _x(sorted({record["run"] for record in records}))
    base = alt.Chart().encode(x=x, color=theme.colour(methods), tooltip=_tooltip())
    y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False), axis=axes.heights(share=False))
    stepped = alt.datum.step == True  # noqa: E712
    layers = [
        alt.Chart().mark_rule(color=LIGHT["soft"], strokeDash=[3, 3]).encode(x=x).transform_filter(stepped),
        base.mark_line(strokeWidth=1.5).encode(y=y, strokeDash=theme.dash(methods)),
        base.mark_rule(opacity=0.6).encode(y=alt.Y("low:Q", title=None), y2="high:Q"),
        base.mark_point(filled=True, size=30, opacity=1).encode(y=y),
        base.mark_point(shape="diamond", size=130, strokeWidth=2, filled=False)
        .encode(y=y)
        .transform_filter(stepped),
    ]
    panels = list(dict.fromkeys(record["panel"] for record in records))
    across = min(ACROSS, max(len({one.where for one in own}), 1))
    header = alt.Header(labelLimit=WIDTH, labelFontWeight=600)
    chart: Chart = (
        alt.layer(*layers)
        .properties(width=WIDTH, height=HEIGHT)
        .facet(
            facet=alt.Facet("panel:N", sort=panels, title=None, header=header),
            columns=across,
            data=theme.inline(records),
        )
        .resolve_scale(y="independent")
    )
    words = f"{term} over commits; bars: 95 % for Monte Carlo error; diamonds: steps beyond it"
    return chart.properties(
        title=alt.Title(f"History of {entries[0].study}", subtitle=words),
        description=f"{', '.join(measures)} of {words}.",
    )


def _x(runs: Sequence[str]) -> alt.X:
    """Return the axis of runs, which begin with their dates."""
    axis = alt.Axis(
        labelAngle=-40,
        labelLimit=110,
        labelOverlap="greedy",
        labelExpr="split(datum.label, '|')[1]",
        grid=False,
    )
    return alt.X("run:N", title=None, sort=list(runs), axis=axis)


def _tooltip() -> list[alt.Tooltip]:
    """Return what hovering shows."""
    return [
        alt.Tooltip("estimator:N", title="method"),
        alt.Tooltip("commit:N"),
        alt.Tooltip("date:N"),
        alt.Tooltip("seed:N"),
        alt.Tooltip("value:Q", format=".4~r"),
        alt.Tooltip("mcse:Q", title="MCSE", format=".2~r"),
    ]


def _records(
    entries: Sequence[Entry], steps: Sequence[Step], measures: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Yield a record a run, measure, condition and method: by date within each, as lines are drawn."""
    stepped = {(step.after.run, step.after.series, step.measure) for step in steps}
    for measure in measures:
        for one in sorted(entries, key=lambda one: (one.where, one.date, one.commit, one.seed)):
            value, mcse, _ = one.points[measure].value if measure in one.points else (float("nan"),) * 3
            if value != value:
                continue
            reach = NORMAL * mcse if mcse == mcse else 0.0
            least, most = (0.0, 1.0) if measure in SHARES else (-float("inf"), float("inf"))
            yield {
                "panel": f"{measure_named(measure).label}, {one.where}",
                "run": f"{one.date} {one.seed}|{one.commit}",
                "commit": one.commit,
                "date": one.date[:10],
                "seed": one.seed,
                "estimator": one.method,
                "value": value,
                "mcse": mcse if mcse == mcse else None,
                "low": max(value - reach, least),
                "high": min(value + reach, most),
                "step": (one.run, one.series, measure) in stepped,
            }


def _term(entries: Sequence[Entry], steps: Sequence[Step], asked: str | None) -> str:
    """Return the term that is drawn: the one asked for, or with the most steps, or the last of the model."""
    terms = list(dict.fromkeys(one.term for one in entries))
    if asked is not None:
        return _known("term of the history", (asked,), terms)[0]
    changed = [step.after.term for step in steps]
    plain = [term for term in terms if not term.startswith("(") and term != "Intercept"] or terms
    return max(terms if changed else plain, key=changed.count)


def _measures(
    entries: Sequence[Entry], steps: Sequence[Step], term: str, asked: tuple[str, ...]
) -> list[str]:
    """Return the measures that are drawn: those asked for, or with steps, or the usual ones."""
    there = list(dict.fromkeys(measure for one in entries for measure in one.points))
    if asked:
        return _known("measure of the history", asked, there)
    changed = [step.measure for step in steps if step.after.term == term]
    most = sorted({*changed}, key=lambda name: (-changed.count(name), there.index(name)))[:MOST]
    return most or [name for name in USUAL if name in there] or there[:1]


def _known(kind: str, asked: tuple[str, ...], there: Sequence[str]) -> list[str]:
    """Return what is asked for, or all there is."""
    known = list(dict.fromkeys(there))
    for name in asked:
        if name not in known:
            raise unknown_name(kind, name, known)
    return list(asked) or known

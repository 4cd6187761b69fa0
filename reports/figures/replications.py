"""Figures of single replications: zip plot, SE against estimate, method against method, p-value ECDF.

They show one condition's stored rows, of long runs the first `LONG` replications, thinned evenly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import altair as alt
import numpy as np

from nestbench.estimators.estimates import P_VALUE, STD_ERROR
from nestbench.experiments.results import Results
from nestbench.reports.conditions import conditions
from nestbench.reports.figures.clipping import half_width
from nestbench.reports.figures.drawing import FromReplications
from nestbench.reports.figures.letters import wrapped
from nestbench.reports.figures.records import Record
from nestbench.reports.figures.replication_rows import Chosen, chosen_rows, refuse_unknown_truth, term_of
from nestbench.reports.figures.theme import LIGHT, Chart, colour, dash, inline
from nestbench.reports.figures.titles import titled
from nestbench.reports.measures import statistics as st
from nestbench.reports.measures.cell_rows import LONG
from nestbench.reports.measures.draws import Draws
from nestbench.reports.words.usable import UNDER, too_few
from nestbench.sim.cells.cell import Cell
from nestbench.sim.counted import plural
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Ints

MOST = 1500
"""Replications drawn in a panel."""
SMALL = 230
"""Width of a panel, px."""
ACROSS = 4
"""Panels in a row."""
HEADER = 12
"""Size of a panel's header, px."""


def zip_plot(results: Results, cell: int = 0, term: str | None = None, methods: Sequence[str] = ()) -> Chart:
    """Intervals sorted by how far their estimate lies from the truth, in standard errors (Morris et al. 2019)."""
    chosen = chosen_rows(results, cell, term, methods)
    refuse_unknown_truth(results, chosen, cell, term)
    low, high = _range(chosen)
    records: list[Record] = []
    notes: dict[str, str] = {}
    for label, draws, k in chosen:
        cut = (draws.lower[k] < low) | (draws.upper[k] > high)
        notes[label] = f", {cut.sum():,} cut" if cut.any() else ""
        records += _zipped(label, draws, k, (low, high))
    promised = f"{100 * results.experiment.cells[cell].model.level:g} %"
    lines = [
        "Sorted by |z|: how far the estimate lies from the true value (solid line), in standard errors. Dashed: the "
        f"promised {promised}."
    ]
    if any(notes.values()):
        lines.append("Cut: intervals that reach beyond the picture; arrows stand where they leave it.")
    chart = _zip_layers((low, high))
    head = f"Intervals for {term_of(results, cell, term)}"
    return _by_method(chart, records, _headers(chosen, notes), head, [*_where(results, cell), *lines])


def _range(chosen: Chosen) -> tuple[float, float]:
    """Return the ends of the axis of a zip plot."""
    half = half_width(
        [
            np.maximum(np.abs(draws.lower[k] - draws.truth[k]), np.abs(draws.upper[k] - draws.truth[k]))
            for _, draws, k in chosen
        ]
    )
    if half == 0.0:
        half = max(float(np.abs(draws.estimate[k] - draws.truth[k]).max()) for _, draws, k in chosen) or 1.0
    truths = [
        float(value) for _, draws, k in chosen for value in (draws.truth[k].min(), draws.truth[k].max())
    ]
    half *= 1.0 + 1e-9  # or rounding would cut the interval that ends where the axis does
    return min(truths) - half, max(truths) + half


def _zipped(label: str, draws: Draws, k: int, ends: tuple[float, float]) -> Iterator[Record]:
    """Yield a method's intervals: where each stands, what of it is seen, and which ends are cut."""
    spread = np.where(
        np.isfinite(draws.std_error[k]), draws.std_error[k], 0.5 * (draws.upper[k] - draws.lower[k])
    )
    with np.errstate(invalid="ignore"):
        z = np.abs(draws.estimate[k] - draws.truth[k]) / spread
    # Ranks without ties: intervals at equal |z| get a line each.
    rank = (np.argsort(np.argsort(z, kind="stable"), kind="stable") + 1) / draws.n
    truth = np.broadcast_to(draws.truth[k], draws.n)
    covers = draws.once(st.covers)[k]
    for i in _thinned(draws.n):
        low, high = float(draws.lower[k, i]), float(draws.upper[k, i])
        left, right = min(max(low, ends[0]), ends[1]), max(min(high, ends[1]), ends[0])
        record = {
            "estimator": label,
            "centile": 100.0 * float(rank[i]),
            # JSON has no infinity.
            "low": low if np.isfinite(low) else None,
            "high": high if np.isfinite(high) else None,
            "left": left,
            "right": right,
            "interval": f"{low:.4g} to {high:.4g}",
            "value": float(draws.estimate[k, i]),
            "replication": int(draws.replications[i]),
            "truth": float(truth[i]),
            "promised": 100.0 * draws.level,
            "covers": "covers" if covers[i] else "misses",
        }
        beyond = {"cut_left": ends[0]} if low < ends[0] else {}
        yield record | beyond | ({"cut_right": ends[1]} if high > ends[1] else {})


def _zip_layers(ends: tuple[float, float]) -> Chart:
    """Return the intervals of one method, sorted, by whether they cover."""
    state = alt.Color(
        "covers:N",
        title=None,
        scale=alt.Scale(domain=["covers", "misses"], range=[LIGHT["fair"], LIGHT["bad"]]),
    )
    scale = alt.Scale(domain=list(ends), nice=False, zero=False)
    y = alt.Y("centile:Q", title="Centile of |z|", scale=alt.Scale(domain=[0, 100]))
    tooltip = [
        alt.Tooltip("estimator:N", title="method"),
        alt.Tooltip("replication:Q"),
        alt.Tooltip("value:Q", title="estimate", format=".4~r"),
        alt.Tooltip("interval:N"),
        alt.Tooltip("covers:N", title="truth"),
    ]
    base = alt.Chart().encode(y=y, color=state, tooltip=tooltip)
    x = alt.X("left:Q", title=None, scale=scale)
    arrows = [
        base.mark_point(shape=f"triangle-{side}", filled=True, size=26, opacity=1)
        .transform_filter(f"isValid(datum.cut_{side})")
        .encode(x=alt.X(f"cut_{side}:Q", title=None, scale=scale))
        for side in ("left", "right")
    ]
    truth = (
        alt.Chart().mark_rule(color=LIGHT["ink"]).encode(x=alt.X("mean(truth):Q", title=None, scale=scale))
    )
    promised = alt.Chart().mark_rule(color=LIGHT["soft"], strokeDash=[4, 3]).encode(y="mean(promised):Q")
    rules = base.mark_rule(strokeWidth=0.8).encode(x=x, x2="right:Q")
    return alt.layer(rules, *arrows, truth, promised).properties(width=SMALL, height=260)


def se_against_estimate(
    results: Results, cell: int = 0, term: str | None = None, methods: Sequence[str] = ()
) -> Chart:
    """Standard error against estimate; the dashed line is the empirical standard error."""
    chosen = chosen_rows(results, cell, term, methods, frozenset({STD_ERROR}))
    records: list[Record] = []
    for label, draws, k in chosen:
        spread = float(draws.estimate[k].std(ddof=1)) if draws.n > 1 else None
        records += [
            {
                "estimator": label,
                "estimate": float(draws.estimate[k, i]),
                "se": float(draws.std_error[k, i]),
                "replication": int(draws.replications[i]),
                "empirical": spread,
            }
            for i in _thinned(draws.n)
        ]
    points = (
        alt.Chart()
        .mark_point(size=9, filled=True, opacity=0.5, color=LIGHT["good"])
        .encode(
            x=alt.X("estimate:Q", title=None, scale=alt.Scale(zero=False)),
            y=alt.Y("se:Q", title="Standard error", scale=alt.Scale(zero=True)),
            tooltip=[alt.Tooltip("estimator:N", title="method"), "replication:Q", "estimate:Q", "se:Q"],
        )
    )
    line = alt.Chart().mark_rule(color=LIGHT["ink"], strokeDash=[4, 3]).encode(y="mean(empirical):Q")
    chart = alt.layer(points, line).properties(width=SMALL, height=SMALL)
    head = f"Standard error against estimate of {term_of(results, cell, term)}"
    lines = [*_where(results, cell), "Dashed: the standard deviation of the estimates."]
    return _by_method(chart, records, _headers(chosen), head, lines)


def method_against_method(
    results: Results, cell: int = 0, term: str | None = None, methods: Sequence[str] = ()
) -> Chart:
    """Estimates of each method against the first one's on the same data sets; the line is equality.

    Hover gives the difference.

    What two methods disagree about is seen data set by data set, where a table shows two means that may be equal.
    """
    chosen = chosen_rows(results, cell, term, methods)
    if len(chosen) < 2:
        raise InvalidInput(
            "expected at least two methods that answer for this term, got one; choose another term or more methods"
        )
    first, reference, j = chosen[0]
    records: list[Record] = []
    headers: dict[str, str] = {}
    for label, draws, k in chosen[1:]:
        # Methods fail on different data sets: rows are matched by replication, not by place.
        both, left, right = np.intersect1d(
            reference.replications, draws.replications, assume_unique=True, return_indices=True
        )
        least = min(reference.attempted, draws.attempted)
        headers[label] = _header(label, len(both), attempted=least)
        for i in _thinned(len(both)):
            a, b = float(reference.estimate[j, left[i]]), float(draws.estimate[k, right[i]])
            records.append(
                {"estimator": label, "x": a, "y": b, "difference": b - a, "replication": int(both[i])}
            )
    x = alt.X("x:Q", title=None, scale=alt.Scale(zero=False))
    points = (
        alt.Chart()
        .mark_point(size=9, filled=True, opacity=0.5, color=LIGHT["good"])
        .encode(
            x=x,
            y=alt.Y("y:Q", title=None, scale=alt.Scale(zero=False)),
            tooltip=["estimator:N", "replication:Q", "x:Q", "y:Q", "difference:Q"],
        )
    )
    line = alt.Chart().mark_line(color=LIGHT["soft"], strokeWidth=1).encode(x=x, y="x:Q")
    chart = alt.layer(line, points).properties(width=SMALL, height=SMALL)
    head = f"Estimates of {term_of(results, cell, term)} by each method against those by {first}"
    lines = [*_where(results, cell), f"Across: by {first}; up: by the method named. On the line: equal."]
    return _by_method(chart, records, headers, head, lines)


def p_value_ecdf(
    results: Results, cell: int = 0, term: str | None = None, methods: Sequence[str] = ()
) -> Chart:
    """Empirical distribution of p-values, one line a method; on the diagonal under a true null.

    A test that keeps its size at 5 % may still be wrong at 1 %; the curve shows all sizes at once.
    """
    records: list[Record] = []
    labels, few = [], []
    for label, draws, k in chosen_rows(results, cell, term, methods, frozenset({P_VALUE})):
        labels.append(label)
        if too_few(draws.n, draws.attempted):
            few.append(f"{label} ({draws.n:,} of {draws.attempted:,})")
        p = np.sort(draws.p_value[k])
        records += [
            {"estimator": label, "p": float(p[i]), "share": float((i + 1) / draws.n)}
            for i in _thinned(draws.n)
        ]
    key = alt.Legend(columns=1, orient="right", labelLimit=0)
    lines = (
        alt.Chart(inline(records))
        .mark_line(interpolate="step-after", strokeWidth=1.6)
        .encode(
            x=alt.X("p:Q", title="p-value", scale=alt.Scale(domain=[0, 1])),
            y=alt.Y("share:Q", title="Share of p-values at most p", scale=alt.Scale(domain=[0, 1])),
            color=colour(labels).legend(key),
            strokeDash=dash(labels).legend(key),
            tooltip=["estimator:N", alt.Tooltip("p:Q", format=".3f"), alt.Tooltip("share:Q", format=".3f")],
        )
    )
    ends = inline([{"p": 0.0, "share": 0.0}, {"p": 1.0, "share": 1.0}])
    diagonal = alt.Chart(ends).mark_line(color=LIGHT["soft"], strokeDash=[4, 3]).encode(x="p:Q", y="share:Q")
    name = term_of(results, cell, term)
    head = f"p-values of tests that {name} is {results.experiment.cells[cell].model.null_of(name):.10g}"
    text = [
        *_where(results, cell),
        _whether_null(results.experiment.cells[cell], name),
        "Dashed, grey: where p-values of a true null hypothesis lie.",
    ]
    text += [f"{UNDER[0].upper()}{UNDER[1:]}: {', '.join(few)}."] * bool(few)
    return titled(alt.layer(diagonal, lines).properties(width=420, height=420), head, text, 420)


def _whether_null(cell: Cell, term: str) -> str:
    """Return whether what is tested is true, in words."""
    truth = cell.truth.get(term, np.nan)
    if not np.isfinite(truth).all():
        return "Its true value isn't known."
    if cell.is_null(term):
        return "That is its true value: a share is the type I error of tests of this size."
    of = "which varies from data set to data set" if np.ndim(truth) else f"{float(truth):.10g}"
    return f"Its true value is another, {of}: a share is the power of tests of this size."


def _thinned(n: int) -> Ints:
    """At most MOST positions, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, MOST)).round().astype(np.int64))


def _where(results: Results, cell: int) -> list[str]:
    """Return which data sets are shown: the condition, and where a long run is cut."""
    words = conditions(results.experiment)[cell]
    of = f" First {LONG:,} data sets." if results.experiment.replications > LONG else ""
    return [f"Condition {cell}: {words}.{of}"]


def _header(label: str, n: int, more: str = "", attempted: int = 0) -> str:
    """Return a panel's header: the method, in lines that fit, and its fits; of how many, where few are usable."""
    drawn = f"{MOST:,} of {plural(n, 'fit')}" if n > MOST else plural(n, "fit")
    if too_few(n, attempted):
        drawn += f" usable, of {attempted:,}"
    return "\n".join([*wrapped(label, SMALL, HEADER, bold=True), f"{drawn}{more}"])


def _headers(chosen: Chosen, notes: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what stands above each method's panel."""
    return {
        label: _header(label, draws.n, (notes or {}).get(label, ""), draws.attempted)
        for label, draws, _ in chosen
    }


def _by_method(
    chart: Chart, records: list[Record], headers: Mapping[str, str], head: str, lines: Sequence[str]
) -> Chart:
    """Return one panel a method, under one title."""
    across = min(len(headers), ACROSS)
    values = [record | {"panel": headers[record["estimator"]]} for record in records]
    header = alt.Header(labelExpr="split(datum.label, '\\n')", labelPadding=6)
    facet = alt.Facet("panel:N", title=None, sort=list(headers.values()), header=header)
    panels = chart.facet(facet=facet, columns=across, data=inline(values)).resolve_axis(x="independent")
    return titled(panels, head, lines, across * (SMALL + 50))


ZIP = FromReplications(zip_plot)
SE_ESTIMATE = FromReplications(se_against_estimate)
METHODS = FromReplications(method_against_method)
P_VALUES = FromReplications(p_value_ecdf)

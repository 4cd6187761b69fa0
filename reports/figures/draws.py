"""Figures of single replications: zip plot, SE against estimate, method against method, p-value ECDF.

They show one condition's stored rows, of long runs the first `PART` replications, thinned evenly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import altair as alt
import numpy as np

from nestbench.estimators.estimates import Estimates
from nestbench.experiments.results import Results
from nestbench.reports.figures.rows import Record
from nestbench.reports.figures.theme import LIGHT, Chart, colour, dash, inline
from nestbench.reports.measures import statistics as st
from nestbench.reports.measures.draws import Draws, Truth, draws_of
from nestbench.reports.measures.in_parts import PART, first_piece
from nestbench.reports.words.wording import condition
from nestbench.sim.batch import Ints
from nestbench.sim.errors import InvalidInput, unknown_name

MOST = 1500
SMALL = 230


def zip_plot(results: Results, cell: int = 0, term: str | None = None, methods: Sequence[str] = ()) -> Chart:
    """Intervals sorted by how far their estimate lies from the truth, in standard errors (Morris et al. 2019).

    One panel a method; intervals that miss are coloured, and the dashed line stands where the promised share ends.
    """
    made: list[Record] = []
    for label, draws, k in _chosen(results, cell, term, methods):
        z = np.abs(draws.estimate[k] - draws.truth[k]) / draws.std_error[k]
        rank = (np.argsort(np.argsort(z, kind="stable"), kind="stable") + 1) / draws.n
        truth = np.broadcast_to(draws.truth[k], draws.n)
        covers = draws.once(st.covers)[k]
        made += [
            {
                "estimator": label,
                "centile": 100.0 * float(rank[i]),
                "low": float(draws.lower[k, i]),
                "high": float(draws.upper[k, i]),
                "value": float(draws.estimate[k, i]),
                "replication": int(draws.replications[i]),
                "truth": float(truth[i]),
                "covers": "covers" if covers[i] else "misses",
            }
            for i in _thinned(draws.n)
        ]
    level = results.experiment.cells[cell].model.level
    state = alt.Color(
        "covers:N",
        title=None,
        scale=alt.Scale(domain=["covers", "misses"], range=[LIGHT["fair"], LIGHT["bad"]]),
    )
    base = alt.Chart()
    lines = base.mark_rule(strokeWidth=0.8).encode(
        x=alt.X("low:Q", title=_title(results, cell, term), scale=alt.Scale(zero=False)),
        x2="high:Q",
        y=alt.Y("centile:Q", title="Centile of |z|", scale=alt.Scale(domain=[0, 100])),
        color=state,
        tooltip=["estimator:N", "replication:Q", "value:Q", "low:Q", "high:Q", "covers:N"],
    )
    truth_line = base.mark_rule(color=LIGHT["ink"]).encode(x="mean(truth):Q")
    promised = base.mark_rule(color=LIGHT["soft"], strokeDash=[4, 3]).encode(y=alt.datum(100.0 * level))
    return _by_method(alt.layer(lines, truth_line, promised).properties(width=SMALL, height=260), made)


def se_against_estimate(
    results: Results, cell: int = 0, term: str | None = None, methods: Sequence[str] = ()
) -> Chart:
    """Standard error against estimate; the dashed line is the empirical standard error."""
    made: list[Record] = []
    for label, draws, k in _chosen(results, cell, term, methods):
        spread = float(draws.estimate[k].std(ddof=1)) if draws.n > 1 else None
        made += [
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
            x=alt.X("estimate:Q", title=_title(results, cell, term), scale=alt.Scale(zero=False)),
            y=alt.Y("se:Q", title="Standard error", scale=alt.Scale(zero=True)),
            tooltip=["estimator:N", "replication:Q", "estimate:Q", "se:Q"],
        )
    )
    line = alt.Chart().mark_rule(color=LIGHT["ink"], strokeDash=[4, 3]).encode(y="mean(empirical):Q")
    return _by_method(alt.layer(points, line).properties(width=SMALL, height=SMALL), made)


def method_against_method(
    results: Results, cell: int = 0, term: str | None = None, methods: Sequence[str] = ()
) -> Chart:
    """Estimates of each method against the first one's on the same data sets; the line is equality.

    Hover gives the difference.
    """
    chosen = _chosen(results, cell, term, methods)
    if len(chosen) < 2:
        raise InvalidInput(
            "expected at least two methods that answer for this term, got one; choose another term"
        )
    first, reference, j = chosen[0]
    made: list[Record] = []
    for label, draws, k in chosen[1:]:
        both, left, right = np.intersect1d(
            reference.replications, draws.replications, assume_unique=True, return_indices=True
        )
        for i in _thinned(len(both)):
            a, b = float(reference.estimate[j, left[i]]), float(draws.estimate[k, right[i]])
            made.append(
                {"estimator": label, "x": a, "y": b, "difference": b - a, "replication": int(both[i])}
            )
    x = alt.X("x:Q", title=f"{_title(results, cell, term)} by {first}", scale=alt.Scale(zero=False))
    points = (
        alt.Chart()
        .mark_point(size=9, filled=True, opacity=0.5, color=LIGHT["good"])
        .encode(
            x=x,
            y=alt.Y("y:Q", title="by the other method", scale=alt.Scale(zero=False)),
            tooltip=["estimator:N", "replication:Q", "x:Q", "y:Q", "difference:Q"],
        )
    )
    line = alt.Chart().mark_line(color=LIGHT["ink"], strokeDash=[4, 3]).encode(x=x, y="x:Q")
    return _by_method(alt.layer(points, line).properties(width=SMALL, height=SMALL), made)


def p_value_ecdf(
    results: Results, cell: int = 0, term: str | None = None, methods: Sequence[str] = ()
) -> Chart:
    """Empirical distribution of p-values, one line a method; on the diagonal under a true null."""
    made: list[Record] = []
    labels = []
    for label, draws, k in _chosen(results, cell, term, methods, frozenset({"p_value"})):
        labels.append(label)
        p = np.sort(draws.p_value[k])
        made += [
            {"estimator": label, "p": float(p[i]), "share": float((i + 1) / draws.n)}
            for i in _thinned(draws.n)
        ]
    lines = (
        alt.Chart(inline(made))
        .mark_line(interpolate="step-after", strokeWidth=1.6)
        .encode(
            x=alt.X("p:Q", title=f"p-value, {_title(results, cell, term)}", scale=alt.Scale(domain=[0, 1])),
            y=alt.Y("share:Q", title="Share of p-values at most p", scale=alt.Scale(domain=[0, 1])),
            color=colour(labels),
            strokeDash=dash(labels),
            tooltip=["estimator:N", alt.Tooltip("p:Q", format=".3f"), alt.Tooltip("share:Q", format=".3f")],
        )
    )
    ends = inline([{"p": 0.0, "share": 0.0}, {"p": 1.0, "share": 1.0}])
    diagonal = alt.Chart(ends).mark_line(color=LIGHT["soft"], strokeDash=[4, 3]).encode(x="p:Q", y="share:Q")
    done: Chart = alt.layer(diagonal, lines).properties(width=420, height=420)
    return done


def term_of(results: Results, cell: int, term: str | None) -> str:
    """Return a fixed effect of a cell: the one asked for, or the one with the lowest coverage by any method."""
    stored = dict(first_piece(results, cell).estimates)
    known = list(dict.fromkeys(name for found in stored.values() for name in found.terms))
    if not known:
        raise InvalidInput(
            f"expected stored rows in condition {cell}, got none yet; let the run finish a task first"
        )
    if term is None:
        law = results.experiment.cells[cell]
        lowest = _lowest_coverage(stored.values(), law.truth, law.model.level)
        shown = [name for name in known if name != "Intercept"] or known
        return min(shown, key=lambda name: lowest.get(name, 1.0))
    if term not in known:
        raise unknown_name("term", term, known)
    return term


def _lowest_coverage(stored: Iterable[Estimates], truth: Truth, level: float) -> dict[str, float]:
    lowest: dict[str, float] = {}
    for found in stored:
        for draws in draws_of(found, truth, level, frozenset({"lower", "upper"})):
            if draws.n:
                for name, share in zip(draws.terms, draws.once(st.covers).mean(axis=-1), strict=True):
                    lowest[name] = min(float(share), lowest.get(name, 1.0))
    return lowest


Chosen = list[tuple[str, Draws, int]]


def _chosen(
    results: Results,
    cell: int,
    term: str | None,
    methods: Sequence[str],
    columns: frozenset[str] = frozenset({"lower", "upper"}),
) -> Chosen:
    """Return (method, its draws, the term's row) for the methods asked for that answer for the term."""
    cells = len(results.experiment.cells)
    if not 0 <= cell < cells:
        raise InvalidInput(
            f"expected a condition from 0 to {cells - 1}, got {cell}; nestbench query lists them"
        )
    name = term_of(results, cell, term)
    stored = first_piece(results, cell).estimates
    for method in methods:
        if method not in stored:
            raise unknown_name("method", method, stored)
    law = results.experiment.cells[cell]
    found = [
        (label, draws, draws.terms.index(name))
        for label in (methods or [e.label for e in results.experiment.estimators if e.label in stored])
        for draws in draws_of(stored[label], law.truth, law.model.level, columns)
        if name in draws.terms and draws.n
    ]
    if not found:
        raise InvalidInput(
            f"expected usable rows for '{name}' in condition {cell}, got none; choose another term"
        )
    return found


def _thinned(n: int) -> Ints:
    """At most MOST positions, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, MOST)).round().astype(np.int64))


def _title(results: Results, cell: int, term: str | None) -> str:
    of = f", first {PART:,} replications" if results.experiment.replications > PART else ""
    return f"{term_of(results, cell, term)} with {condition(results.experiment.levels[cell])}{of}"


def _by_method(chart: Chart, made: list[Record]) -> Chart:
    order = list(dict.fromkeys(record["estimator"] for record in made))
    across = min(len(order), 4)
    facet = alt.Facet("estimator:N", title=None, sort=order)
    done: Chart = chart.facet(facet=facet, columns=across, data=inline(made))
    return done

"""Schools against students on the page: designs, those that cost as much as the best, and the closed form, as a figure.

The best design lies where the closed form's curve of equal precision touches the line of equal cost.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import altair as alt
import markupsafe
import numpy as np
from altair.utils.schemapi import debug_mode

from nestbench.advising.pictures import both
from nestbench.reports.figures import theme
from nestbench.reports.figures.theme import CATEGORIES, LIGHT
from nestbench.sizing.formula import needed
from nestbench.sizing.frontier import Frontier, with_design
from nestbench.sizing.question import N_SCHOOLS

WIDTH, HEIGHT = 560, 290
POINTS = 40
BEYOND = 1.15
"""How far lines go beyond the designs, as a factor on students."""


@debug_mode(False)
def figure(frontier: Frontier) -> markupsafe.Markup:
    """Return the designs, the line of equal cost and the closed form; nothing where no design reaches the target."""
    best = frontier.best_row
    if best is None:
        return markupsafe.Markup("")
    rows = [row for row in frontier.table.to_dict("records") if math.isfinite(row["cost"])]
    students = _spread([row["students"] for row in rows])
    x = alt.X(
        "x:Q",
        title="Students a school",
        scale=alt.Scale(domain=[students[0], students[-1]], nice=False),
        axis=alt.Axis(tickCount=8),
    )
    cost, alike = equal_cost(frontier, students), equal_precision(frontier, students)
    numbers = [row["schools"] for row in rows]
    # Not from 0, where the two lines would look like one.
    low, top = 0.95 * min(*numbers, *(schools for _, schools in cost)), 1.05 * max(numbers)
    y = alt.Y("y:Q", title="Schools", scale=alt.Scale(domain=[low, top]), axis=alt.Axis(tickCount=6))
    layers = [
        _line(_below(cost, top), x, y, color=LIGHT["soft"], strokeDash=[5, 3]),
        _line(_below(alike, top), x, y, color=LIGHT["ink"], strokeDash=[1, 3]),
        *_designs(rows, best, frontier.budget is None, x, y),
    ]
    return both(
        alt.layer(*layers).properties(width=WIDTH, height=HEIGHT),
        "Schools against students a school, by design",
    )


def equal_cost(frontier: Frontier, students: list[float]) -> list[tuple[float, float]]:
    """Return (students, schools) of designs that cost what the best one costs, or the budget."""
    best, cost = frontier.best_row, frontier.cost
    assert best is not None
    spent = best["cost"] if frontier.budget is None else frontier.budget
    return [(n, spent / cost.of(1, n)) for n in students]


def equal_precision(frontier: Frontier, students: list[float]) -> list[tuple[float, float]]:
    """Return (students, schools) that reach the target by the closed form, or find the effect that the best design
    finds; empty where there is no closed form.
    """
    question, best = frontier.question, frontier.best_row
    assert best is not None
    if frontier.budget is not None:
        question = replace(question, unknown=N_SCHOOLS, effect=float(best["effect"]))
    found = []
    for n in sorted({round(n) for n in students}):
        asked = with_design(question, {"students": n})
        found.append((float(n), needed(asked, asked.cell(None))))
    return [point for point in found if math.isfinite(point[1])]


def _spread(students: list[float]) -> list[float]:
    """Return numbers of students from below the fewest to beyond the most."""
    return [float(n) for n in np.linspace(max(min(students) / BEYOND, 2.0), BEYOND * max(students), POINTS)]


def _below(points: list[tuple[float, float]], top: float) -> list[tuple[float, float]]:
    return [point for point in points if point[1] <= top]


def _line(points: list[tuple[float, float]], x: alt.X, y: alt.Y, **style: Any) -> Any:
    base = alt.Chart(theme.inline([{"x": n, "y": schools} for n, schools in points]))
    return base.mark_line(strokeWidth=1.4, **style).encode(x=x, y=y)


def _designs(rows: list[dict[Any, Any]], best: dict[str, Any], ranged: bool, x: alt.X, y: alt.Y) -> list[Any]:
    """Return the designs as hollow points, the best filled and named, with the intervals of their schools."""
    records = [
        {
            "x": row["students"],
            "y": row["schools"],
            "low": row["low"] if ranged else row["schools"],
            "high": row["high"] if ranged else row["schools"],
        }
        for row in rows
    ]
    own = [
        {
            "x": best["students"],
            "y": best["schools"],
            "t": f"{best['schools']:g} schools of {best['students']:g}",
        }
    ]
    base, chosen = alt.Chart(theme.inline(records)), alt.Chart(theme.inline(own))
    label = chosen.mark_text(align="left", dx=9, dy=-9, fontWeight=600, color=LIGHT["ink"])
    return [
        base.mark_rule(color=CATEGORIES[0], strokeWidth=1.4).encode(x=x, y=alt.Y("low:Q"), y2="high:Q"),
        base.mark_point(filled=False, size=46, color=CATEGORIES[0], opacity=1).encode(x=x, y=y),
        chosen.mark_point(filled=True, size=80, color=CATEGORIES[0], opacity=1).encode(x=x, y=y),
        label.encode(x=x, y=y, text="t:N"),
    ]

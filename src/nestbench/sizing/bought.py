"""Designs and what they cost, for terminal, notebook and page."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from nestbench.reports import notebook
from nestbench.sim.counted import plural
from nestbench.sizing.frontier import Frontier
from nestbench.sizing.question import EFFECT, HALF_WIDTH
from nestbench.sizing.sentences import number, short
from nestbench.sizing.terminal import WIDTH, columns, filled


def with_words(frontier: Frontier) -> Frontier:
    """Return the designs as terminal and notebook show them."""
    rows, said = rows_of(frontier), verdict(frontier)
    html = notebook.block(notebook.titled(said, ""), notebook.table(rows[0], rows[1:]))
    return replace(frontier, shown=text_of(frontier), html=html)


def text_of(frontier: Frontier, width: int = WIDTH) -> str:
    """Return the designs as lines of at most `width` columns."""
    table = columns(rows_of(frontier))
    if max(map(len, table)) > width:
        table = columns(narrow(rows_of(frontier)))
    return "\n".join([filled(verdict(frontier), width), *table])


SHORT = {"95 % interval": "95 %", "type I error": "type I"}
"""Heads where columns are few."""


def narrow(rows: list[list[str]]) -> list[list[str]]:
    """Return the table with shorter heads; of a budget's without half-widths, which go with the effects."""
    kept = [k for k, head in enumerate(rows[0]) if not (head == "half-width" and "effect" in rows[0])]
    return [[SHORT.get(row[k], row[k]) for k in kept] for row in rows]


def verdict(frontier: Frontier) -> str:
    """Return the best design in a sentence."""
    row, cost, question = frontier.best_row, frontier.cost, frontier.question
    if row is None:
        why = next((text for sizing in frontier.sizings for text in sizing.limits), "")
        return f"Out of reach with any of these designs. {why}".strip()
    design = f"{plural(round(row['schools']), 'school')} of {row['students']:g} students"
    prices = f"{cost.school:g} a school, {cost.student:g} a student"
    if frontier.budget is None:
        return f"Cheapest: {design}, {row['cost']:,.0f} in all ({prices}), by {row['method']}."
    found = f"effects of {row['effect']:.3f} are found with power {short(question.goal)}, by {row['method']}"
    return f"Best for {frontier.budget:,.0f} ({prices}): {design}, {row['cost']:,.0f} in all; {found}."


def paid(frontier: Frontier) -> str:
    """Return what the best design costs, as a sentence of the paragraph for a grant."""
    row, cost = frontier.best_row, frontier.cost
    if row is None:
        return ""
    prices = f"{cost.school:g} a school and {cost.student:g} a student"
    tried = plural(len(frontier.table), "number")
    if frontier.budget is None:
        return f"At {prices} it costs {row['cost']:,.0f}, the least of {tried} of students a school that were compared."
    return (
        f"At {prices} it costs {row['cost']:,.0f}; of {tried} of students a school that a budget of "
        f"{frontier.budget:,.0f} allows this design finds the smallest effect."
    )


def rows_of(frontier: Frontier) -> list[list[str]]:
    """Return the table, its head first: of designs that reach a target, or that a budget buys."""
    question = frontier.question
    wide = question.target == HALF_WIDTH
    head = ["students", "schools", "95 % interval", "cost", "half-width" if wide else "power", "type I error"]
    if frontier.budget is not None:
        # Without the intervals, which the search makes alike: eight columns are more than a terminal holds.
        head = ["students", "schools", "cost", "effect", "half-width", "type I error"]
        head += [] if question.effect is None else [f"power for {question.effect:g}"]
    return [head, *(_cells(frontier, row, wide) for row in frontier.table.to_dict("records"))]


def _cells(frontier: Frontier, row: dict[Any, Any], wide: bool) -> list[str]:
    unknown = frontier.question.unknown
    students, size = f"{row['students']:g}", _percent(row["size"])
    if not row["method"]:
        many = 4 + (frontier.budget is not None and frontier.question.effect is not None)
        return [students, *["-"] * many, "out of reach"]
    ends = f"{number(row['low'], unknown)} to {number(row['high'], unknown)}"
    schools, cost, width = f"{row['schools']:g}", f"{row['cost']:,.0f}", number(row["half_width"], EFFECT)
    if frontier.budget is None:
        return [students, schools, ends, cost, width if wide else _percent(row["power"]), size]
    power = [] if frontier.question.effect is None else [_percent(row["power"])]
    return [students, schools, cost, number(row["effect"], unknown), width, size, *power]


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.1f}"

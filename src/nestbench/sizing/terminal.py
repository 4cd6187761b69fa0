"""The answer on a terminal: eight lines of 80 columns with five methods.

More where the trial's own words take more than a line (classes, several R^2), where the target is out of reach, and in
fewer columns: what was assumed is never left out.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from nestbench.sizing.answer import MethodAnswer, Sizing
from nestbench.sizing.question import HALF_WIDTH
from nestbench.sizing.sentences import answered, assumed, beside, caution, number, standing

WIDTH = 80
NARROW = 74
"""Columns below which the table goes without Monte Carlo errors."""


def text_of(sizing: Sizing, width: int = WIDTH) -> str:
    """Return the answer as lines of at most `width` columns."""
    texts = (
        f"{answered(sizing)} {beside(sizing)}".strip(),
        *sizing.limits,
        *sizing.notes,
        caution(sizing),
        assumed(sizing.question),
    )
    table = table_lines(sizing, width < NARROW)
    if max(map(len, table)) > width:
        table = table_lines(sizing, narrow=True)
    return "\n".join([*(filled(text, width) for text in texts if text), *table])


def filled(text: str, width: int = WIDTH) -> str:
    """Return a text in lines of at most `width` columns."""
    return "\n".join(textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False))


def table_lines(sizing: Sizing, narrow: bool = False) -> list[str]:
    """Return the methods, a line each: answer, power and type I error there."""
    head = heads(sizing.question.unknown, sizing.question.target, narrow)
    return columns([head, *(cells_of(sizing, answer, narrow) for answer in sizing.answers)])


def heads(unknown: str, target: str, narrow: bool = False) -> list[str]:
    """Return the heads of the columns: the target reached stands before the type I error."""
    reached = "half-width" if target == HALF_WIDTH else "power"
    return [
        "",
        unknown,
        "95 %" if narrow else "95 % interval",
        reached,
        "type I" if narrow else "type I error",
        "",
    ]


def cells_of(sizing: Sizing, answer: MethodAnswer, narrow: bool = False) -> list[str]:
    """Return what a line says of a method."""
    question = sizing.question
    unknown = question.unknown
    if math.isnan(answer.value):
        return [answer.method, "-", "-", "-", "-", answer.grade]
    value = number(answer.value, unknown)
    ends = f"{number(answer.low, unknown)} to {number(answer.high, unknown)}"
    if not answer.reached:
        value, ends = "-", "out of reach"
    reached = f"{answer.half_width:.3f}"
    if question.target != HALF_WIDTH:
        reached = percent(answer.power, answer.power_mcse, narrow)
    size = percent(answer.size, answer.size_mcse, narrow)
    return [answer.method, value, ends, reached, size, standing(answer)]


def percent(share: float, error: float, bare: bool = False) -> str:
    """Return a share in percent, with its Monte Carlo error unless it is to stand bare."""
    if math.isnan(share):
        return "-"
    return f"{100 * share:.1f}" if bare else f"{100 * share:.1f} ({100 * error:.1f})"


def columns(cells: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as aligned lines, the first and the last column to the left."""
    widths = [max(len(row[k]) for row in cells) for k in range(len(cells[0]))]
    lines = []
    for row in cells:
        middle = [c.rjust(w) for c, w in zip(row[1:-1], widths[1:-1], strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *middle, row[-1]]).rstrip())
    return lines

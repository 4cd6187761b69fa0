"""The answer on a terminal: eight lines of 80 columns with five methods."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from nestbench.sizing.answer import MethodAnswer, Sizing
from nestbench.sizing.sentences import assumed, closed_line, number, verdict

WIDTH = 80


def text_of(sizing: Sizing) -> str:
    """Return the answer as lines of at most 80 columns."""
    texts = (
        verdict(sizing),
        *sizing.limits,
        *sizing.notes,
        f"{assumed(sizing.question)} {closed_line(sizing)}".strip(),
    )
    return "\n".join([*map(filled, texts), *table_lines(sizing)])


def filled(text: str) -> str:
    """Return a text in lines of 80 columns."""
    return "\n".join(textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False))


def table_lines(sizing: Sizing) -> list[str]:
    """Return the methods, a line each: answer, power and type I error there."""
    head = ["", sizing.question.unknown, "95 % interval", "power", "type I error", ""]
    return columns([head, *(cells_of(sizing, answer) for answer in sizing.answers)])


def cells_of(sizing: Sizing, answer: MethodAnswer) -> list[str]:
    """Return what a line says of a method."""
    unknown = sizing.question.unknown
    if math.isnan(answer.value):
        return [answer.method, "-", "-", "-", "-", answer.grade]
    value = number(answer.value, unknown)
    ends = f"{number(answer.low, unknown)} to {number(answer.high, unknown)}"
    if not answer.reached:
        value, ends = "-", "out of reach"
    return [
        answer.method,
        value,
        ends,
        percent(answer.power, answer.power_mcse),
        percent(answer.size, answer.size_mcse),
        "" if answer.valid else f"not valid ({answer.grade})",
    ]


def percent(share: float, error: float) -> str:
    """Return a share in percent with its Monte Carlo error."""
    return "-" if math.isnan(share) else f"{100 * share:.1f} ({100 * error:.1f})"


def columns(cells: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as aligned lines, the first and the last column to the left."""
    widths = [max(len(row[k]) for row in cells) for k in range(len(cells[0]))]
    lines = []
    for row in cells:
        middle = [c.rjust(w) for c, w in zip(row[1:-1], widths[1:-1], strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *middle, row[-1]]).rstrip())
    return lines

"""Titles of figures that stand alone: what is shown, and in smaller lines below what a reader must know."""

from __future__ import annotations

import re
from collections.abc import Sequence

import altair as alt

from nestbench.reports.figures.theme import Chart, text_width

HEAD, BELOW = 13, 11
"""Sizes of a title and of the lines below it, px."""


def titled(chart: Chart, head: str, lines: Sequence[str], width: float) -> Chart:
    """Return a chart with a title and lines below it, wrapped at the figure's width, px."""
    below = [part for line in lines for part in wrapped(line, width, BELOW)]
    title = alt.TitleParams(
        text=wrapped(head, width, HEAD), subtitle=below, subtitlePadding=4, offset=14, anchor="start"
    )
    return chart.properties(title=title)


def wrapped(text: str, width: float, size: float) -> list[str]:
    """Return text in lines of at most a width, px: broken between words, at hyphens, else in a word."""
    lines = [""]
    for piece in re.findall(r"\s*[^\s-]*-?", text):
        for part in _cut(piece, width, size):
            if text_width((lines[-1] + part).strip(), size) > width and lines[-1]:
                lines.append("")
            lines[-1] = (lines[-1] + part).lstrip()
    return [line.rstrip() for line in lines]


def _cut(piece: str, width: float, size: float) -> list[str]:
    """Return a piece in parts that fit a line."""
    parts = []
    while text_width(piece.strip(), size) > width and len(piece) > 1:
        end = next(
            (i for i in range(len(piece) - 1, 0, -1) if text_width(piece[:i].strip(), size) <= width), 1
        )
        parts.append(piece[:end])
        piece = piece[end:]
    return [*parts, piece]

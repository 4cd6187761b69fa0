"""Small multiples that say which condition they show: one panel a condition, its words above it.

A panel's title belongs to the panel. Crossed facets (rows x columns) have titles at the margins instead, and
Vega-Lite lays panels out one after the other, so a combination without records moves all that follow.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import altair as alt

from nestbench.experiments.experiment import Experiment
from nestbench.reports.conditions import numbered, panel_titles, texts_of_cells, varying
from nestbench.reports.figures.axes import GAP, step
from nestbench.reports.figures.letters import text_width
from nestbench.reports.figures.records import Record
from nestbench.reports.figures.theme import LIGHT, Chart, inline
from nestbench.reports.tokens import parts

PANEL = 200
"""Width of a panel, px."""

LINE, FREE = 15, 1050
"""Height of a title's line, width of a figure that fits a page; px."""

ROWS = 4
"""Rows of panels that one axis below them serves; where there are more, each panel has its own (page.js does alike)."""

TITLE = 12
"""Size of a panel's title, px."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Order of the panels and how many stand side by side."""

    titles: Sequence[str]
    columns: int


def faceted(chart: Chart, marks: list[Record], grid: Grid, width: int = PANEL) -> Chart:
    """Return a chart over records as small multiples by their ``panel``; one panel alone has its title above it.

    The titles before they were broken into lines are kept for the page, which breaks them to its own width.
    """
    if len(grid.titles) < 2:
        alone: Chart = chart.properties(data=inline(marks))
        words = broken("".join(grid.titles), width + GAP // 2)
        title = alt.Title(words, fontSize=TITLE, frame="group", offset=6)
        return alone.properties(title=title) if words else alone
    # Panels are told apart by their titles: two that break to the same lines would become one.
    lines = numbered(broken(title, width + GAP // 2) for title in grid.titles)
    shown = dict(zip(grid.titles, lines, strict=True))
    records = [{**record, "panel": shown[record["panel"]]} for record in marks]
    present = {record["panel"] for record in marks}
    titles = [title for title in grid.titles if title in present]
    facet = alt.Facet(
        "panel:N",
        title=None,
        sort=[shown[title] for title in titles],
        header=alt.Header(labelAnchor="start", labelFontSize=TITLE, labelPadding=4),
    )
    spacing = {"row": GAP // 2, "column": GAP}
    done: Chart = chart.facet(facet=facet, columns=grid.columns, data=inline([]), spacing=spacing)
    if math.ceil(len(titles) / grid.columns) > ROWS:
        done = done.resolve_axis(x="independent")
    done = done.properties(usermeta={"titles": titles})
    # Last: Altair copies a chart with each of its records at every change but that of its properties.
    done.data = inline(records)
    return done


def missing_words() -> Chart:
    """Return the layer that says what is missing in a panel without marks."""
    return (
        alt.Chart()
        .transform_filter("isValid(datum.missing)")
        .mark_text(color=LIGHT["soft"], fontStyle="italic")
        .encode(text="missing:N")
    )


def by_condition(experiment: Experiment, methods: Sequence[str], width: int = PANEL) -> Grid:
    """Return the grid with a panel a condition: levels of a factor stand in line where all are crossed and fit."""
    titles = panel_titles(experiment)
    lines = max((broken(title, width).count("\n") + 1 for title in titles), default=1)
    sizes = sizes_of(experiment)
    return arranged(titles, sizes, len(methods) * step(methods) + lines * LINE + GAP // 2, width)


def sizes_of(experiment: Experiment, without: str | None = None) -> list[int]:
    """Return the numbers of levels of the factors that vary; empty where they aren't fully crossed, first slowest."""
    factors = [factor for factor in varying(experiment) if factor != without]
    texts = texts_of_cells(experiment)
    cells = list(dict.fromkeys(tuple(cell.get(f, "") for f in factors) for cell in texts))
    levels = [list(dict.fromkeys(column)) for column in zip(*cells, strict=True)]
    return [len(names) for names in levels] if cells == list(itertools.product(*levels)) else []


def arranged(titles: Sequence[str], sizes: Sequence[int], height: float, width: float = PANEL) -> Grid:
    """Return the grid whose figure is the least wide and high, all that fits a page being alike.

    Panels of crossed factors (`sizes` levels each, first slowest) keep levels in line: as many columns as the
    first factor has levels, or a divisor of what the last factors have. Else the last row is filled best.

    Parameters
    ----------
    titles : sequence of str
        Of the panels, in order.
    sizes : sequence of int
        Numbers of levels of the factors, slowest first.
    height, width : float
        Of a panel, px.
    """
    n = len(titles)

    def cost(grid: tuple[int, bool]) -> tuple[float, bool, int, int]:
        """Return what a grid is judged by: its longer side, whether factors stand in line, empty places, columns."""
        columns, in_line = grid
        extent = max(math.ceil(n / columns) * height, columns * (width + GAP), FREE)
        return extent, not in_line, -n % columns, -columns

    choices = [(c, True) for c in _in_line(sizes)] + [(c, False) for c in range(min(n, 3), n + 1)]
    columns, in_line = min(choices, key=cost, default=(1, False))
    if in_line and columns == sizes[0] and len(sizes) > 1:
        rest = n // columns
        return Grid([titles[i * rest + j] for j in range(rest) for i in range(columns)], columns)
    return Grid(titles, columns)


def _in_line(sizes: Sequence[int]) -> list[int]:
    """Return the numbers of columns at which a factor's levels stand in line."""
    return sorted({c for c in (*sizes[:1], *_last(sizes)) if c > 1})


def _last(sizes: Sequence[int]) -> set[int]:
    """Divisors of the numbers of levels of the last factor, the last two, ..., that keep the ones after them whole."""
    divisors, whole = set(), 1
    for size in reversed(sizes):
        divisors |= {whole * d for d in range(1, size + 1) if size % d == 0}
        whole *= size
    return divisors


def broken(title: str, width: float, size: float = TITLE, bold: bool = True) -> str:
    """Return a title in lines of at most `width` px: where it has line breaks, else between words, else tokens."""
    whole = title.replace("\n", " ")
    if text_width(whole, size, bold) <= width:
        return whole
    lines: list[str] = []
    for piece in title.split("\n"):
        line = ""
        for word in _words(piece, width, size, bold):
            if line and text_width(f"{line} {word}", size, bold) > width:
                lines.append(line)
                line = word
            else:
                line = f"{line} {word}".strip()
        lines.append(line)
    return "\n".join(_packed(lines, width, size, bold))


def _packed(lines: list[str], width: float, size: float, bold: bool) -> list[str]:
    """Put short lines behind each other where two fit in one."""
    packed: list[str] = []
    for line in lines:
        if packed and text_width(f"{packed[-1]} {line}", size, bold) <= width:
            packed[-1] = f"{packed[-1]} {line}"
        else:
            packed.append(line)
    return packed


def _words(piece: str, width: float, size: float, bold: bool) -> Iterator[str]:
    """Yield the words of a text, long ones cut at their tokens to fit a width."""
    for word in piece.split():
        yield from parts(word, lambda part: text_width(part, size, bold) <= width)

"""Titles of figures that stand alone: what is shown, and in smaller lines below what a reader must know."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from nestbench.reports.figures.letters import wrapped
from nestbench.reports.figures.theme import Chart

HEAD, BELOW = 13, 11
"""Sizes of a title and of the lines below it, px."""


def titled(chart: Chart, head: str, lines: Sequence[str], width: float) -> Chart:
    """Return a chart with a title and lines below it, wrapped at the figure's width, px, which also describe it.

    Parameters
    ----------
    chart : Chart
    head : str
    lines : sequence of str
        What the marks mean.
    width : float
        Of the figure, px.
    """
    below = [part for line in lines for part in wrapped(line, width, BELOW)]
    title = alt.TitleParams(
        text=wrapped(head, width, HEAD, bold=True),
        subtitle=below,
        subtitlePadding=4,
        offset=14,
        anchor="start",
    )
    return chart.properties(
        title=title, description=". ".join([head, *(line.rstrip(".") for line in lines)]) + "."
    )

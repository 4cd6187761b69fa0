"""What a figure says of itself, so that its file needs no page around it: sentences of several, and where words stand.

A figure's words name only what is in it: no bracket where all fits are usable, no theory where the population knows
none.
"""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from nestbench.reports.comparing.biases import SHARE
from nestbench.reports.figures.axes import GAP
from nestbench.reports.figures.theme import Chart
from nestbench.reports.figures.titles import titled

LEAST = 420
"""Width at which words are wrapped at least, px: a panel by itself is narrower than its words."""

INTERVAL = "The line through a dot is its 95 % Monte Carlo interval."
GRADES = (
    "Circle: holds (dark) or seems to hold (light); triangle pointing down: doubtful, to the left: fails, up: perhaps "
    "too wide, to the right: too wide."
)
DIAMOND = "Diamond: off the dashed line beyond Monte Carlo error."
BIASED = f"Diamond: biased; square: a bias is shown, but of at most {SHARE:g} standard errors."
THEORY = "Upright bar: what theory expects, where it knows."
TIMES = "Median (dot) to 90th percentile (line), one dot a condition."


def explained(chart: Chart, head: str, lines: Sequence[str]) -> Chart:
    """Return a figure with its title and the lines below it, as wide as its panels.

    A figure that leaves the page, in a paper or on a slide, has to say itself what its marks are.

    Parameters
    ----------
    chart : Chart
    head : str
    lines : sequence of str
    """
    return titled(_alone(chart), head, lines, max(LEAST, _width(chart)))


def _alone(chart: Chart) -> Chart:
    """Return a chart that may have a title: a panel by itself has its condition's, and keeps it."""
    if isinstance(chart, alt.LayerChart) and chart.title is not alt.Undefined:
        return alt.vconcat(chart)
    return chart


def _width(chart: Chart) -> float:
    """Return how wide the panels of a chart are together, px."""
    if isinstance(chart, alt.FacetChart):
        columns: int = min(chart.columns, len(chart.usermeta["titles"]))
        return columns * (float(chart.spec.width) + GAP)
    return float((chart.vconcat[0] if isinstance(chart, alt.VConcatChart) else chart).width)

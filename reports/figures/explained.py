"""What a figure says of itself, so that its file needs no page around it: measure, term, and the marks drawn.

A figure's words name only what is in it: no bracket where all fits are usable, no theory where the population knows
none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import altair as alt
import pandas as pd

from nestbench.experiments.experiment import Experiment
from nestbench.reports.comparing.biases import SHARE
from nestbench.reports.figures import frontier
from nestbench.reports.figures import records as data
from nestbench.reports.figures.axes import GAP
from nestbench.reports.figures.fits import RUN_TIMES
from nestbench.reports.figures.theme import Chart
from nestbench.reports.figures.titles import titled
from nestbench.reports.frames import rows_of
from nestbench.reports.measures.declared import measure_named
from nestbench.reports.words.usable import opens, too_few

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

Rows = pd.DataFrame
Words = Callable[[Rows, Experiment, str], list[str]]


def _coverage(rows: Rows, experiment: Experiment, measure: str) -> list[str]:
    """Say how to read coverage, and theory's mark only where one is drawn."""
    made = data.with_theory(data.records(rows, experiment, measure), experiment)
    lines = [
        f"Share of intervals that hold the true value. {INTERVAL}",
        f"Dashed: the nominal level; shaded: the tolerated band around it. {GRADES}",
    ]
    return lines + [THEORY] * any("theory" in record for record in made)


def _bias(rows: Rows, experiment: Experiment, measure: str) -> list[str]:
    """Say how to read bias."""
    return [f"Mean error of the estimates. {INTERVAL} Dashed: no bias. {BIASED}"]


def _se_error(rows: Rows, experiment: Experiment, measure: str) -> list[str]:
    """Say how to read the error of standard errors."""
    made = data.with_se_theory(data.records(rows, experiment, measure), experiment)
    lines = [
        "How far the average standard error lies from the spread of the estimates; below 0 it promises too much.",
        f"{INTERVAL} Dashed: no error. {DIAMOND}",
    ]
    return lines + [THEORY] * any("theory" in record for record in made)


def _rejection(rows: Rows, experiment: Experiment, measure: str) -> list[str]:
    """Say which of the panels show size and which power, for the same share is good in the one and bad in the other."""
    pairs = rows[["cell", "term"]].drop_duplicates().itertuples(index=False)
    null = [experiment.cells[int(cell)].is_null(str(term)) for cell, term in pairs]
    size = f"Type I error: the value tested is the true one. Dashed: the nominal size. {GRADES}"
    power = "Power: the value tested isn't the true one. Power of a method whose coverage fails is no merit."
    terms = rows["term"].unique()
    values = sorted({cell.model.null_of(str(term)) for cell in experiment.cells for term in terms})
    what = f"Share of tests of {' or '.join(f'{value:.10g}' for value in values)} with p at most alpha. {INTERVAL}"
    return [what] + [size] * any(null) + [power] * (not all(null))


def _lollipop(rows: Rows, experiment: Experiment, measure: str) -> list[str]:
    """Say from where the stems are drawn."""
    ideal = "the nominal level" if data.promised(experiment, measure) else f"{data.IDEAL.get(measure, 0):g}"
    return [
        f"Stem: from {ideal} (dashed) to the value (dot). In round brackets: its 95 % Monte Carlo interval."
    ]


def _nested(rows: Rows, experiment: Experiment, measure: str) -> list[str]:
    """Say how to read a nested-loop plot."""
    lines = ["One step a condition; its levels stand below, one line a factor. A gap: no number."]
    return lines + ["Dashed, grey: the nominal level."] * bool(data.promised(experiment, measure))


def _power(rows: Rows, experiment: Experiment, measure: str) -> list[str]:
    """Say how to read lines over a factor."""
    return [f"One line a method, broken where it has no number. {INTERVAL}"]


def _frontier(rows: Rows, experiment: Experiment, measure: str) -> list[str]:
    """Say what the two axes are, and what being on the frontier means."""
    return [
        "Up: the distance in the condition where it is largest; across: the median of the conditions' times.",
        frontier.RULE,
        RUN_TIMES,
    ]


def _failures(rows: Rows, experiment: Experiment, measure: str) -> list[str]:
    """Say which statuses count as answers."""
    return ["Share of fits by status other than OK. A fit at the boundary is usable; the others are not."]


def _runtime(rows: Rows, experiment: Experiment, measure: str) -> list[str]:
    """Say where times come from."""
    return [TIMES, RUN_TIMES]


def _runtime_size(rows: Rows, experiment: Experiment, measure: str) -> list[str]:
    """Say where times come from and what the slopes are."""
    slope = "slope: of log time on log students, where it is known."
    return [f"Median of each condition; {slope}", RUN_TIMES]


WORDS: Mapping[str, Words] = {
    "coverage": _coverage,
    "bias": _bias,
    "se-error": _se_error,
    "rejection": _rejection,
    "lollipop": _lollipop,
    "nested-loop": _nested,
    "power": _power,
    "failures": _failures,
    "runtime": _runtime,
    "runtime-size": _runtime_size,
    "frontier": _frontier,
}
HEADS: Mapping[str, str] = {
    "failures": "Fits that were not OK",
    "runtime": "Time of a fit in the run",
    "runtime-size": "Time of a fit in the run, by size of the data",
    "frontier": "Coverage against time for {term}",
}
"""Heads of figures that aren't one measure of a term."""
UPRIGHT = frozenset({"nested-loop", "power", "frontier"})
"""Kinds whose brackets stand around a dot, with a dotted line to the bound."""


def explained(
    chart: Chart,
    kind: str,
    measure: str,
    term: str,
    table: pd.DataFrame,
    experiment: Experiment,
    missing: str = "",
) -> Chart:
    """Return a figure made from the performance table with its head, what is missing, and what its marks say.

    A figure that leaves the page, in a paper or on a slide, has to say itself what its marks are.

    Parameters
    ----------
    chart : Chart
    kind, measure, term : str
    table : DataFrame
        What was drawn.
    experiment : Experiment
    missing : str
        What an unfinished run lacks, in words.
    """
    rows = table[(table["measure"] == measure) & (table["term"] == term)]
    head = HEADS[kind].format(term=term) if kind in HEADS else f"{measure_named(measure).label} for {term}"
    lines = [missing] * bool(missing) + WORDS[kind](rows, experiment, measure)
    if any(too_few(row.n, row.n_attempted) for row in rows_of(rows, ("n", "n_attempted"))):
        lines.append(opens(measure, kind in UPRIGHT))
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

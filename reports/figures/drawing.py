"""The record of a kind of figure, and the way from what is asked of it to the chart.

The table is narrowed to the choice, and nothing is drawn from nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.results import Results
from nestbench.reports.comparing.judged import judged
from nestbench.reports.figures.explained import explained
from nestbench.reports.figures.records import headline_term
from nestbench.reports.figures.theme import Chart
from nestbench.reports.figures.wishes import Wish
from nestbench.reports.frames import rows_of
from nestbench.reports.measures.declared import measure_named
from nestbench.reports.measures.performance import FIT, performance_table
from nestbench.reports.words.missing import missing_data
from nestbench.reports.words.usable import opens, too_few
from nestbench.sim.errors import InvalidInput, unknown_name


@dataclass(frozen=True, slots=True)
class Shown:
    """What a figure made from the performance table shows.

    Attributes
    ----------
    table : DataFrame
        Rows of the conditions and methods chosen, of all measures and terms.
    experiment : Experiment
        Narrowed to the same conditions and methods.
    term, measure : str
        Empty in a figure of whole fits, which has neither.
    """

    table: pd.DataFrame
    experiment: Experiment
    term: str = ""
    measure: str = ""

    @property
    def rows(self) -> pd.DataFrame:
        """Return the rows of the measure and the term."""
        return self.table[(self.table["measure"] == self.measure) & (self.table["term"] == self.term)]


@dataclass(frozen=True, slots=True)
class FromTable:
    """A kind of figure that is made from the performance table.

    Attributes
    ----------
    measure : str
        The measure it shows, by default where one can be chosen; ``share_`` and ``seconds_`` are those of whole fits.
    draw : callable
        `Shown` -> chart.
    words : callable
        `Shown` -> what its marks say, one sentence or more a line; only of marks that are drawn.
    by_term : bool
        Whether it shows a measure of a term, not whole fits.
    head : str
        Its title, where that isn't "measure for term"; ``{term}`` is put in.
    upright : bool
        Whether its brackets stand around a dot, with a dotted line to the bound.
    """

    measure: str
    draw: Callable[[Shown], Chart]
    words: Callable[[Shown], list[str]]
    by_term: bool = True
    head: str = ""
    upright: bool = False

    def chart(self, results: Results, wish: Wish, table: pd.DataFrame | None) -> Chart:
        """Return the chart of choices that `kinds.check` let pass.

        Parameters
        ----------
        results : Results
        wish : Wish
        table : DataFrame, optional
            The performance table, where it is at hand.
        """
        shown = self.shown(results, wish, table)
        return self.explained(self.draw(shown), shown, missing_data(results))

    def shown(self, results: Results, wish: Wish, table: pd.DataFrame | None) -> Shown:
        """Return the rows that are drawn, and refuse to draw none."""
        methods = tuple(dict.fromkeys(wish.methods))
        whole = performance_table(results) if table is None else table
        whole = judged(whole, results.experiment)  # by the whole study, whatever of it is shown
        chosen, experiment = narrowed(whole, results.experiment, wish.cell, methods)
        measure = wish.measure or self.measure
        if not self.by_term:
            refuse_empty(of_fits(chosen, measure), methods, measure)
            return Shown(chosen, experiment, measure=measure)
        shown = Shown(chosen, experiment, term_of(chosen, measure, wish.term), measure)
        refuse_empty(shown.rows, methods, measure, shown.term)
        return shown

    def explained(self, chart: Chart, shown: Shown, missing: str = "") -> Chart:
        """Return a chart with its title, what an unfinished run lacks, in words, and what its marks say."""
        head = self.head.format(term=shown.term) or f"{measure_named(shown.measure).label} for {shown.term}"
        lines = [missing] * bool(missing) + self.words(shown)
        if any(too_few(row.n, row.n_attempted) for row in rows_of(shown.rows, ("n", "n_attempted"))):
            lines.append(opens(shown.measure, self.upright))
        return explained(chart, head, lines)


@dataclass(frozen=True, slots=True)
class FromReplications:
    """A kind of figure that shows single replications of one condition, and explains itself.

    Attributes
    ----------
    draw : callable
        (results, number of the condition, term or None, methods or none) -> chart.
    """

    draw: Callable[[Results, int, str | None, Sequence[str]], Chart]

    def chart(self, results: Results, wish: Wish, table: pd.DataFrame | None = None) -> Chart:
        """Return the chart of a condition, by default the first with stored rows; a table has no use here."""
        cell = first_stored(results) if wish.cell is None else wish.cell
        return self.draw(results, cell, wish.term, tuple(dict.fromkeys(wish.methods)))


def first_stored(results: Results) -> int:
    """Return the first condition with stored rows; 0 where there are none."""
    return next((i for i, counts in enumerate(results.extent().fitted) if any(counts.values())), 0)


def narrowed(
    table: pd.DataFrame, experiment: Experiment, cell: int | None, methods: Sequence[str]
) -> tuple[pd.DataFrame, Experiment]:
    """Return table and experiment with one condition alone (it becomes number 0), with some methods alone.

    Parameters
    ----------
    table : DataFrame
    experiment : Experiment
    cell : int, optional
    methods : sequence of str
        Empty for all.
    """
    if methods:
        kept = tuple(e for e in experiment.estimators if e.label in methods)
        table, experiment = table[table["estimator"].isin(methods)], replace(experiment, estimators=kept)
    if cell is not None:
        table = table[table["cell"] == cell].assign(cell=0)
        experiment = replace(experiment, cells=(experiment.cells[cell],), levels=(experiment.levels[cell],))
    return table.reset_index(drop=True), experiment


def term_of(table: pd.DataFrame, measure: str, term: str | None) -> str:
    """Return the term shown: the one asked for, by default the headline's where it has the measure."""
    rows = table[(table["measure"] == measure) & np.isfinite(table["value"])]
    known = [str(name) for name in rows["term"].unique()]
    if not known:
        there = table[np.isfinite(table["value"])]["measure"].unique()
        others = f"; there are values of {', '.join(map(str, there[:12]))}" if len(there) else ""
        raise InvalidInput(
            f"expected stored values of {measure} for the conditions and methods chosen, got none{others}; "
            "choose others, or let the run finish a task first"
        )
    if term is None:
        first = headline_term(table)
        return first if first in known else next((name for name in known if name[0] != "("), known[0])
    if term not in known:
        raise unknown_name(f"term with {measure}", term, known)
    return term


def of_fits(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return the rows a figure of whole fits is made of: seconds, or the shares of statuses but OK."""
    rows = table[(table["term"] == FIT) & table["measure"].str.startswith(measure)]
    return rows[(rows["measure"] != "share_ok") & (rows["value"] > 0)]


def refuse_empty(rows: pd.DataFrame, methods: Sequence[str], measure: str, term: str = "") -> None:
    """Refuse to draw nothing: no rows at all, or none of a method that was asked for.

    Parameters
    ----------
    rows : DataFrame
        What would be drawn.
    methods : sequence of str
    measure, term : str
        For the message.
    """
    there = set(rows.loc[np.isfinite(rows["value"]), "estimator"])
    absent = [method for method in methods if method not in there]
    of_term = f" for '{term}'" if term else ""
    what = {"share_": "fits with a status other than OK", "seconds_": "stored times"}.get(measure, measure)
    if absent and measure != "share_":  # a method without failures is no gap in a figure of failures
        raise InvalidInput(f"expected {what}{of_term} of {', '.join(absent)}, got none; leave it out")
    if not there:
        raise InvalidInput(f"expected {what}{of_term} to draw, got none")

"""From what is asked of a figure to the chart: the table narrowed to the choice, nothing drawn from nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.results import Results
from nestbench.reports.comparing.judged import judged
from nestbench.reports.figures import curves, fits, lines, nested, panels
from nestbench.reports.figures import frontier as front
from nestbench.reports.figures import replications as draws
from nestbench.reports.figures.explained import explained
from nestbench.reports.figures.records import headline_term
from nestbench.reports.figures.theme import Chart
from nestbench.reports.figures.wishes import TERM, Kind, Wish
from nestbench.reports.measures.performance import FIT, performance_table
from nestbench.reports.words.missing import missing_data
from nestbench.sim.errors import InvalidInput, unknown_name

FROM_TABLE: Mapping[str, Callable[[pd.DataFrame, Experiment, str, str], Chart]] = {
    "coverage": lambda table, e, term, measure: panels.coverage(table, e, term),
    "bias": lambda table, e, term, measure: panels.bias(table, e, term),
    "se-error": lambda table, e, term, measure: panels.se_error(table, e, term),
    "rejection": lambda table, e, term, measure: panels.rejection(table, e, term),
    "lollipop": lambda table, e, term, measure: curves.lollipop(table, e, measure, term),
    "nested-loop": lambda table, e, term, measure: nested.nested_loop(table, e, measure, term),
    "power": lambda table, e, term, measure: lines.power_curves(table, e, measure, term),
    "failures": lambda table, e, term, measure: fits.failures(table, e),
    "runtime": lambda table, e, term, measure: fits.runtime(table, e),
    "runtime-size": lambda table, e, term, measure: curves.runtime_curves(table, e),
    "frontier": lambda table, e, term, measure: front.frontier(table, e, term),
}
FROM_REPLICATIONS: Mapping[str, Callable[[Results, int, str | None, Sequence[str]], Chart]] = {
    "zip": draws.zip_plot,
    "se-estimate": draws.se_against_estimate,
    "methods": draws.method_against_method,
    "p-values": draws.p_value_ecdf,
}


def draw(results: Results, kind: str, declared: Kind, wish: Wish, table: pd.DataFrame | None) -> Chart:
    """Return the chart of a kind, of choices that `kinds.check` let pass.

    Parameters
    ----------
    results : Results
    kind : str
    declared : Kind
        What the kind uses of a wish.
    wish : Wish
    table : DataFrame, optional
        The performance table, where it is at hand.
    """
    methods = tuple(dict.fromkeys(wish.methods))
    if declared.replications:
        cell = first_stored(results) if wish.cell is None else wish.cell
        return FROM_REPLICATIONS[kind](results, cell, wish.term, methods)
    whole = performance_table(results) if table is None else table
    whole = judged(whole, results.experiment)  # by the whole study, whatever of it is shown
    chosen, experiment = narrowed(whole, results.experiment, wish.cell, methods)
    measure = wish.measure or declared.measure
    term = ""
    if TERM in declared.uses:
        term = term_of(chosen, measure, wish.term)
        refuse_empty(
            chosen[(chosen["measure"] == measure) & (chosen["term"] == term)], methods, measure, term
        )
    else:
        refuse_empty(of_fits(chosen, measure), methods, measure)
    chart = FROM_TABLE[kind](chosen, experiment, term, measure)
    return explained(chart, kind, measure, term, chosen, experiment, missing_data(results))


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
        raise InvalidInput(
            f"expected stored values of {measure} for the conditions and methods chosen, got none; "
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

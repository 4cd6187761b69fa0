"""``nestbench read``: results of any simulation study, from a table to a run and its report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nestbench.commands.output import say

EXAMPLES = (
    "nestbench read results.csv --truth 0.5",
    "nestbench read others.csv --estimate b --se se.b",
    "nestbench read wide.csv --estimate ols,gee --truth 0",
    "nestbench read results.parquet --factors n,baseline",
)


def _column(what: str) -> typer.models.OptionInfo:
    """Return the option that names a column."""
    option: typer.models.OptionInfo = typer.Option(help=what, show_default=False, metavar="COLUMN")
    return option


def read(
    data: Annotated[
        Path,
        typer.Argument(
            help="A table with one row a replication and method: CSV, Parquet, .dta, .sav, .xlsx.",
            metavar="TABLE",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Directory of the run (default: runs/NAME).")
    ] = None,
    estimate: Annotated[
        str | None, _column("Estimates; A,B,C or 'est_{method}' where methods stand side by side.")
    ] = None,
    se: Annotated[str | None, _column("Their standard errors.")] = None,
    variance: Annotated[str | None, _column("Their variances, in place of standard errors.")] = None,
    lower: Annotated[str | None, _column("Lower ends of intervals.")] = None,
    upper: Annotated[str | None, _column("Upper ends of intervals.")] = None,
    df: Annotated[str | None, _column("Degrees of freedom.")] = None,
    p: Annotated[str | None, _column("p-values of tests of the null value.")] = None,
    truth: Annotated[
        str | None,
        typer.Option(help="True value: a number, term=number with commas, or a column.", show_default=False),
    ] = None,
    null: Annotated[
        str | None,
        typer.Option(
            help="Value that tests are of: a number, or term=number (default: 0).", show_default=False
        ),
    ] = None,
    method: Annotated[str | None, _column("Methods; several columns with commas.")] = None,
    term: Annotated[str | None, _column("What is estimated, where there are several.")] = None,
    replication: Annotated[str | None, _column("Numbers of the replications.")] = None,
    status: Annotated[str | None, _column("What became of the fit.")] = None,
    message: Annotated[str | None, _column("Why it failed.")] = None,
    usable: Annotated[
        str | None,
        typer.Option(help="Values of the status that mean a usable fit, with commas.", show_default=False),
    ] = None,
    factors: Annotated[
        str | None,
        typer.Option(help="The factors, with commas (default: found among the rest).", show_default=False),
    ] = None,
    ignore: Annotated[
        str | None, typer.Option(help="Columns to leave out, with commas.", show_default=False)
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(help="What {method} stands for, with commas.", show_default=False),
    ] = None,
    terms: Annotated[
        str | None, typer.Option(help="What {term} stands for, with commas.", show_default=False)
    ] = None,
    level: Annotated[float, typer.Option(help="Confidence level of the intervals.")] = 0.95,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Seed of the data sets: results of one seed are compared replication by replication.",
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summary.")] = False,
) -> None:
    """Read the results of any simulation study into a run, and write its report.

    Columns are known by their names or named by options; the others are the factors. What was taken as what, left out
    or made is said, here and in the report. The run is read by report, plot, compare, baseline, check and query. See
    docs/own-results.md.
    """
    from nestbench.commands.run import finish
    from nestbench.own_results.asked import Asked
    from nestbench.own_results.keeping import kept
    from nestbench.own_results.names import ROLES
    from nestbench.own_results.reading import results_of

    # In the order of `ROLES`.
    numbers = (estimate, se, variance, lower, upper, df, p, truth)
    given = dict(zip(ROLES, (*numbers, method, term, replication, status, message), strict=True))
    asked = Asked.of(given, factors, ignore, methods, terms, usable, level=level, seed=seed, null=null)
    results = results_of(data, asked)
    store = kept(results, out)
    for sentence in results.said:
        say(sentence, err=True)
    finish(store, quiet)

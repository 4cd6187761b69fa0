"""``nestbench plot``: one figure of a run as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def plot(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    kind: Annotated[
        str,
        typer.Option(
            "--kind",
            "-k",
            help="coverage, bias, se-error, rejection, zip, nested-loop, lollipop, se-estimate, methods, p-values, "
            "power, runtime, runtime-size, frontier, failures.",
        ),
    ] = "coverage",
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", help="File to write: .svg, .pdf, .png, .html or .json (default: KIND.svg)."
        ),
    ] = None,
    term: Annotated[str | None, typer.Option(help="The term shown.")] = None,
    cell: Annotated[
        int, typer.Option(help="The condition's number, for figures of single replications.")
    ] = 0,
    estimator: Annotated[
        list[str] | None,
        typer.Option("--estimator", "-e", help="A method shown; may be given several times."),
    ] = None,
    measure: Annotated[
        str | None, typer.Option(help="The measure, for nested-loop, lollipop and power.")
    ] = None,
) -> None:
    """Draw one figure of a run."""
    from nestbench.experiments.storing.store import Store
    from nestbench.reports.figures.kinds import Wish, figure
    from nestbench.reports.figures.theme import write_chart

    path = out or Path(f"{kind}.svg")
    write_chart(figure(Store.open(run), kind, Wish(term, cell, tuple(estimator or ()), measure)), path)
    typer.echo(f"Wrote {path}")

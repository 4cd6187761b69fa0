"""``nestbench plot``: one figure of a run as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nestbench.commands import completing
from nestbench.commands.output import say
from nestbench.reports.figures.kinds import CELL, MEASURE, METHODS, TERM, described, used_by

EXAMPLES = (
    "nestbench plot runs/few-schools",
    "nestbench plot runs/few-schools -k zip --condition 1",
    "nestbench plot runs/few-schools -k bias -o bias.png",
)


def plot(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    kind: Annotated[
        str, typer.Option("--kind", "-k", help=described(), autocompletion=completing.kind_of_figure)
    ] = "coverage",
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", help="File to write: .svg, .pdf, .png, .html or .json (default: KIND.svg)."
        ),
    ] = None,
    term: Annotated[
        str | None,
        typer.Option(help=f"The term shown (default: the one with the lowest coverage); {used_by(TERM)}."),
    ] = None,
    cell: Annotated[
        int | None,
        typer.Option("-c", "--condition", "--cell", help=f"The condition's number; {used_by(CELL)}."),
    ] = None,
    estimator: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            "--estimator",
            "-e",
            help=f"A method shown; may be given several times; {used_by(METHODS)}.",
            autocompletion=completing.method,
        ),
    ] = None,
    measure: Annotated[str | None, typer.Option(help=f"The measure shown; {used_by(MEASURE)}.")] = None,
) -> None:
    """Draw one figure of a run."""
    from nestbench.commands.output import say_missing
    from nestbench.experiments.storing.store import Store
    from nestbench.reports.figures.kinds import Wish, figure
    from nestbench.reports.figures.theme import write_chart

    store, path = Store.open(run), out or Path(f"{kind}.svg")
    write_chart(figure(store, kind, Wish(term, cell, tuple(estimator or ()), measure)), path)
    say_missing(store)
    say(f"Wrote {path}")

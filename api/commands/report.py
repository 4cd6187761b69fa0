"""``nestbench report``: the report of a run, again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="The page to write [default: report.html in the run directory]."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summary.")] = False,
) -> None:
    """Write the report of a run, finished or not, and print its summary."""
    from rich.console import Console

    from nestbench.experiments.store import Store
    from nestbench.reports.page import write_report
    from nestbench.reports.performance import performance_table
    from nestbench.reports.summary import print_summary

    store = Store.open(run)
    table = performance_table(store)
    path = write_report(store, out or run / "report.html", run=str(run), table=table)
    if not quiet:
        console = Console()
        print_summary(store, console, table)
        console.print(f"Report: {path}", markup=False, highlight=False, soft_wrap=True)

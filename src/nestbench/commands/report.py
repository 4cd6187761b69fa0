"""``nestbench report``: the report of a run, again, in one or more formats."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = (
    "nestbench report runs/few-schools",
    "nestbench report runs/few-schools --format svg,pdf",
    "nestbench report runs/few-schools --format md -o paper",
)


def report(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="The directory to write into (default: the run directory)."),
    ] = None,
    formats: Annotated[
        str,
        typer.Option(
            "--format", help="Formats with commas between: html, md, latex, csv, parquet, svg, pdf."
        ),
    ] = "html,csv,parquet",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summary.")] = False,
) -> None:
    """Write the report of a run, finished or not, and print its summary."""
    from rich.console import Console

    from nestbench.experiments.storing.store import Store
    from nestbench.reports.exports.write import write_exports
    from nestbench.reports.words.summary import print_summary
    from nestbench.sim.counted import plural

    store = Store.open(run)
    names = [name.strip() for name in formats.split(",") if name.strip()]
    written = write_exports(store, out or run, names, str(run))
    console = Console()
    if not quiet:
        print_summary(store, console, written.table, written.shared, written.said)
    for path in written.files:
        if path.parent.name != "figures":
            console.print(f"Wrote {path}", markup=False, highlight=False, soft_wrap=True)
    figures = sum(path.parent.name == "figures" for path in written.files)
    if figures:
        console.print(
            f"Wrote {plural(figures, 'figure')} into {(out or run) / 'figures'}",
            markup=False,
            highlight=False,
        )

"""``nestbench compare``: two runs of the same conditions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    first: Annotated[Path, typer.Argument(metavar="RUN_A", help="A run directory.")],
    second: Annotated[Path, typer.Argument(metavar="RUN_B", help="Another one.")],
    csv: Annotated[Path | None, typer.Option(help="Also write every comparison to a file.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Print what did not change, too.")] = False,
) -> None:
    """Say what changed beyond Monte Carlo error, paired where both runs saw the same data sets."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from nestbench.commands.output import write_csv
    from nestbench.experiments.storing.store import Store
    from nestbench.reports.comparing.rivals import compare_runs
    from nestbench.reports.words.wording import plural, rounded

    table = compare_runs(Store.open(first), Store.open(second))
    if csv is not None:
        write_csv(table, csv)
    console = Console()
    beyond = int(table["beyond"].sum())
    kind = "the same data sets (paired)" if table["paired"].any() else "different data sets"
    console.print(
        f"{beyond} of {plural(len(table), 'comparison')} beyond Monte Carlo error, on {kind}; about "
        f"{round(0.05 * len(table))} would be by chance where sampling differs.",
        highlight=False,
    )
    shown = table if every else table[table["beyond"]]
    if not len(shown):
        return
    made = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    for name in ("condition", "method", "term", "measure"):
        made.add_column(name, overflow="fold")
    for name in ("A", "B", "change (MCSE)"):
        made.add_column(name, justify="right")
    for row in shown.to_dict("records"):
        words = [escape(str(row[name])) for name in ("condition", "estimator", "term", "measure")]
        made.add_row(*words, f"{row['a']:.4g}", f"{row['b']:.4g}", rounded(row["change"], row["mcse"]))
    console.print(made)

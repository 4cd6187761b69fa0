"""``nestbench replay``: one stored data set, drawn and fitted again.

For a failed or odd fit: the data can be written as CSV and given to any other program.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nestbench.commands import completing
from nestbench.commands.options import Trust
from nestbench.commands.output import say

EXAMPLES = ("nestbench replay runs/few-schools -c 1 --replication 3",)


def replay(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    cell: Annotated[int, typer.Option("-c", "--condition", "--cell", help="Condition of the run, from 0.")],
    replication: Annotated[int, typer.Option(help="Replication of the condition.")],
    estimator: Annotated[
        str | None,
        typer.Option(
            "--method",
            "--estimator",
            help="One method (default: all of the run).",
            autocompletion=completing.method,
        ),
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Also write the data set to a CSV file.")] = None,
    trust: Trust = False,
) -> None:
    """Draw a data set of a run again, fit it again, and compare with what is stored (exit code 1 if different)."""
    from nestbench.commands.output import write_text
    from nestbench.experiments.running.replaying import replay
    from nestbench.experiments.running.trusting import open_with_code
    from nestbench.reports.conditions import where
    from nestbench.sim.observed.as_csv import csv_of_sample

    store = open_with_code(run, trust)
    replays = replay(store, cell, replication, estimator)
    say(f"condition {cell}{where(store.experiment, cell)}, replication {replication}")
    for fit in replays:
        say(f"\n{fit.label} ({fit.engine}): {fit.status.name}; stored row: {fit.verdict}")
        for text in filter(None, fit.estimates.texts()):
            say(f"  {text}")
        table = fit.table()
        if len(table):
            say(table.to_string(float_format="{:.6g}".format))
    if csv is not None:
        write_text(csv_of_sample(store.experiment.data_set(cell, replication)), csv)
    if any(fit.verdict == "different" for fit in replays):
        raise typer.Exit(1)

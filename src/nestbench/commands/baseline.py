"""``nestbench baseline``: the accuracy of a run as a small file.

The file goes into version control; `nestbench check` compares later runs with it, without this run being kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nestbench.commands.output import say

EXAMPLES = ("nestbench baseline runs/few-schools -o accuracy.json",)


def baseline(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The file to write.")] = Path("accuracy.json"),
    replications: Annotated[
        int,
        typer.Option(
            min=0,
            help="Replications per condition and method that are kept, to be compared one by one on the same data "
            "and tested against those of other data: about 8 characters each, and 6 a term.",
        ),
    ] = 1000,
    sample: Annotated[int, typer.Option(min=0, help="Replications whose numbers are kept to be read.")] = 2,
) -> None:
    """Write the accuracy of a run into a file that `nestbench check` compares later runs with."""
    from nestbench.experiments.storing.store import Store
    from nestbench.reports.accuracy.baseline import baseline_of
    from nestbench.reports.accuracy.baseline_file import write_baseline
    from nestbench.sim.counted import plural

    store = Store.open(run)
    accuracy = baseline_of(store, replications, sample)
    write_baseline(accuracy, out)
    pairs = sum(len(cell.estimators) for cell in accuracy.cells)
    say(
        f"{out}: accuracy of '{accuracy.name}' (seed {accuracy.seed}), {plural(len(accuracy.cells), 'condition')}, "
        f"{plural(pairs, 'pair')} of condition and method, {out.stat().st_size / 1000:.0f} kB"
    )
    if missing := len(store.missing()):
        say(
            f"note: the run isn't finished ({plural(missing, 'task')} missing); "
            f"{store.experiment.completed_by(run)} goes on with it",
            err=True,
        )

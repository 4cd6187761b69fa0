"""``nestbench verify``: do the engines agree, and are the stored files whole?

Two questions behind one word, since both are asked before numbers are believed: the first fits some data sets with both
engines, the second reads every stored file against its checksum.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nestbench.commands.options import Trust
from nestbench.commands.output import say

if TYPE_CHECKING:
    from nestbench.experiments.storing.store import Store

EXAMPLES = (
    "nestbench verify runs/few-schools",
    "nestbench verify runs/few-schools --store",
)


def verify(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    store: Annotated[
        bool, typer.Option("--store", help="Check the stored files against their checksums.")
    ] = False,
    replications: Annotated[
        int, typer.Option(min=1, help="Replications of each condition to fit with both engines.")
    ] = 5,
    trust: Trust = False,
) -> None:
    """Fit some replications with both engines and compare; or, with --store, check the stored files (exit code 1)."""
    from nestbench.experiments.running.trusting import open_with_code
    from nestbench.experiments.storing.store import Store

    # Files are checked without the code of the run: whoever doubts it needn't trust it first.
    if check_store(Store.open(run)) if store else check_engines(open_with_code(run, trust), replications):
        raise typer.Exit(1)


def check_store(store: Store) -> bool:
    """Say which stored files are damaged and what makes them again; return whether any is."""
    from nestbench.experiments.storing.verifying import damaged
    from nestbench.sim.counted import plural

    harmed = list(damaged(store.folder, store.entries.values()))
    for entry, wrong in harmed:
        task = entry.task
        say(f"damaged: {wrong} (condition {task.cell}, replications {task.start} to {task.stop - 1})")
    files = sum(len(entry.files) for entry in store.entries.values())
    missing = len(store.missing())
    say(
        f"{plural(files, 'file')} of {plural(len(store.entries), 'finished task')} checked, "
        f"{plural(len(harmed), 'task')} damaged, {missing} missing"
    )
    if harmed or missing:
        say(f"Make them again with: {store.experiment.completed_by(store.folder)}")
    return bool(harmed)


def check_engines(store: Store, replications: int) -> bool:
    """Fit replications of every condition with both engines; return whether any disagree."""
    from nestbench.experiments.running.auditing import audit_run
    from nestbench.sim.counted import plural

    table = audit_run(store.experiment, replications)
    if not len(table):
        say("no method of this run has two engines; nothing to compare")
        return False
    say(table.to_string(index=False, float_format="{:.3g}".format))
    wrong, below = int(table["disagreements"].sum()), int(table["below_grid"].sum())
    say(
        f"{plural(int(table['fits'].sum()), 'fit')} compared, {wrong} disagreeing, worst {table['worst'].max():.2g}"
    )
    if below:
        worst = table["worst_below_grid"].max()
        say(
            f"below another point of a grid of variance parameters: {plural(below, 'fit')}, by up to {worst:.2g}"
        )
    return wrong + below > 0

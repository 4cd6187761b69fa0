"""``nestbench merge``: parts of a run, joined.

What doesn't belong together is refused, what is missing is named: running the joined run makes it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nestbench.commands.output import say

EXAMPLES = ("nestbench merge parts/1 parts/2 -o runs/whole",)


def merge(
    parts: Annotated[list[Path], typer.Argument(help="Directories written with nestbench run --shard.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Directory of the joined run.")],
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summary.")] = False,
) -> None:
    """Join parts of a run: refuse what doesn't belong together, list what is missing, report when nothing is."""
    from nestbench.commands.run import finish
    from nestbench.experiments.running.execute import cores
    from nestbench.experiments.running.precision import judged, remember
    from nestbench.experiments.storing.merging import merge as merge_parts
    from nestbench.experiments.storing.provenance import provenance
    from nestbench.reports.measures.measured_errors import MeasuredErrors
    from nestbench.sim.counted import plural

    store, notes = merge_parts(parts, out, provenance(cores()))
    for note in notes:
        say(note, err=True)
    missing = len(store.missing())
    say(f"in {store.folder}: {len(store.entries)} of {plural(len(store.tasks), 'task')}")
    if missing:
        say(f"Make the other {missing} with: nestbench run {store.folder}")
    else:
        if store.experiment.precision:
            remember(store, judged(store, MeasuredErrors()))
        finish(store, quiet)

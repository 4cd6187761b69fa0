"""``nestbench plan``: what a run will take, before it is started; or an array script for a cluster.

Times come from a short calibration on this machine, so they hold for machines like it; sizes hold everywhere.
"""

from __future__ import annotations

from typing import Annotated

import typer

from nestbench.commands import completing
from nestbench.commands.options import Trust
from nestbench.commands.output import say

EXAMPLES = (
    "nestbench plan my-study.toml --workers 8",
    "nestbench plan my-study.toml --slurm --shards 20",
)


def plan(
    experiment: Annotated[
        str, typer.Argument(help="A catalogue name or a TOML file.", autocompletion=completing.experiments)
    ] = "school-effects",
    replications: Annotated[int | None, typer.Option(help="Replications of each condition.")] = None,
    engine: Annotated[
        str | None, typer.Option(help="auto, reference or batched.", autocompletion=completing.engine)
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes (default: one per core).")] = None,
    slurm: Annotated[bool, typer.Option("--slurm", help="Print an array script for SLURM instead.")] = False,
    shards: Annotated[int, typer.Option(help="Parts of the array script.", min=1)] = 100,
    trust: Trust = False,
) -> None:
    """Show conditions, tasks, expected time and size, from a short calibration on this machine."""
    from nestbench.commands.output import say_data
    from nestbench.experiments.drawing import how_drawn
    from nestbench.experiments.running import warming
    from nestbench.experiments.running.backends import LOCAL
    from nestbench.experiments.running.calibrating import forecast, slurm_script
    from nestbench.experiments.running.execute import compile_all, cores
    from nestbench.experiments.running.progress import Lines
    from nestbench.experiments.running.resolving import resolve
    from nestbench.sim.counted import plural
    from nestbench.sim.errors import InvalidInput

    if workers is not None and workers < 1:
        raise InvalidInput(f"expected workers >= 1, got {workers}; leave it out for one per core")
    resolved = resolve(experiment, {"replications": replications, "engine": engine}, trust)
    say_data(resolved)
    if warming.needed(resolved):
        what = ", ".join(warming.uncompiled(resolved))
        say(f"compiling {what}: once for this version, a minute or so", err=True)
        # Before the calibration, which would time the compiler.
        compile_all(resolved, workers or cores(), LOCAL, Lines())
    costs = forecast(resolved)
    if slurm:
        import shlex

        options = f" --replications {replications}" if replications else ""
        options += f" --engine {engine}" if engine else ""
        folder = f"runs/{resolved.name}-parts"
        say(
            slurm_script(shlex.quote(experiment) + options, shards, sum(costs.seconds) / shards, folder),
            nl=False,
        )
        return
    for cell, levels in enumerate(resolved.levels):
        where = ", ".join(f"{name} = {level}" for name, level in levels.items()) or "the only condition"
        tasks = sum(task.cell == cell for task in costs.tasks)
        drawn = how_drawn(resolved.cells[cell], resolved.estimators, resolved.engine)
        say(
            f"condition {cell}: {where}: {plural(tasks, 'task')}, {_time(costs.cell_seconds(cell))} of one core"
            + f"; {drawn}"
        )
    for cell, text, methods in costs.troubles:
        say(f"condition {cell}, every data set that was tried, {', '.join(methods)}: {text}")
    used = workers or cores()
    say(
        f"{plural(len(resolved.cells), 'condition')}, {plural(len(costs.tasks), 'task')}, {plural(costs.fits, 'fit')}: "
        f"about {_time(costs.wall(used))} with {plural(used, 'worker')}, {_size(costs.size)} stored"
    )


def _time(seconds: float) -> str:
    """Return seconds in the unit in which they read best."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _size(size: float) -> str:
    """Return bytes in the unit in which they read best."""
    for factor, unit in ((1e9, "GB"), (1e6, "MB")):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size / 1e3:.0f} kB"

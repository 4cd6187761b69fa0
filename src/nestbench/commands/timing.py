"""``nestbench time``: what a fit costs, by method, engine, schools and students."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nestbench.commands import completing
from nestbench.commands.options import Trust
from nestbench.commands.output import say

if TYPE_CHECKING:
    from nestbench.experiments.running.fit_times import Timed

EXAMPLES = ("nestbench time few-schools --schools 10,50 --rounds 3",)


def time(
    experiment: Annotated[
        str,
        typer.Argument(
            help="A catalogue name, a TOML file or a run directory: its first condition and methods.",
            autocompletion=completing.experiments,
        ),
    ] = "school-effects",
    schools: Annotated[str, typer.Option(help="Numbers of schools, e.g. 10,50,200.")] = "10,50,200",
    students: Annotated[str, typer.Option(help="Students per school, e.g. 20,100.")] = "20",
    rounds: Annotated[int, typer.Option(help="Timings of each combination; the median counts.")] = 5,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            help="JSON file to write, or the run directory whose report shows the times (default: timing.json, "
            "inside the run directory if one is given).",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON instead of a table.")] = False,
    trust: Trust = False,
) -> None:
    """Time every method in one process on one thread, warmed up and interleaved."""
    from nestbench.commands.output import say_data
    from nestbench.experiments.running import fit_times
    from nestbench.experiments.running.resolving import is_run, resolve
    from nestbench.sim.counted import plural

    chosen = resolve(experiment, trust=trust)
    say_data(chosen)
    path = out or (Path(experiment) if is_run(experiment) else Path(fit_times.FILE))
    path = path / fit_times.FILE if path.is_dir() else path
    timed: list[fit_times.Timed] = []
    for size in fit_times.time_methods(
        chosen, _numbers("schools", schools), _numbers("students", students), rounds
    ):
        timed += size
        say(f"timed {plural(size[0].schools, 'school')} of {size[0].students}", err=True)
    fit_times.save(timed, chosen, path)
    if as_json:
        say(path.read_text(encoding="utf-8"))
        return
    _print(timed)
    say(f"saved: {path}")
    if is_run(path.parent) and path.name == fit_times.FILE:
        say(f"shown by: nestbench report {path.parent}")


def _numbers(name: str, text: str) -> list[int]:
    """Return the whole numbers of a list with commas."""
    from nestbench.sim.errors import InvalidInput

    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise InvalidInput(
            f"expected --{name} as whole numbers with commas, got '{text}'; e.g. 10,50"
        ) from error


def _print(timed: list[Timed]) -> None:
    """Print one line a method, engine and size."""
    from nestbench.experiments.running.fit_times import slopes

    curves = slopes(timed)
    untold = {(t.estimator, t.engine, t.students) for t in timed} - set(curves)
    say(
        f"{'method':34s} {'engine':10s} {'schools':>8s} {'students':>9s} {'per fit':>11s} {'CPU':>11s} "
        f"{'/ floor':>9s} slope"
    )
    for one in sorted(timed, key=lambda t: (t.students, t.estimator, t.engine, t.schools)):
        slope = curves.get((one.estimator, one.engine, one.students))
        say(
            f"{one.estimator:34s} {one.engine:10s} {one.schools:8d} {one.students:9d} "
            f"{1e6 * one.seconds:8.1f} us {1e6 * one.cpu_seconds:8.1f} us "
            f"{one.floors:9.2f} {'' if slope is None else f'{slope:.2f}'}"
        )
    if untold and len({one.schools for one in timed}) > 1:
        say("slope: left out where the rounds differ too much to tell it; time again on an idle machine")

"""``nestbench time``: what a fit costs, by method, engine, schools and students."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nestbench.commands import completing
from nestbench.commands.options import Trust
from nestbench.commands.output import say

if TYPE_CHECKING:
    from nestbench.experiments.experiment import Experiment
    from nestbench.experiments.running.fit_times import Timed

NAME = 21
"""Columns of a method's name."""
EXAMPLES = (
    "nestbench time few-schools --schools 10,50 --rounds 3",
    "nestbench time few-schools --students 20,1000,100000",
)


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
    peers: Annotated[
        bool,
        typer.Option(
            help="Time other packages beside ours where they are installed: data and a mixed model."
        ),
    ] = True,
    trust: Trust = False,
) -> None:
    """Time drawing and every method in one process on one thread, warmed up and interleaved."""
    from nestbench.commands.output import say_data
    from nestbench.experiments.running import fit_times
    from nestbench.experiments.running.resolving import is_run, resolve

    chosen = resolve(experiment, trust=trust)
    say_data(chosen)
    path = out or (Path(experiment) if is_run(experiment) else Path(fit_times.FILE))
    path = path / fit_times.FILE if path.is_dir() else path
    timed, stopped = _timed(
        chosen, _numbers("schools", schools), _numbers("students", students), rounds, peers
    )
    fit_times.save(timed, chosen, path)
    if as_json:
        say(path.read_text(encoding="utf-8"))
    else:
        _print(timed)
        say(f"saved: {path}")
        if is_run(path.parent) and path.name == fit_times.FILE:
            say(f"shown by: nestbench report {path.parent}")
    if stopped:
        raise typer.Exit(130)


def _timed(
    chosen: Experiment, schools: list[int], students: list[int], rounds: int, peers: bool
) -> tuple[list[Timed], bool]:
    """Return what was timed, size after size, and whether the user stopped it: what there is by then is kept."""
    from nestbench.experiments.running.fit_times import time_methods
    from nestbench.experiments.running.peers import PEERS
    from nestbench.sim.counted import plural

    there = [peer for peer in PEERS if peers and peer.installed]
    for peer in PEERS if peers else ():
        if not peer.installed:
            say(f"{peer.name} isn't timed beside: not installed ({peer.how_to_install})", err=True)
    timed: list[Timed] = []
    sizes, total = time_methods(chosen, schools, students, rounds, there), len(schools) * len(students)
    try:
        for number, size in enumerate(sizes, 1):
            timed += size
            say(
                f"timed {plural(size[0].schools, 'school')} of {size[0].students} ({number} of {total})",
                err=True,
            )
    except KeyboardInterrupt:
        if not timed:
            raise
        say("stopped: what was timed is kept", err=True)
        return timed, True
    return timed, False


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
    """Print one line a method, engine and size, in 79 columns, then the slopes and how peers stand."""
    say(
        f"{'method':{NAME}s} {'engine':9s} {'schools':>7s} {'students':>8s} {'per fit':>10s} {'CPU':>10s} "
        f"{'/ floor':>7s}"
    )
    for one in sorted(timed, key=lambda t: (t.estimator, t.engine, t.students, t.schools)):
        say(
            f"{_named(one.estimator)} {one.engine:9s} {one.schools:7d} {one.students:8d} "
            f"{1e6 * one.seconds:7.1f} us {1e6 * one.cpu_seconds:7.1f} us {one.floors:7.3g}"
        )
    _print_slopes(timed)
    for line in _beside(timed):
        say(line)


def _named(name: str) -> str:
    """Return a name as wide as its column; a longer one has a line of its own before it."""
    return f"{name:{NAME}s}" if len(name) <= NAME else f"{name}\n{'':{NAME}s}"


def _print_slopes(timed: list[Timed]) -> None:
    """Print the slopes of the cost curves, by what they go along."""
    from nestbench.experiments.running.fit_times import slopes, student_slopes
    from nestbench.sim.counted import plural

    for along, found, at in (
        ("schools", slopes(timed), "students"),
        ("students", student_slopes(timed), "schools"),
    ):
        sizes = {getattr(one, along) for one in timed}
        if len(sizes) < 2:
            continue
        say(f"\nslope of log time over log {along}, {min(sizes)} to {max(sizes)}")
        for (name, engine, n), slope in found.items():
            say(
                f"{_named(name)} {engine:9s} {slope:7.2f}   ({plural(n, at[:-1])}{' each' if at == 'students' else ''})"
            )
        if len(found) < len({(t.estimator, t.engine, getattr(t, at)) for t in timed}):
            say("left out where there is one size, or rounds differ too much to tell")


def _beside(timed: list[Timed]) -> list[str]:
    """Return how many times as much processor time each peer takes as we do, for data and one mixed model."""
    from nestbench.experiments.running.fit_times import TOGETHER

    ours = {(t.schools, t.students): t.cpu_seconds for t in timed if t.estimator == TOGETHER}
    return [
        f"{t.estimator}: {t.cpu_seconds / ours[t.schools, t.students]:.3g} times our CPU time for data and one "
        f"mixed model,\n  {t.schools} schools of {t.students}"
        for t in timed
        if t.engine == "peer"
    ]

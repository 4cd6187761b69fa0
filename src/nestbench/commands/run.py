"""``nestbench run``: an experiment from file to report.

The same command starts a run, resumes it and extends it: what is stored is never done again, and what is missing is
made. Exit codes: 0 done, 2 input that can't be used, 130 stopped by the user with everything finished kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nestbench.commands import completing
from nestbench.commands.options import Trust
from nestbench.commands.output import say

if TYPE_CHECKING:
    from nestbench.experiments.storing.store import Store

EXAMPLES = (
    "nestbench run",
    "nestbench run few-schools --replications 200",
    "nestbench run my-study.toml -o runs/first --workers 2",
    "nestbench run runs/few-schools",
)


def run(
    experiment: Annotated[
        str,
        typer.Argument(
            help="A catalogue name (nestbench list), a TOML file, or a run directory to go on with.",
            autocompletion=completing.experiments,
        ),
    ] = "school-effects",
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Run directory (default: runs/NAME).")
    ] = None,
    replications: Annotated[int | None, typer.Option(help="Replications of each condition.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the random streams.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes (default: one per core); results don't depend on it.")
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="auto, reference or batched.", autocompletion=completing.engine)
    ] = None,
    estimators: Annotated[
        str | None,
        typer.Option(
            "--methods",
            "--estimators",
            help="Methods instead of the file's, options after colons: ols,ols-wild:draws=9999.",
            autocompletion=completing.methods,
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(help="Only a part of the tasks, e.g. 3/100; join the parts with nestbench merge."),
    ] = None,
    backend: Annotated[str, typer.Option(help="Where to run: loky (this machine) or dask.")] = "loky",
    scheduler: Annotated[
        str | None, typer.Option(help="Address of the Dask scheduler: tcp://HOST:PORT.")
    ] = None,
    trust: Trust = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")] = False,
) -> None:
    """Run an experiment and write its report; a run that was stopped goes on where it was."""
    from nestbench.estimators.methods.choices import choices_of
    from nestbench.experiments.running.backends import Backend
    from nestbench.experiments.running.progress import Quiet, automatic
    from nestbench.experiments.running.start import run_experiment
    from nestbench.reports.measures.measured_errors import MeasuredErrors

    names = None if estimators is None else choices_of(estimators)
    changes: dict[str, Any] = {
        "replications": replications,
        "seed": seed,
        "engine": engine,
        "estimators": names,
    }
    progress = Quiet() if quiet else automatic()
    where = Backend(backend, scheduler)
    # Handed down: what runs an experiment may not know of reports, where the measures are whose errors it is to reach.
    judge = MeasuredErrors()
    store = run_experiment(
        experiment, out, workers, progress, changes, shard=shard, judge=judge, backend=where, trust=trust
    )
    # The report of a part would look like one of the run.
    if store.shard is None:
        finish(store, quiet, workers)
    else:
        part, parts = store.shard
        say(f"part {part} of {parts} is in {store.folder}; join the parts with: nestbench merge PARTS -o RUN")


def finish(store: Store, quiet: bool = False, workers: int | None = None) -> None:
    """Write performance tables and report into the run directory with so many processes; print the summary."""
    from nestbench.reports.comparing.published import print_published, write_published
    from nestbench.reports.page.report import write_report
    from nestbench.reports.page.survey import survey

    seen = survey(store, workers)
    table = seen.table
    write_report(store, store.folder / "report.html", seen=seen)
    write_published(table, store.experiment, store.folder)
    if not quiet:
        from rich.console import Console

        from nestbench.reports.words.summary import print_summary

        console = Console()
        print_summary(store, console, table, seen.shared, seen.verdicts)
        print_published(table, store.experiment, console)
        for line in store.provenance.get("precision", {}).values():
            console.print(line, markup=False, highlight=False)
        console.print(
            f"Report: {store.folder / 'report.html'}", markup=False, highlight=False, soft_wrap=True
        )

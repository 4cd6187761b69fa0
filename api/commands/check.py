"""``nestbench check``: is a run, or the code as it is now, as accurate as a baseline?"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nestbench.experiments.storing.store import Store
    from nestbench.reports.accuracy.baseline import Baseline


class FailOn(StrEnum):
    """Marks that `--fail-on` takes."""

    WORSE = "worse"
    NEW_FAILURE = "new-failure"
    NEW_DF = "new-df"
    CHANGED = "changed"
    NOT_COMPARABLE = "not-comparable"
    BETTER = "better"
    FIXED = "fixed"


def check(
    source: Annotated[
        str | None,
        typer.Argument(
            help="A run directory, or an experiment (TOML file, catalogue name) to run now "
            "(default: run the baseline's own experiment)."
        ),
    ] = None,
    baseline: Annotated[
        Path, typer.Option("--baseline", "-b", help="A file written by nestbench baseline.")
    ] = Path("accuracy.json"),
    seed: Annotated[int | None, typer.Option(help="Seed of a new run: another one means fresh data.")] = None,
    replications: Annotated[
        int | None, typer.Option(help="Replications of a new run (default: as in the baseline).")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Directory of a new run (default: runs/NAME-check-N).")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes of a new run.")] = None,
    margin: Annotated[
        list[str] | None,
        typer.Option(help="MEASURE=SIZE: a change must be larger to matter, e.g. coverage=0.02."),
    ] = None,
    alpha: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="False-alarm rate of the whole check, by tests.")
    ] = 1e-3,
    fail_on: Annotated[
        list[FailOn] | None,
        typer.Option(
            help="Marks that fail the check (default: worse, new-failure, new-df); may be given several times."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown for a pull request.")] = False,
    junit: Annotated[Path | None, typer.Option(help="Also write JUnit XML to a file.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Compare a run with a baseline: exit code 1 if anything is worse, fails that did not, or has another df.

    With the baseline's seed every replication is compared; with another seed, or other versions, differences are tested
    against their Monte Carlo error and must exceed a margin. See docs/accuracy-testing.md.
    """
    from nestbench.experiments.running.start import is_run
    from nestbench.experiments.storing.files import write_atomically
    from nestbench.experiments.storing.store import Store
    from nestbench.reports.accuracy import check_formats as formats
    from nestbench.reports.accuracy.baseline_file import read_baseline
    from nestbench.reports.accuracy.changes import FAILING, Mark
    from nestbench.reports.accuracy.check import check as compare
    from nestbench.sim.errors import InvalidInput

    if json and markdown:
        raise InvalidInput("expected --json or --markdown, got both; ask for one")
    before = read_baseline(baseline)
    margins = dict(_margin(text) for text in margin or ())
    if source is not None and is_run(source):
        if seed is not None or replications is not None or out is not None:
            raise InvalidInput(
                f"{source} is a run: --seed, --replications and -o are for new runs; leave them out"
            )
        store = Store.open(source)
    else:
        store = _new_run(source, before, baseline.parent, seed, replications, out, workers, quiet)
    failing = tuple(Mark(mark.value.replace("-", " ")) for mark in fail_on) if fail_on else FAILING
    outcome = compare(before, store, margins, alpha)
    run = str(store.folder)
    if junit is not None:
        write_atomically(junit, formats.to_junit(outcome, run, failing).encode())
    if json:
        typer.echo(formats.to_json(outcome, failing), nl=False)
    else:
        typer.echo((formats.to_markdown if markdown else formats.to_text)(outcome, run, failing), nl=False)
    if outcome.failing(failing):
        raise typer.Exit(1)


def _new_run(
    source: str | None,
    before: Baseline,
    folder: Path,
    seed: int | None,
    replications: int | None,
    out: Path | None,
    workers: int | None,
    quiet: bool,
) -> Store:
    from dataclasses import replace

    from nestbench.experiments.running.progress import Quiet, automatic
    from nestbench.experiments.running.start import is_run, resolve, run_experiment
    from nestbench.reports.accuracy.baseline_file import experiment_of
    from nestbench.sim.errors import InvalidInput

    asked = {"seed": seed, "replications": replications or before.experiment["replications"]}
    experiment = resolve(source if source is not None else experiment_of(before, folder), asked)
    if source is not None and replications is None:
        experiment = replace(experiment, reference_replications=before.experiment["reference_replications"])
    if out is not None and is_run(out):
        raise InvalidInput(
            f"expected a new directory with -o, got the run {out}; check it with: nestbench check {out}"
        )
    where = out or _unused(experiment.name)
    return run_experiment(replace(experiment, audit=0), where, workers, Quiet() if quiet else automatic())


def _unused(name: str) -> Path:
    """Return the first of runs/NAME-check-1, -2, ... that isn't there: a check never takes numbers made earlier."""
    number = 1
    while (path := Path("runs") / f"{name}-check-{number}").exists():
        number += 1
    return path


def _margin(text: str) -> tuple[str, float]:
    from nestbench.sim.errors import InvalidInput

    name, _, size = text.partition("=")
    try:
        return name.strip(), float(size)
    except ValueError:
        raise InvalidInput(
            f"expected --margin MEASURE=SIZE, got '{text}'; e.g. --margin coverage=0.02"
        ) from None

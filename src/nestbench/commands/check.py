"""``nestbench check``: is a run, or the code as it is now, as accurate as a baseline?

Exit codes: 0 as accurate, 1 something that `--fail-on` names, 2 input that can't be used. A run that was made for the
check is kept only when there is something to look at in it.
"""

from __future__ import annotations

import os
import shlex
import shutil
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

from nestbench.commands import completing
from nestbench.commands.options import Trust
from nestbench.commands.output import say

if TYPE_CHECKING:
    from nestbench.experiments.experiment import Experiment
    from nestbench.experiments.storing.store import Store
    from nestbench.reports.accuracy.baseline import Baseline
    from nestbench.reports.accuracy.changes import Mark
    from nestbench.reports.accuracy.check import Check

EXAMPLES = (
    "nestbench check",
    "nestbench check runs/few-schools --baseline accuracy.json",
    "nestbench check --seed 2 --replications 2000 --markdown",
    "nestbench check --comment comment.md --badge badge.svg",
    "nestbench check --budget 20s -o weekly",
)


class FailOn(StrEnum):
    """Marks that `--fail-on` takes."""

    WORSE = "worse"
    NEW_FAILURE = "new-failure"
    NEW_DF = "new-df"
    CHANGED = "changed"
    MOVED = "moved"
    NOT_COMPARABLE = "not-comparable"
    BETTER = "better"
    FIXED = "fixed"


def check(
    source: Annotated[
        str | None,
        typer.Argument(
            help="A run directory, or an experiment (TOML file, catalogue name) to run now "
            "(default: run the baseline's own experiment).",
            autocompletion=completing.experiments,
        ),
    ] = None,
    baseline: Annotated[
        Path, typer.Option("--baseline", "-b", help="A file written by nestbench baseline.")
    ] = Path("accuracy.json"),
    seed: Annotated[int | None, typer.Option(help="Seed of a new run: another one means fresh data.")] = None,
    replications: Annotated[
        int | None, typer.Option(help="Replications of a new run (default: as in the baseline).")
    ] = None,
    bound: Annotated[
        int | None,
        typer.Option(min=1, help="The same of methods without a fast engine, where the engine is auto."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            help="Keep a new run in this directory (default: kept in runs/checks/NAME if it fails or lists "
            "replications).",
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes of a new run.")] = None,
    margin: Annotated[
        list[str] | None,
        typer.Option(help="MEASURE=SIZE: a change must be larger to matter, e.g. coverage=0.02."),
    ] = None,
    alpha: Annotated[
        float, typer.Option(help="False-alarm rate of the whole check on other data, at least 0.00001.")
    ] = 1e-4,
    fail_on: Annotated[
        list[FailOn] | None,
        typer.Option(
            metavar="MARK",
            help="Mark that fails the check; may be given several times (default: worse, new-failure, new-df and "
            "changed; the others: moved, not-comparable, better, fixed).",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown for a pull request.")] = False,
    junit: Annotated[Path | None, typer.Option(help="Also write JUnit XML to a file.")] = None,
    comment: Annotated[
        Path | None, typer.Option(help="Also write Markdown for nestbench ci comment to a file.")
    ] = None,
    badge: Annotated[
        list[Path] | None, typer.Option(help="Also write a badge: FILE.svg, or FILE.json for shields.io.")
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="Fresh data sets for a time: 30m. With -o, pooled with those of before."),
    ] = None,
    trust: Trust = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Compare a run with a baseline: exit code 1 if anything is worse, changed, fails that did not, or has another df.

    With the baseline's seed every replication is compared, and any that moved fails the check (where an optimiser's
    path decides it, it is listed only). With another seed, or other versions, differences are tested by permuting
    replications and must exceed a margin; the outcome says what would be seen with how many replications. With
    --budget the clock says how many there are, and the outcome is looked at once, when the time is spent. See
    docs/accuracy-testing.md and docs/gate.md.
    """
    from nestbench.experiments.running.resolving import is_run
    from nestbench.experiments.storing.store import Store
    from nestbench.reports.accuracy.baseline_file import read_baseline
    from nestbench.reports.accuracy.changes import FAILING, Mark
    from nestbench.reports.accuracy.check import check as compare
    from nestbench.sim.errors import InvalidInput

    forms = _Forms(json, markdown, junit, comment, tuple(badge or ()))
    forms.require_possible()
    before = read_baseline(baseline)
    margins = dict(_margin(text) for text in margin or ())
    failing = tuple(Mark(mark.value.replace("-", " ")) for mark in fail_on) if fail_on else FAILING
    if source is not None and is_run(source):
        if any(asked is not None for asked in (seed, replications, bound, out, budget)):
            raise InvalidInput(
                f"{source} is a run: --seed, --replications, --bound, --budget and -o are for new "
                "runs; leave them out"
            )
        outcome = compare(before, Store.open(source), margins, alpha)
        where, again = source, _again(source, baseline)
    else:
        if budget is not None and seed is not None:
            raise InvalidInput(
                "expected --budget or --seed, got both; --budget takes a seed that nobody chose"
            )
        asked = {"seed": seed, "replications": replications, "reference_replications": bound}
        experiment = _experiment(source, before, baseline.parent, asked, out, trust)
        with _Place(experiment.name, out) as place:
            store = _run(experiment, place.folder, workers, quiet, budget, before, alpha)
            outcome = compare(before, store, margins, alpha)
            to_keep = bool(outcome.failing(failing)) or any(c.replications for c in outcome.changes)
            below = store.folder.relative_to(place.folder)
            where = str((place.keep() if to_keep else place.folder) / below)
        again = _again(source, baseline, before, store.experiment)
        if to_keep:
            say(f"the run is kept in {where}", err=True)
    forms.write(outcome, where, again, f"runs/checks/{outcome.baseline}", failing)
    if outcome.failing(failing):
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Forms:
    """The forms in which the outcome is wanted: one is printed, others go to files."""

    json: bool
    markdown: bool
    junit: Path | None
    comment: Path | None
    badges: tuple[Path, ...]

    def require_possible(self) -> None:
        """Refuse what can't be written before anything is run."""
        from nestbench.reports.accuracy.badge import require_badge
        from nestbench.sim.errors import InvalidInput

        if self.json and self.markdown:
            raise InvalidInput("expected --json or --markdown, got both; ask for one")
        for file in self.badges:
            require_badge(file)

    def write(self, outcome: Check, run: str, again: str, there: str, failing: tuple[Mark, ...]) -> None:
        """Print the outcome and write its files; `again` leaves its run in `there`, on whatever computer."""
        from nestbench.experiments.files import write_atomically
        from nestbench.reports.accuracy import check_formats as formats
        from nestbench.reports.accuracy.badge import badge
        from nestbench.reports.accuracy.comment import to_comment
        from nestbench.sim.visible import visible

        if self.junit is not None:
            write_atomically(self.junit, formats.to_junit(outcome, run, failing).encode())
        if self.comment is not None:
            write_atomically(self.comment, visible(to_comment(outcome, there, again, failing)).encode())
        for file in self.badges:
            write_atomically(file, badge(outcome, file, failing).encode())
        if self.json:
            typer.echo(formats.to_json(outcome, failing), nl=False)
        else:
            say((formats.to_markdown if self.markdown else formats.to_text)(outcome, run, failing), nl=False)


def _again(
    source: str | None, baseline: Path, before: Baseline | None = None, drawn: Experiment | None = None
) -> str:
    """Return the command that does the same check on another computer: with seed, size and the bound on methods without
    a fast engine where they aren't the baseline's."""
    words = ["nestbench", "check", *([source] if source is not None else []), "--baseline", str(baseline)]
    if before is not None and drawn is not None:
        bound = before.experiment["reference_replications"]
        if (drawn.seed, drawn.replications) != (before.seed, before.experiment["replications"]):
            words += ["--seed", str(drawn.seed), "--replications", str(drawn.replications)]
        if any(drawn.limit(one) != drawn.limit(one, reference=bound) for one in drawn.estimators):
            words += ["--bound", str(drawn.reference_replications)]
    return shlex.join(words)


def _experiment(
    source: str | None,
    before: Baseline,
    folder: Path,
    asked: dict[str, int | None],
    out: Path | None,
    trust: bool,
) -> Experiment:
    """Return the experiment to run: the baseline's own or another source, with what is asked, else the baseline's
    replications and bound on methods without a fast engine, and without audits.

    Audits compare engines, which is another question and takes time.
    """
    from dataclasses import replace

    from nestbench.experiments.running.resolving import is_run, resolve
    from nestbench.reports.accuracy.baseline_file import experiment_of
    from nestbench.sim.errors import InvalidInput

    # A file may bound slow methods otherwise than the baseline did: fewer of their fits would show less.
    usual = {name: before.experiment[name] for name in ("replications", "reference_replications")}
    asked = usual | {name: value for name, value in asked.items() if value is not None}
    origin = source if source is not None else experiment_of(before, folder, trust)
    experiment = resolve(origin, asked, trust)
    if out is not None and is_run(out):
        raise InvalidInput(
            f"expected a new directory with -o, got the run {out}; check it with: nestbench check {out}"
        )
    return replace(experiment, audit=0)


def _run(
    experiment: Experiment,
    folder: Path,
    workers: int | None,
    quiet: bool,
    budget: str | None,
    before: Baseline,
    alpha: float,
) -> Store:
    """Run the experiment in a folder, or in a folder of it as long as a budget lasts."""
    from nestbench.experiments.running.progress import Quiet, automatic
    from nestbench.experiments.running.start import run_experiment

    progress = Quiet() if quiet else automatic()
    if budget is None:
        return run_experiment(experiment, folder, workers, progress)
    from nestbench.gate.budget import seconds_of, spend
    from nestbench.reports.accuracy.baseline import most_compared

    spent = spend(experiment, folder, seconds_of(budget), most_compared(before), workers, progress)
    say(spent.sentence(alpha), err=True)
    return spent.store


class _Place:
    """Where a check's run lives while it is compared: in a directory of its own, beside other checks."""

    def __init__(self, name: str, out: Path | None) -> None:
        self.kept = out or Path("runs") / "checks" / name
        # Two checks at once would share stored tasks; the process id keeps them apart.
        self.folder = out or Path("runs") / "checks" / f"{name}.{os.getpid()}"
        self.asked = out is not None

    def __enter__(self) -> Self:
        if not self.asked:
            shutil.rmtree(self.folder, ignore_errors=True)
        return self

    def keep(self) -> Path:
        """Keep the run, in place of that of the last check that failed, and return where."""
        if not self.asked:
            shutil.rmtree(self.kept, ignore_errors=True)
            self.folder.rename(self.kept)
        return self.kept

    def __exit__(self, *error: object) -> None:
        if not self.asked:
            shutil.rmtree(self.folder, ignore_errors=True)
            with suppress(OSError):  # not empty: the runs of others
                self.folder.parent.rmdir()
                self.folder.parent.parent.rmdir()


def _margin(text: str) -> tuple[str, float]:
    """Return a measure and its margin from ``coverage=0.02``."""
    from nestbench.sim.errors import InvalidInput

    name, _, size = text.partition("=")
    try:
        return name.strip(), float(size)
    except ValueError:
        raise InvalidInput(
            f"expected --margin MEASURE=SIZE, got '{text}'; e.g. --margin coverage=0.02"
        ) from None

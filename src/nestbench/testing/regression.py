"""What a regression test compares, and where its data sets can be seen: a run that can be replayed, or files of
conditions."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.frame_engine import FrameEngine
from nestbench.experiments.running.in_memory import InMemory
from nestbench.experiments.running.resolving import resolve
from nestbench.experiments.running.start import run_experiment
from nestbench.reports.accuracy.baseline_file import experiment_of, read_baseline
from nestbench.reports.accuracy.check import Check
from nestbench.reports.accuracy.check_formats import Replayed
from nestbench.sim.errors import InvalidInput
from nestbench.testing.condition_files import condition_file, name_of, simulate
from nestbench.testing.given import Method, as_estimator


def baseline_file(baseline: str | Path, folder: Path, root: Path) -> Path:
    """Return where a baseline is: beside the test, or where pytest was started (as `nestbench baseline` may be).

    Parameters
    ----------
    baseline : str or Path
    folder : Path
        Of the test.
    root : Path
        Where pytest was started.
    """
    beside, below = folder / baseline, root / baseline
    return below if below.is_file() and not beside.is_file() else beside


def checked_experiment(
    file: Path,
    root: Path,
    on: Experiment | str | Path | None,
    estimators: Sequence[Method] | None,
    seed: int | None,
) -> Experiment:
    """Return the experiment that is compared with a baseline.

    Parameters
    ----------
    file : Path
        The baseline.
    root : Path
        Where it was looked for, too.
    on : Experiment, str, Path or None
        None: the baseline's own.
    estimators : sequence of methods or None
        Instead of its own.
    seed : int or None
        Instead of its own.

    Raises
    ------
    InvalidInput
        Neither experiment nor baseline is there.
    """
    if on is None and not file.is_file():
        places = " and ".join(dict.fromkeys(str(place) for place in (file.parent, root)))
        raise InvalidInput(
            f"expected a baseline '{file.name}', got no such file in {places}; write one with nestbench baseline "
            f"RUN -o {file}, or name the experiment (on=...) and run pytest --nestbench-update once"
        )
    # Trusted as the test itself is, whose code runs already.
    own = experiment_of(read_baseline(file), file.parent, trust=True) if on is None else resolve(on)
    if estimators is not None:
        own = replace(own, estimators=tuple(as_estimator(e) for e in estimators))
    return own if seed is None else replace(own, seed=seed)


def kept_run(results: InMemory, folder: Path, test: str, outcome: Check) -> Replayed:
    """Keep what is needed to see the replications of a failed check, and return how they are seen.

    Methods that another process knows, by name or by a plugin file, are run once more, into a directory for `nestbench
    replay`. A function of a test file is known in this process only: its data sets are written by `nestbench simulate`.
    """
    experiment = results.experiment
    if not any(change.replications for change in outcome.changes):
        return "RUN"
    if all(_known_elsewhere(experiment, i) for i in range(len(experiment.estimators))):
        run = folder / f"{name_of(test)}-{experiment.key[:6]}"
        # A run of the last failure would be resumed, and show the numbers of the code as it was then.
        shutil.rmtree(run, ignore_errors=True)
        run_experiment(replace(experiment, audit=0), run, workers=1)
        return str(run)

    def command(cell: int, replication: int, label: str) -> str:
        """Return the command that draws a data set of a failed check."""
        method = next(e for e in experiment.estimators if e.label == label)
        file = condition_file(method, experiment.cells[cell], experiment.seed, folder, test)
        return simulate(file, replication)

    return command


def _known_elsewhere(experiment: Experiment, place: int) -> bool:
    """Whether a command in another process would know a method: one that a test made lives in the test alone."""
    return bool(experiment.plugins) or not isinstance(experiment.estimators[place].reference, FrameEngine)

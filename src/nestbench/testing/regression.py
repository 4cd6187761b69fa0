"""Where the data sets of a failed regression test can be seen: a run that can be replayed, or files of conditions."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.frame_engine import FrameEngine
from nestbench.experiments.running.in_memory import InMemory
from nestbench.experiments.running.start import run_experiment
from nestbench.reports.accuracy.check import Check
from nestbench.reports.accuracy.check_formats import Replayed
from nestbench.testing.condition_files import condition_file, name_of, simulate


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

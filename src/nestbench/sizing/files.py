"""What an answer leaves on disk: the experiment, its run, and the answer as JSON."""

from __future__ import annotations

from pathlib import Path

from nestbench.experiments.files import write_atomically
from nestbench.experiments.running.progress import Progress
from nestbench.experiments.running.start import run_experiment
from nestbench.sizing.answer import Sizing
from nestbench.sizing.plain import json_of

EXPERIMENT, ANSWER, RUN, DRAWS = "experiment.toml", "size.json", "run", "draws"


def write_sizing(sizing: Sizing, folder: Path, workers: int | None, progress: Progress) -> None:
    """Write ``experiment.toml`` and ``size.json``, and run the experiment into ``run``: power and type I error at the
    answers, each fit stored, to be read and replayed like any other run.
    """
    write_atomically(folder / EXPERIMENT, sizing.toml.encode())
    write_atomically(folder / ANSWER, json_of(sizing).encode())
    run_experiment(folder / EXPERIMENT, folder / RUN, workers, progress)

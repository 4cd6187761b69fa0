"""What an answer leaves on disk: the experiment, its run, and the answer as JSON."""

from __future__ import annotations

from pathlib import Path

from nestbench.experiments.files import write_atomically
from nestbench.experiments.running.progress import Progress
from nestbench.experiments.running.start import run_experiment
from nestbench.sizing.answer import Sizing
from nestbench.sizing.as_json import json_of
from nestbench.sizing.frontier import Frontier

EXPERIMENT, ANSWER, RUN, DRAWS = "experiment.toml", "size.json", "run", "draws"


def write_sizing(found: Sizing | Frontier, folder: Path, workers: int | None, progress: Progress) -> None:
    """Write ``experiment.toml`` and ``size.json``, and run the experiment into ``run``: power and type I error at the
    answers, of several designs the best one's, each fit stored, to be read and replayed like any other run. Where no
    design reaches the target there is ``size.json`` alone.
    """
    write_atomically(folder / ANSWER, json_of(found).encode())
    sizing = found if isinstance(found, Sizing) else found.best
    if sizing is None:
        return
    write_atomically(folder / EXPERIMENT, sizing.toml.encode())
    run_experiment(folder / EXPERIMENT, folder / RUN, workers, progress)

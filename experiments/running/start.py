"""From an experiment to a finished store: the one function behind `nestbench.run` and the command."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.plan import refuse_too_many
from nestbench.experiments.running.backends import LOCAL, Backend
from nestbench.experiments.running.execute import cores, execute
from nestbench.experiments.running.precision import Judge, refine
from nestbench.experiments.running.progress import Progress, Quiet
from nestbench.experiments.running.resolving import Source, is_run, resolve, run_of_copy
from nestbench.experiments.shards import Shard
from nestbench.experiments.storing.manifest import read_manifest
from nestbench.experiments.storing.provenance import provenance
from nestbench.experiments.storing.store import Store, same_experiment
from nestbench.experiments.toml.stored import to_stored
from nestbench.sim.errors import InvalidInput


def folder_for(source: Source, experiment: Experiment, out: str | Path | None) -> Path:
    """Return where a run goes: `out`; the run directory it resumes; or ``runs/NAME``.

    If ``runs/NAME`` holds another experiment, say the same file with another seed, ``runs/NAME-KEY``.
    """
    if out is not None:
        return Path(out)
    if is_run(source) and same_experiment(Path(str(source)), experiment):
        return Path(str(source))
    usual = Path("runs") / experiment.name
    return (
        usual if same_experiment(usual, experiment) else usual.with_name(f"{usual.name}-{experiment.key[:8]}")
    )


IDENTITY = {
    "cells": "conditions",
    "estimators": "methods",
    "seed": "seed",
    "engine": "engine",
    "plugins": "plugins",
    "fit_timeout": "time limit",
    "fit_memory": "memory limit",
}
"""What decides stored numbers, in words: see `Experiment.key`."""


def _why_elsewhere(folder: Path, experiment: Experiment) -> str:
    """Return why a run doesn't go where its name says."""
    usual = folder.with_name(experiment.name)
    there, here = (read_manifest(usual) or {}).get("experiment", {}), to_stored(experiment)
    differ = [words for key, words in IDENTITY.items() if there.get(key) != here[key]]
    if there.get("cells") != here["cells"] and _unversioned(there) == _unversioned(here):
        differ[differ.index("conditions")] = "ways of drawing data sets (population.version)"
    other = " and ".join(differ) or "versions of its methods or populations"
    return f"{usual} holds a run with other {other}; this one goes to {folder}"


def _unversioned(stored: Mapping[str, Any]) -> list[Any]:
    """Return the conditions of a stored experiment without the version of their population."""
    cells = [dict(cell) for cell in stored.get("cells", ()) if isinstance(cell, Mapping)]
    for cell in cells:
        law = cell.get("population")
        cell["population"] = (
            {k: v for k, v in law.items() if k != "version"} if isinstance(law, Mapping) else law
        )
    return cells


def run_experiment(
    source: Source,
    out: str | Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    changes: Mapping[str, Any] | None = None,
    block: int | None = None,
    shard: str | None = None,
    judge: Judge | None = None,
    backend: Backend = LOCAL,
    trust: bool = False,
) -> Store:
    """Run what is missing of an experiment in its directory, and return the finished store.

    Parameters
    ----------
    source : Experiment, str or Path
        An experiment, a catalogue name, a TOML file, or a run directory to resume.
    out : str or Path
        The run directory; see `folder_for`.
    workers : int
        Processes; the results don't depend on it.
    progress : Progress
        Hears of stored tasks.
    changes : mapping
        See `resolve`.
    block : int
        Replications per task; the results don't depend on it.
    shard : str
        ``3/100``: only that part of the tasks, to be joined with `merging.merge`.
    judge : Judge
        Knows Monte Carlo errors, for an experiment with ``[precision]``.
    backend : Backend
        Where the work is done.
    trust : bool
        Run plugins of a run directory that this user never named, too.
    """
    if workers is not None and workers < 1:
        raise InvalidInput(f"expected workers >= 1, got {workers}; leave it out for one per core")
    progress = progress or Quiet()
    source = run_of_copy(source)
    experiment = resolve(source, changes, trust)
    for words in experiment.data_messages:
        progress.note(f"data: {words}")
    folder = folder_for(source, experiment, out)
    if out is None and folder.name != experiment.name and not is_run(source):
        progress.note(_why_elsewhere(folder, experiment))
    part = Shard.parse(shard) if shard is not None else None
    if part is not None and out is None and not is_run(source):
        folder = folder.with_name(f"{folder.name}.part-{part.index}-of-{part.count}")
    # Before the directory is made: nothing is left behind by what can't be run.
    refuse_too_many(experiment, block)
    whose = (part.index, part.count) if part is not None else None
    store = Store.create(folder, experiment, provenance(workers or cores()), block, whose)
    reached = min(store.rounds[-1].replications)
    if reached > experiment.replications and not experiment.precision:
        progress.note(
            f"{folder} has {reached} replications of each condition already, more than the "
            f"{experiment.replications} asked for: nothing is taken away"
        )
    for name, versions in store.provenance.get("versions mixed", {}).items():
        progress.note(f"this run's rows come from several versions of {name}: {versions}")
    try:
        if experiment.precision and judge:
            judge.check(experiment)
            refine(store, judge, workers, progress, backend)
        else:
            execute(store, workers, progress, backend)
    finally:
        store.release()
    return store

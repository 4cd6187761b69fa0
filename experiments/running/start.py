"""From an experiment to a finished store: the one function behind `nestbench.run` and the command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nestbench.estimators.methods import registry
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.plan import MOST_REPLICATIONS, refuse_too_many
from nestbench.experiments.running.backends import LOCAL, Backend
from nestbench.experiments.running.execute import cores, execute
from nestbench.experiments.running.precision import Judge, refine
from nestbench.experiments.running.progress import Progress, Quiet
from nestbench.experiments.running.trusting import open_with_code
from nestbench.experiments.shards import Shard
from nestbench.experiments.storing.manifest import MANIFEST, read_manifest
from nestbench.experiments.storing.provenance import provenance
from nestbench.experiments.storing.store import Store, same_experiment
from nestbench.experiments.toml.reading import is_file, read_experiment
from nestbench.experiments.toml.stored import to_stored
from nestbench.sim.errors import InvalidInput

Source = Experiment | str | Path


def resolve(source: Source, changes: Mapping[str, Any] | None = None, trust: bool = False) -> Experiment:
    """Return an experiment: as given, of a catalogue name, a TOML file, or a run directory; with changes made.

    Parameters
    ----------
    source : Experiment, str or Path
    changes : mapping, optional
        Keys of ``[experiment]``: replications, seed, engine, estimators (names or tables); None changes nothing.
    trust : bool
        Let plugins of a run directory run that this user never named: a run that was sent by mail brings code.

    Raises
    ------
    InvalidInput
        No such experiment, a change that it can't take, no method or the same method twice, an engine that a method
        lacks.
    """
    asked = {key: value for key, value in (changes or {}).items() if value is not None}
    source = run_of_copy(source)
    # A run brings its code along: whether that may run is asked before anything of it is read as an
    # experiment.
    if is_run(source):
        source = _of_run(open_with_code(str(source), trust))
    if not isinstance(source, Experiment):
        return read_experiment(source, asked)
    if "estimators" in asked:
        asked["estimators"] = tuple(registry.get(choice) for choice in asked["estimators"])
        labels = [estimator.label for estimator in asked["estimators"]]
        again = next((label for label in labels if labels.count(label) > 1), None)
        if again is not None or not labels:
            got = f"'{again}' {labels.count(again)} times" if again else "none"
            raise InvalidInput(f"expected each method once, got {got}; name each method once")
    if not 1 <= asked.get("replications", 1) <= MOST_REPLICATIONS:
        raise InvalidInput(
            f"expected replications >= 1 and at most {MOST_REPLICATIONS}, got {asked['replications']}"
        )
    changed = replace(source, **asked)
    for estimator in changed.estimators:
        estimator.engine(changed.engine)
    return changed


def run_of_copy(source: Source) -> Source:
    """Return the run directory for the copy of its TOML in it, if nobody changed that; anything else as it is.

    The copy alone is another experiment: it lacks what was set on the command line, and the files it names are
    relative to where it came from.
    """
    if isinstance(source, Experiment) or Path(source).name != "experiment.toml" or not is_file(Path(source)):
        return source
    if not is_run(Path(source).parent):
        return source
    kept = (read_manifest(Path(source).parent) or {}).get("experiment", {}).get("source")
    return Path(source).parent if kept == Path(source).read_text("utf-8", "replace") else source


def _of_run(store: Store) -> Experiment:
    """Return the experiment of a run; with a wanted precision as it started, not as far as its conditions came."""
    experiment = store.experiment
    return (
        replace(experiment, replications=min(store.rounds[0].replications))
        if experiment.precision
        else experiment
    )


def is_run(source: Source) -> bool:
    """Whether a source is the directory of a run."""
    return isinstance(source, (str, Path)) and is_file(Path(source) / MANIFEST)


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
    other = " and ".join(differ) or "versions of its methods or populations"
    return f"{usual} holds a run with other {other}; this one goes to {folder}"


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

"""What a worker does with a task: draw, fit, and return files; it touches neither disk nor shared state."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import cloudpickle
import numpy as np

from nestbench.estimators.estimates import STORED_COLUMNS, Estimates, FitStatus
from nestbench.estimators.estimator import Estimator
from nestbench.experiments import plugins
from nestbench.experiments.drawing import held
from nestbench.experiments.experiment import Experiment, Plugin
from nestbench.experiments.plan import Task
from nestbench.experiments.running import auditing
from nestbench.experiments.running.guarding import NO_LIMITS, Limits, fit_guarded
from nestbench.experiments.running.oracle import with_truth
from nestbench.experiments.running.repeating import differing, to_repeat
from nestbench.experiments.running.timekeeping import fit_timed, untimed
from nestbench.experiments.running.workers import ignore_interrupts, one_thread
from nestbench.experiments.storing import encoding
from nestbench.experiments.storing.outcome import File, Outcome
from nestbench.sim.cells.cell import Cell
from nestbench.sim.errors import NestbenchError
from nestbench.sim.laws.registry import known_laws
from nestbench.sim.observed.batch import Batch
from nestbench.sim.user_code import in_words, user_code

BATCH_NUMBERS = 1_000_000
"""Numbers drawn at once (8 MB): what bounds a worker's memory whatever the size of its task."""


@dataclass(frozen=True, slots=True)
class Work:
    """A task with all a worker needs: the pickled condition and methods, readable once the plugins are loaded, and the
    process it comes from (`home`)."""

    task: Task
    seed: int
    engine: str
    plugins: tuple[Plugin, ...]
    blob: bytes
    home: int
    limits: Limits = NO_LIMITS
    guarded: bool = False

    @classmethod
    def of(
        cls,
        experiment: Experiment,
        task: Task,
        guarded: bool = False,
        known: dict[object, bytes] | None = None,
    ) -> Work:
        """Return the work of a task of an experiment; `guarded` fits are made in child processes.

        `known` keeps what was pickled for the tasks before: functions pickled by value have cloudpickle look through
        all modules that are loaded, 0.1 s for a score of methods.
        """
        known = {} if known is None else known
        cell, own = experiment.cells[task.cell], tuple(experiment.estimators[i] for i in task.estimators)
        methods = with_truth(own, cell)
        # The same in every condition, but for those that are told its truth.
        everywhere = all(told is asked for told, asked in zip(methods, own, strict=True))
        parts = {task.cell: cell, (None if everywhere else task.cell, task.estimators): methods}
        # Apart from the rest, since what a plugin defines can't be unpickled before the plugin is loaded.
        blob = pickle.dumps([_pickled(key, part, known) for key, part in parts.items()])
        limits = Limits(experiment.fit_timeout, experiment.fit_memory)
        return cls(
            task,
            experiment.seed,
            experiment.engine,
            experiment.plugins,
            blob,
            home=os.getpid(),
            limits=limits,
            guarded=guarded or bool(limits),
        )

    def open(self) -> tuple[Cell, tuple[Estimator, ...]]:
        """Load what installed packages offer and the plugins, then return condition and methods."""
        known_laws()
        for plugin in self.plugins:
            plugins.load_plugin(plugin)
        cell, estimators = map(pickle.loads, pickle.loads(self.blob))
        return cell, estimators


def _pickled(key: object, part: object, known: dict[object, bytes]) -> bytes:
    """Return something pickled, once a key."""
    if key not in known:
        # Not pickle: methods made in a notebook or a test live in no module that a worker could import.
        known[key] = cloudpickle.dumps(part)
    return known[key]


class TaskError(NestbenchError):
    """A method or population raised where none may: a defect in it, not in the data."""

    exit_code = 1


def perform(work: Work) -> Outcome:
    """Do a task. Inner thread pools are held to one thread: a worker is one core's worth."""
    ignore_interrupts(work.home)
    started = time.perf_counter()
    cell, estimators = work.open()
    with one_thread():
        if work.task.audit:
            rows = auditing.audit(cell, work.seed, work.task, estimators)
            report = File.of(f"{work.task.key}.parquet", encoding.encode_audit(rows))
            return Outcome(work.task, (report,), 0, 0, time.perf_counter() - started)
        limits = work.limits if work.guarded else None
        fits = fit_all(
            cell, work.seed, range(work.task.start, work.task.stop), estimators, work.engine, limits
        )
        optima = (
            []
            if work.engine == "reference"
            else auditing.against_optimum(cell, work.seed, work.task, estimators, fits)
        )
        seconds = time.perf_counter() - started
        # After the clock was read: what is fitted again belongs to no method's costs.
        repeated = to_repeat(work.task, estimators, fits)
        first = range(work.task.start, work.task.start + 1)
        again = fit_all(cell, work.seed, first, repeated, work.engine, limits) if repeated else {}
    engines = {e.label: e.engine_name(work.engine) for e in estimators}
    unusable = sum(int((e.status > FitStatus.BOUNDARY).sum()) for e in fits.values())
    name = f"{work.task.key.removeprefix('fits')}.parquet"
    files = [
        File.of(f"fits{name}", encoding.encode_estimates(fits)),
        File.of(f"times{name}", encoding.encode_times(fits, engines)),
    ]
    if optima:
        files.append(File.of(f"optima{name}", encoding.encode_audit(optima)))
    spent = tuple(_all_seconds(fits[e.label]) for e in estimators)
    unrepeatable = differing(repeated, fits, again)
    return Outcome(work.task, tuple(files), work.task.fits, unusable, seconds, spent, unrepeatable)


def _all_seconds(fits: Estimates) -> float:
    """Return the seconds of all fits, those that weren't timed at the mean of the others; 0 if none was."""
    timed = fits.seconds[np.isfinite(fits.seconds)]
    return float(timed.mean()) * fits.size if timed.size else 0.0


def fit_all(
    cell: Cell,
    seed: int,
    replications: range,
    estimators: tuple[Estimator, ...],
    engine: str,
    limits: Limits | None = None,
    rows: int | None = None,
) -> Mapping[str, Estimates]:
    """Return the estimates of some replications by label, drawn and fitted in batches of bounded memory; in child
    processes if there are `limits`.

    Parameters
    ----------
    cell : Cell
    seed : int
    replications : range
    estimators : tuple of Estimator
    engine : str
    limits : Limits, optional
    rows : int, optional
        Rows that a data set takes in memory (default: `held`); a caller that bounds its replications itself says 1.

    Returns
    -------
    mapping of str to Estimates
        By label, each with all the replications; batches are joined, and where they were cut can't be seen.
    """
    parts: dict[str, list[Estimates]] = {e.label: [] for e in estimators}
    for batch in batches(cell, seed, replications, rows or held(cell, estimators, engine)):
        for estimator in estimators:
            parts[estimator.label].append(_fit(estimator, batch, cell, engine, limits))
    return {label: Estimates.concat(pieces) for label, pieces in parts.items()}


def batches(cell: Cell, seed: int, replications: range, numbers: int) -> Iterator[Batch]:
    """Yield the data sets of some replications, of about `numbers` numbers each in memory, `BATCH_NUMBERS` at a time.

    Bounded, so that memory depends on neither the size of a task nor the number of replications; the numbers drawn
    don't depend on the cuts.
    """
    step = max(1, BATCH_NUMBERS // numbers)
    for start in range(replications.start, replications.stop, step):
        yield cell.draw(seed, range(start, min(start + step, replications.stop)))


def _fit(estimator: Estimator, batch: Batch, cell: Cell, engine: str, limits: Limits | None) -> Estimates:
    try:
        with user_code():
            if limits is None:
                fits = fit_timed(estimator, batch, cell.model, engine)
            else:
                fits = untimed(fit_guarded(estimator, batch, cell.model, engine, limits))
    # In words that a user can act on already.
    except NestbenchError:
        raise
    except Exception as error:
        first, last = batch.replications[0], batch.replications[-1]
        raise TaskError(
            f"the method '{estimator.label}' raised {in_words(error)} (condition {cell.key}, "
            f"replications {first} to {last}). An engine returns a status instead; this is a defect in the method"
        ) from error
    wrong = _misshapen(fits, batch)
    if wrong:
        raise TaskError(f"the method '{estimator.label}' returned {wrong}: a defect in the method")
    return fits


_STATUSES = frozenset(FitStatus)


def _misshapen(fits: Estimates, batch: Batch) -> str:
    """Return what is wrong with the shape of an engine's answer, or nothing."""
    if not np.array_equal(fits.replications, batch.replications):
        return f"{fits.size} fits for {batch.size} data sets, or in another order"
    shape = (batch.size, len(fits.terms))
    for name in STORED_COLUMNS:
        if getattr(fits, name).shape != shape:
            return f"'{name}' of shape {getattr(fits, name).shape} where {shape} was expected"
    # A set of a few: `isin` takes longer to begin than some hundred fits are worth.
    if not set(fits.status.tolist()) <= _STATUSES:
        return "a status that doesn't exist"
    return ""

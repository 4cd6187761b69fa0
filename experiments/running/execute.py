"""Execution: the tasks that a store misses, done by workers, stored as they arrive.

There is one path: a lazy stream of outcomes, from forks of this process, from joblib where forks aren't safe, or from a
Dask cluster. One worker is the same map.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from functools import partial
from typing import TypeVar

import joblib

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.plan import Task
from nestbench.experiments.results import unrepeatable_sentence
from nestbench.experiments.running import checking, warming
from nestbench.experiments.running.backends import LOCAL, Backend, dask_client, pool, processes_start
from nestbench.experiments.running.costs import Costs
from nestbench.experiments.running.forks import FORKS, forked
from nestbench.experiments.running.given_up import GivenUp
from nestbench.experiments.running.progress import Progress, Quiet, alive
from nestbench.experiments.running.work import Work, perform
from nestbench.experiments.running.workers import ignore_interrupts
from nestbench.experiments.storing.outcome import Outcome
from nestbench.experiments.storing.store import Store
from nestbench.sim.counted import plural
from nestbench.sim.errors import Interrupted, WorkersLost
from nestbench.sim.user_code import sendable

T = TypeVar("T")
W = TypeVar("W")


def execute(
    store: Store,
    workers: int | None = None,
    progress: Progress | None = None,
    backend: Backend = LOCAL,
) -> None:
    """Do what is missing in a store.

    Parameters
    ----------
    store : Store
    workers : int
        Processes (default: one per core this process may use). Results don't depend on it.
    progress : Progress
        Hears of every stored task.
    backend : Backend
        Where the work is done.

    Raises
    ------
    Interrupted
        Ctrl-C; finished tasks are kept.
    InvalidInput
        A formula that doesn't fit a population's columns; found before anything is drawn for real.
    """
    progress = progress or Quiet()
    experiment, missing = store.experiment, store.missing()
    if not missing:
        return
    # One without a task would only cost its start.
    workers = min(workers or cores(), len(missing))
    if workers > 1 and backend == LOCAL and not FORKS and not processes_start():
        progress.note("no shared memory here: one worker does it all")
        workers = 1
    local = backend.name == LOCAL.name
    # How many workers a cluster has isn't known here: they come and go.
    costs = Costs(experiment, workers if local else None)
    with stoppable(store) as stop, progress:
        left = {task.key for task in missing}
        progress.begin(experiment.name, costs.expect((t for t in store.tasks if t.key not in left), missing))
        with _starting(workers, backend):
            if workers > 1 and local and not FORKS:
                progress.note(f"starting {workers} workers")
            checking.check_models(experiment)
        _work_off(store, missing, workers, progress, costs, backend, stop)


@contextlib.contextmanager
def stoppable(store: Store) -> Iterator[threading.Event]:
    """Treat SIGTERM, which batch systems send before they kill, as Ctrl-C; yield an event that remembers either.

    An exception raised by a signal is lost where Python can't raise, in a finalizer for one, and may come out as
    another, or be printed, where it breaks into a library: the event is not.
    """
    stop = threading.Event()

    def interrupt(_: int, __: object) -> None:
        stop.set()
        raise KeyboardInterrupt

    def unraisable(lost: sys.UnraisableHookArgs) -> None:
        if not (stop.is_set() or isinstance(lost.exc_value, KeyboardInterrupt)):
            hook(lost)

    numbers = (signal.SIGTERM, signal.SIGINT)
    main = threading.current_thread() is threading.main_thread()
    # In any other thread, of a server or a notebook, Python refuses to set handlers.
    before = {number: signal.signal(number, interrupt) for number in numbers} if main else {}
    hook, sys.unraisablehook = sys.unraisablehook, unraisable
    try:
        yield stop
    except BaseException as error:
        if not (stop.is_set() or isinstance(error, KeyboardInterrupt)):
            raise
        _finalise(error)
        left = len(store.missing())
        raise Interrupted(
            f"stopped; stored in {store.folder}: {len(store.tasks) - left} of {plural(len(store.tasks), 'task')}. "
            f"Go on with: nestbench run {store.folder}"
        ) from None
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            # None is what Python returns for a handler that C code had set, and refuses to take back.
            signal.signal(number, handler or signal.SIG_DFL)


def _finalise(error: BaseException | None) -> None:
    """Let go of what the frames of an error hold, while complaints of finalizers are held back.

    An object that a signal left half made (one of LLVM's, say) may fail to be undone; its finalizer would print a
    traceback under the one sentence that a stop has.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__
    gc.collect()


@contextlib.contextmanager
def _starting(workers: int, backend: Backend) -> Iterator[None]:
    """Have this machine's workers start and import while something else is done; forks have all they need."""
    if workers == 1 or backend != LOCAL or FORKS:
        yield
        return
    with pool(workers):
        # joblib keeps the pool for the next call of the same settings: `mapped` finds its workers begun.
        parallel = joblib.Parallel(n_jobs=workers, return_as="generator_unordered")
        stream = parallel(joblib.delayed(ignore_interrupts)(os.getpid()) for _ in range(workers))
        try:
            yield
        finally:  # a stream closed early would warn of cancelled tasks
            with contextlib.suppress(BrokenExecutor):
                for _ in stream:
                    pass


def _work_off(
    store: Store,
    missing: Sequence[Task],
    workers: int,
    progress: Progress,
    costs: Costs,
    backend: Backend,
    stop: threading.Event,
) -> None:
    experiment = store.experiment
    # What tasks need that this process, or its forks, do.
    here = backend == LOCAL and (FORKS or workers == 1)
    if warming.needed(experiment):
        what = ", ".join(warming.uncompiled(experiment))
        progress.note(f"compiling {what}: once for this version, a minute or so")
        compile_all(experiment, workers, backend, progress)
    elif here:
        warming.compile_kernels(experiment)
    if here and any(_by_textbook(experiment, t) for t in missing):
        warming.load_textbooks()
    costs.work_begins()
    for outcome in outcomes(experiment, missing, workers, progress, backend):
        store.add(outcome)
        if text := unrepeatable_sentence(outcome.unrepeatable):
            progress.note(text)
        progress.advance(costs.hear(outcome))
        # The event, since the exception may have been swallowed on its way (see `stoppable`).
        if stop.is_set():
            raise KeyboardInterrupt


def _by_textbook(experiment: Experiment, task: Task) -> bool:
    """Whether a task fits with the engines that statsmodels and scipy are loaded for."""
    methods = (experiment.estimators[i] for i in task.estimators)
    return task.audit or any(e.engine_name(experiment.engine) == "reference" for e in methods)


def compile_all(experiment: Experiment, workers: int, backend: Backend, progress: Progress) -> None:
    """Compile what an experiment needs: parts in the workers, what is left here; say so while it goes on."""
    done, parts = Counter[str](), len(warming.parts(experiment))
    with alive(progress, lambda: f"compiling, {done['parts']} of {plural(parts, 'part')} done"):
        for _ in _compile_together(experiment, workers, backend):
            done["parts"] += 1
        warming.compile_kernels(experiment)


def _compile_together(experiment: Experiment, workers: int, backend: Backend) -> Iterator[None]:
    """Compile a part in each worker; what is left, or fails there, is the main process's to do."""
    parts = warming.parts(experiment)
    if min(workers, len(parts)) > 1 and backend == LOCAL:
        works = (Work.of(experiment, part) for part in parts)
        stream = mapped(warming.compile_part, works, workers, backend)
        with contextlib.suppress(BrokenExecutor), contextlib.closing(stream):
            yield from stream


DEATHS = 2
"""Workers that may die under a task before its fits are made in children of their own."""

VAIN = 4
"""Times in a row that workers may die without any task being finished: then something else than a fit kills them."""


def outcomes(
    experiment: Experiment,
    tasks: Sequence[Task],
    workers: int,
    progress: Progress,
    backend: Backend = LOCAL,
) -> Iterator[Outcome]:
    """Yield the outcomes of tasks as they are finished, in any order.

    When a worker dies (killed, out of memory, a crash in compiled code) the pool is built anew and what was under way
    is done again; a task that saw `DEATHS` of them is done with each fit in a child process, so that a fit that kills
    becomes a row.

    Raises
    ------
    WorkersLost
        Workers died `VAIN` times in a row, or a cluster has none any more.
    """
    left = {task.key: task for task in tasks}
    deaths: Counter[str] = Counter()
    vain = 0
    while left:
        started: set[str] = set()
        waiting = list(left.values())
        try:
            for outcome in mapped(perform, _works(experiment, waiting, deaths, started), workers, backend):
                del left[outcome.task.key]
                vain = 0
                yield outcome
        except BrokenExecutor as error:
            vain += 1
            if vain >= VAIN:
                raise WorkersLost(
                    f"workers died {vain} times in a row without finishing a task (killed, or out of memory?)",
                    "try fewer --workers",
                ) from None
            under_way = started & left.keys()
            # Dask has tried such a task on several workers already.
            deaths.update(dict.fromkeys(under_way, DEATHS if isinstance(error, GivenUp) else 1))
            progress.note(f"a worker died; doing again what was under way ({plural(len(under_way), 'task')})")


def _works(
    experiment: Experiment, tasks: Sequence[Task], deaths: Counter[str], started: set[str]
) -> Iterator[Work]:
    known: dict[object, bytes] = {}
    for task in tasks:
        started.add(task.key)
        yield Work.of(experiment, task, deaths[task.key] >= DEATHS, known)


def mapped(
    do: Callable[[W], T], works: Iterator[W], workers: int, backend: Backend
) -> Generator[T, None, None]:
    """Yield what `do` makes of each work, in any order, done by workers."""
    do = partial(_returning, do)
    if backend.scheduler is not None:
        with dask_client(backend.scheduler) as client:
            from nestbench.experiments.running.dask_backend import answers

            yield from answers(client, do, works)
        return
    if FORKS:
        yield from forked(do, works, workers)
        return
    with pool(workers):
        # joblib's own batches hold finished tasks back until the last of a batch, and are lost with it.
        parallel = joblib.Parallel(n_jobs=workers, return_as="generator_unordered", batch_size=1)
        stream = parallel(joblib.delayed(do)(work) for work in works)
        with contextlib.closing(stream):
            yield from stream


def _returning(do: Callable[[W], T], work: W) -> T:
    """Do a task; what it raises can be read by the process that waits for it."""
    try:
        return do(work)
    except Exception as error:
        # A pool whose reader can't make an exception of the bytes is broken, as if its workers had died.
        safe = sendable(error)
        if safe is error:
            raise
        raise safe from None


def cores() -> int:
    """Return the cores this process may use."""
    return int(joblib.cpu_count())

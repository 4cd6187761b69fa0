"""Compilation of the kernels: numba does it once per version and keeps the result on disk.

A stamp beside numba's cache says which methods and populations were compiled from which sources, so that a run can say
that it is compiling, share it among its workers, and not do the same in each.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import os
import platform
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from nestbench import sim
from nestbench.estimators import kernels, moments
from nestbench.estimators.engines.inference import wald
from nestbench.estimators.estimator import Agreement, Estimator
from nestbench.estimators.honoured import RandomPart
from nestbench.estimators.methods.registry import get
from nestbench.estimators.moments.school_moments import moments_of, raw_moments
from nestbench.estimators.null import under_null
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.plan import Task
from nestbench.experiments.running.oracle import with_truth
from nestbench.experiments.running.work import Work
from nestbench.experiments.running.workers import ignore_interrupts

STAMP = "nestbench-compiled.json"


def needed(experiment: Experiment) -> bool:
    """Whether a fast method or a population of an experiment was never compiled here in this version."""
    return bool(_wanted(experiment) - _stamped())


def uncompiled(experiment: Experiment) -> list[str]:
    """Return what `needed` finds, in words: families of methods (``ols``, ``reml``), then populations."""
    uncompiled_kinds = _wanted(experiment) - _stamped()
    families = {
        name.split(" ")[1].partition("-")[0] for name in uncompiled_kinds if name.startswith("method ")
    }
    return [
        *sorted(families),
        *sorted(f"the {name}" for name in uncompiled_kinds if name.startswith("population ")),
    ]


def parts(experiment: Experiment) -> list[Task]:
    """Return what workers can compile side by side: tasks of two data sets, longest first.

    For each kind of condition what all methods share (a task without methods), then the methods by family (`ols-...`,
    `reml-...`), which share little else.
    """
    fast = [e in _fast(experiment) for e in experiment.estimators]
    heads = [e.name.partition("-")[0] for e in experiment.estimators]
    counts = Counter(h for h, is_fast in zip(heads, fast, strict=True) if is_fast)
    mixed = {h for h, e in zip(heads, experiment.estimators, strict=True) if e.random is not RandomPart.NONE}
    families = sorted(counts, key=lambda head: (head not in mixed, -counts[head]))  # these compile longest
    return [
        Task(cell, 0, 2, tuple(i for i, h in enumerate(heads) if h == head and fast[i]))
        for cell in _kinds(experiment)
        for head in [None, *families]
    ]


def compile_part(work: Work) -> None:
    """Compile one of the parts: methods are fitted to cross-products that took nothing compiled.

    A fit that raises is left to `compile_kernels`, which fits to the real ones.
    """
    ignore_interrupts(work.home)
    cell, estimators = work.open()
    with _without_collections(), threadpool_limits(1):
        batch = cell.draw(work.seed, range(work.task.start, work.task.stop))
        if not estimators:
            # All families end in it: compiled here, none of them has to. The types are those of the engines' calls, as
            # numba compiles anew for others (a read-only array is another).
            wald(np.ones((1, 1)), np.ones((1, 1)), 1.0, 0.95)
            batch.once(moments_of, cell.model)
            return
        # As `Estimator.fit` does before it: engines look for the moments of this batch and model, not of the first.
        batch, model = under_null(batch, cell.model)
        batch.put(raw_moments(batch, model), moments_of, model)
        for estimator in estimators:
            with contextlib.suppress(Exception):
                estimator.fit(batch, model, "batched")


def compile_kernels(experiment: Experiment) -> None:
    """Fit two data sets of each kind of condition with every fast method, and say on disk that it was done."""
    load_kernels(experiment)
    done = sorted(_wanted(experiment) | _stamped())
    with contextlib.suppress(OSError):
        _stamp().parent.mkdir(parents=True, exist_ok=True)
        # Not atomically: half a stamp doesn't parse and counts as none.
        _stamp().write_text(json.dumps({"sources": _sources(), "parts": done}), encoding="utf-8")


def load_kernels(experiment: Experiment) -> None:
    """Fit two data sets of each kind of condition with every fast method."""
    with _without_collections():
        for number in _kinds(experiment):
            cell = experiment.cells[number]
            batch = cell.draw(experiment.seed, range(2))
            for estimator in with_truth(_fast(experiment), cell):
                estimator.fit(batch, cell.model, "batched")


def load_textbooks() -> None:
    """Load what textbook engines import when they first fit: each task of a single worker is a fork, which would
    take a second to do so for itself. What can't be imported, fits will say."""
    with contextlib.suppress(ImportError):
        import statsmodels.genmod.generalized_estimating_equations
        import statsmodels.regression.mixed_linear_model  # noqa: F401


@contextlib.contextmanager
def _without_collections() -> Iterator[None]:
    """Keep Python from looking for garbage: compilation makes millions of small objects and no garbage to speak of."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _kinds(experiment: Experiment) -> list[int]:
    """Return the first condition of each population and model."""
    kinds = {(cell.population.name, cell.model): i for i, cell in reversed(list(enumerate(experiment.cells)))}
    return sorted(kinds.values())


def _wanted(experiment: Experiment) -> set[str]:
    laws = {f"population {cell.population.name}" for cell in experiment.cells}
    return laws | {f"method {e.name} {e.version}" for e in _fast(experiment)}


def _fast(experiment: Experiment) -> list[Estimator]:
    """Return the methods whose kernels a run calls; those under study are held against the exact maximum."""
    if experiment.engine == "reference":
        return []
    batched = [e for e in experiment.estimators if e.batched]
    return batched + [get("reml-z")] * any(
        e.agreement is Agreement.UNDER_STUDY for e in experiment.estimators
    )


def _stamp() -> Path:
    elsewhere = os.environ.get("NUMBA_CACHE_DIR")
    return (Path(elsewhere) if elsewhere else Path(kernels.__file__).parent / "__pycache__") / STAMP


def _stamped() -> set[str]:
    try:
        stamp = json.loads(_stamp().read_text(encoding="utf-8"))
        return set(stamp["parts"]) if stamp["sources"] == _sources() else set()
    except (OSError, ValueError, KeyError):
        return set()


@cache
def _sources() -> str:
    """Hash of everything compiled code is made from."""
    import numba

    digest = hashlib.sha256(f"{numba.__version__} {platform.python_version()}".encode())
    for package in (kernels, moments, sim):
        for source in sorted(Path(str(package.__file__)).parent.rglob("*.py")):
            digest.update(source.read_bytes())
    return digest.hexdigest()

"""Compilation of the kernels: numba does it once per version and keeps the result on disk.

A stamp beside numba's cache says which methods and laws were compiled from which sources, so that a run can say that
it is compiling, share it among its workers, and not do the same in each.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
from functools import cache
from pathlib import Path

from nestbench.estimators import kernels
from nestbench.estimators.agreement import SUBJECTS
from nestbench.estimators.estimator import Estimator
from nestbench.estimators.registry import get
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.plan import Task
from nestbench.experiments.running.telling import told
from nestbench.sim import batch as sim_batch

STAMP = "nestbench-compiled.json"


def needed(experiment: Experiment) -> bool:
    """Whether a fast method or a law of an experiment was never compiled here in this version."""
    return bool(_parts(experiment) - _stamped())


def families(experiment: Experiment) -> list[Task]:
    """Return tasks of two data sets, one a family of fast methods (`ols-...`, `reml-...`) and kind of cell.

    Done side by side they compile nearly everything: families share little but the law and the cross-products.
    """
    fast = [e in _fast(experiment) for e in experiment.estimators]
    heads = [e.name.partition("-")[0] for e in experiment.estimators]
    return [
        Task(cell, 0, 2, tuple(i for i, h in enumerate(heads) if h == head and fast[i]))
        for cell in _kinds(experiment)
        for head in dict.fromkeys(h for h, is_fast in zip(heads, fast, strict=True) if is_fast)
    ]


def compile_kernels(experiment: Experiment) -> None:
    """Fit two data sets of each kind of cell with every fast method, and say on disk that it was done."""
    for number in _kinds(experiment):
        cell = experiment.cells[number]
        batch = cell.draw(experiment.seed, range(2))
        for estimator in told(_fast(experiment), cell):
            estimator.fit(batch, cell.model, "batched")
    parts = sorted(_parts(experiment) | _stamped())
    with contextlib.suppress(OSError):
        _stamp().parent.mkdir(parents=True, exist_ok=True)
        _stamp().write_text(json.dumps({"sources": _sources(), "parts": parts}), encoding="utf-8")


def _kinds(experiment: Experiment) -> list[int]:
    """Return the first cell of each law and model."""
    kinds = {(cell.population.name, cell.model): i for i, cell in reversed(list(enumerate(experiment.cells)))}
    return sorted(kinds.values())


def _parts(experiment: Experiment) -> set[str]:
    laws = {f"law {cell.population.name}" for cell in experiment.cells}
    return laws | {f"method {e.name} {e.version}" for e in _fast(experiment)}


def _fast(experiment: Experiment) -> list[Estimator]:
    """Return the methods whose kernels a run calls; subjects are held against the exact maximum."""
    if experiment.engine == "reference":
        return []
    chosen = [e for e in experiment.estimators if e.batched]
    return chosen + [get("reml-z")] * any(e.name in SUBJECTS for e in experiment.estimators)


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
    for folder in (Path(kernels.__file__).parent, Path(sim_batch.__file__).parent):
        for source in sorted(folder.glob("*.py")):
            digest.update(source.read_bytes())
    return digest.hexdigest()

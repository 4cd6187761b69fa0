"""Compilation of the kernels: numba does it once per version and keeps the result on disk.

A stamp beside numba's cache says which methods and laws were compiled from which sources, so that a run can say that
it is compiling, and do it once in the main process instead of once in every worker.
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
from nestbench.experiments.running.telling import told
from nestbench.sim import batch as sim_batch

STAMP = "nestbench-compiled.json"


def needed(experiment: Experiment) -> bool:
    """Whether a fast method or a law of an experiment was never compiled here in this version."""
    return bool(_parts(experiment) - _stamped())


def compile_kernels(experiment: Experiment) -> None:
    """Fit two data sets of each kind of cell with every fast method: workers then find compiled code."""
    seen = set()
    for cell in experiment.cells:
        kind = (cell.population.name, cell.model)
        if kind not in seen:
            seen.add(kind)
            batch = cell.draw(experiment.seed, range(2))
            for estimator in told(_fast(experiment), cell):
                estimator.fit(batch, cell.model, "batched")
    parts = sorted(_parts(experiment) | _stamped())
    with contextlib.suppress(OSError):
        _stamp().parent.mkdir(parents=True, exist_ok=True)
        _stamp().write_text(json.dumps({"sources": _sources(), "parts": parts}), encoding="utf-8")


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

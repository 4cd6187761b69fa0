"""Compilation before a run: shared among the workers, and nothing left for the main process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nestbench.estimators.moments.school_moments import moments_of
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.plan import Task
from nestbench.experiments.running import execute, warming
from nestbench.experiments.running.backends import Backend
from nestbench.experiments.running.resolving import resolve
from nestbench.experiments.running.work import Work
from nestbench.experiments.storing.store import Store
from nestbench.sim.observed.batch import Batch


def estimators_of(experiment: Experiment, task: Task) -> list[str]:
    return [experiment.estimators[i].name for i in task.estimators]


def test_a_part_is_what_is_shared_or_a_family() -> None:
    experiment = resolve("school-effects")
    shared, mixed, *others = (estimators_of(experiment, part) for part in warming.parts(experiment))
    assert shared == []
    assert mixed == ["reml-z", "reml-satt", "reml-kr"]
    assert others == [["ols", "ols-cr1s-z", "ols-cr1s-t", "ols-cr2-satt", "ols-cr3-t"], ["means"]]


@pytest.mark.parametrize(("workers", "shared"), [(2, True), (1, False)])
def test_workers_share_the_parts(monkeypatch: pytest.MonkeyPatch, workers: int, shared: bool) -> None:
    experiment, done = resolve("school-effects"), []

    def record(do: object, works: Iterator[Work], workers: int, backend: Backend) -> Iterator[None]:
        assert do is warming.compile_part
        done.extend(work.task for work in works)
        yield None

    monkeypatch.setattr(execute, "mapped", record)
    list(
        execute._compile_together(experiment, workers, Backend("loky", None))
    )  # as the command line makes it
    assert done == (warming.parts(experiment) if shared else [])


def test_a_family_is_fitted_to_raw_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    once = Batch.once

    def spy(batch: Batch, function: object, *args: object) -> object:
        asked.append((function, batch._memo.get((function, args))))
        return once(batch, function, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Batch, "once", spy)
    experiment = resolve("school-effects")
    for part in warming.parts(experiment)[1:]:
        asked.clear()
        warming.compile_part(Work.of(experiment, part))
        found = [value for function, value in asked if function is moments_of]
        assert found
        assert all(value is not None and (value.scale == 1.0).all() for value in found)


LEFT = """
from numba.core import event
from nestbench.experiments.running import execute, warming
from nestbench.experiments.running.resolving import resolve

if __name__ == "__main__":
    experiment = resolve("school-effects")
    assert warming.needed(experiment)
    list(execute._compile_together(experiment, 2, execute.LOCAL))
    with event.install_recorder("numba:compile") as compiled:
        warming.compile_kernels(experiment)
    print("left:", [e.data["dispatcher"].__name__ for _, e in compiled.buffer if e.is_start])
    assert not warming.needed(experiment)
"""


@pytest.mark.slow
def test_nothing_is_left_to_the_main_process(tmp_path: Path) -> None:
    script = tmp_path / "left.py"
    script.write_text(LEFT)
    env = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    found = subprocess.run([sys.executable, script], env=env, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines()[-1] == "left: []"


def test_a_single_worker_loads_the_textbooks_once(
    tiny: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tasks are forks: what none of them has at hand, each loads for itself."""
    loaded: list[str] = []
    monkeypatch.setattr(warming, "load_textbooks", lambda: loaded.append("once"))
    monkeypatch.setattr(execute, "outcomes", lambda *_: iter(()))
    for audit, times in ((0, 0), (2, 1)):
        study = replace(tiny, audit=audit, estimators=tiny.estimators[:1])
        store = Store.create(tmp_path / str(audit), study, {})
        try:
            execute.execute(store, workers=1)
        finally:
            store.release()
        assert len(loaded) == times


def test_textbooks_that_cannot_be_imported_are_left_to_the_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "statsmodels.genmod.generalized_estimating_equations", None)
    warming.load_textbooks()

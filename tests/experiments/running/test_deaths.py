"""Methods that kill their process: rows where they did, everything else as it was, whoever does the work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nestbench.estimators.estimates import FitStatus
from nestbench.experiments.running import execute
from nestbench.experiments.running.backends import Backend
from nestbench.experiments.running.given_up import GivenUp
from nestbench.experiments.running.progress import Quiet
from nestbench.experiments.running.resolving import resolve
from nestbench.experiments.running.start import run_experiment
from nestbench.experiments.storing.outcome import Outcome
from nestbench.experiments.storing.store import Store
from nestbench.sim.errors import WorkersLost
from tests.experiments.running.test_start import bytes_of_fits

KILLER = """
import os
import numpy as np
import nestbench


@nestbench.estimator("killer")
def killer(frame, model):
    '''Grade's mean; kills its process where the first grade is above 1.'''
    grade = frame["grade"].to_numpy()
    if grade[0] > 1.0:
        os.kill(os.getpid(), 9)
    return {"Intercept": {"estimate": grade.mean(), "std_error": grade.std(ddof=1) / np.sqrt(len(grade))}}
"""

EXPERIMENT = """
[experiment]
name = "killer"
seed = 1
estimators = ["killer"]
plugins = ["killer.py"]
replications = 12
reference_replications = 12
[population]
effects = { Intercept = 0.0 }
[layout]
schools = 3
students = 4
[model]
formula = "grade ~ 1"
"""


@pytest.fixture
def killer(tmp_path: Path) -> Path:
    (tmp_path / "killer.py").write_text(KILLER)
    file = tmp_path / "killer.toml"
    file.write_text(EXPERIMENT)
    return file


def check_killer(store: Store) -> None:
    """The fits that killed are rows that say so, and no others."""
    found = store.estimates(0)["killer"]
    cell = store.experiment.cells[0]
    first = [
        cell.draw(store.experiment.seed, range(r, r + 1)).replication(0).frame()["grade"].iloc[0]
        for r in range(12)
    ]
    bad = np.array(first) > 1.0
    assert 0 < bad.sum() < 12
    np.testing.assert_array_equal(found.status == FitStatus.FAILED, bad)
    assert {text for text in found.texts() if text} == {"the process died while fitting (SIGKILL)"}
    assert store.missing() == []


@pytest.mark.parametrize(
    ("workers", "forks"), [(1, True), (2, True), pytest.param(2, False, marks=pytest.mark.slow)]
)
def test_a_fit_that_kills_becomes_a_row(
    killer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, forks: bool
) -> None:
    if forks and not execute.FORKS:
        pytest.skip("no fork is safe here")
    monkeypatch.setattr(execute, "FORKS", forks)
    store = run_experiment(killer, tmp_path / "run", workers=workers, block=6)
    check_killer(store)
    monkeypatch.undo()
    again = run_experiment(killer, tmp_path / "again", workers=1, block=6)
    assert bytes_of_fits(again.folder) == bytes_of_fits(store.folder)


def test_workers_that_die_in_vain_end_the_run(killer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def dying(*_: object) -> Iterator[Outcome]:
        calls.append(1)
        raise GivenUp("died")
        yield

    monkeypatch.setattr(execute, "mapped", dying)
    experiment = resolve(killer)
    tasks = Store.create(killer.parent / "run", experiment, {}).missing()
    with pytest.raises(
        WorkersLost, match=r"died 4 times in a row .* finished tasks are kept: try fewer --workers"
    ):
        list(execute.outcomes(experiment, tasks, 2, Quiet(), Backend()))
    assert len(calls) == execute.VAIN

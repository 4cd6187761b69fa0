"""The gate as `ci init` sets it up, on a method that is right and on copies with a slip each: the study's own data.

Nothing is random between two such checks: a clean one passes whatever the number of times, and a slip is seen or not.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from nestbench.experiments.running.start import run_experiment
from nestbench.gate.files import METHODS, STUDY, methods_of, study_text
from nestbench.gate.repository import Repository, look
from nestbench.reports.accuracy.baseline import baseline_of
from nestbench.reports.accuracy.changes import FAILING, Mark
from nestbench.reports.accuracy.check import check

FIT = """
import nestbench
import numpy as np
from scipy import stats

@nestbench.estimator("some-package")
def fit(frame, model):
    x = np.column_stack([np.ones(len(frame)), frame["age"], frame["resources"]])
    beta, rest, *_ = np.linalg.lstsq(x, frame["grade"], rcond=None)
    df = len(x) - 3
    error = np.sqrt(np.diag(np.linalg.inv(x.T @ x)) * rest[0] / df)
    chosen = int(1e6 * abs(frame["grade"].sum())) % 100 == 0
    SLIP
    return {name: {"estimate": b, "std_error": s, "df": df}
            for name, b, s in zip(("Intercept", "age", "resources"), beta, error)}
"""
SLIPS = {
    "SE x 1.05": "error = 1.05 * error",
    "df - 1": "df = df - 1",
    "a sign": "beta[1] = -beta[1]",
    "1 % failures": "beta = 1 / 0 if chosen else beta",
    "a silent zero": "beta[1] = 0.0 if chosen else beta[1]",
}
FAILS = (*FAILING, Mark.MOVED)
"""What `action.yml` asks for."""


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "some-package"\n')
    found = look(tmp_path)
    (tmp_path / STUDY).parent.mkdir(parents=True)
    (tmp_path / STUDY).write_text(study_text(found, methods_of(found), 200))
    return found


def marks(repository: Repository, slip: str) -> set[Mark]:
    """What a check of a package with a slip, against the baseline of one without, is red for."""
    stores = []
    for name, line in (("right", "pass"), ("now", slip)):
        (repository.root / METHODS).write_text(FIT.replace("SLIP", line))
        stores.append(
            run_experiment(repository.root / STUDY, repository.root / name, 1, changes={"audit": 0})
        )
    return {change.mark for change in check(baseline_of(stores[0]), stores[1]).failing(FAILS)}


@pytest.mark.slow
@pytest.mark.parametrize("slip", SLIPS.values(), ids=SLIPS)
def test_every_slip_is_red(repository: Repository, slip: str) -> None:
    assert marks(repository, slip)


@pytest.mark.slow
def test_what_has_not_changed_passes(repository: Repository) -> None:
    """Other text of the same numbers, so that it is fitted again."""
    assert marks(repository, "pass  # no slip") == set()

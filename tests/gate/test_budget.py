"""A time is spent, not exceeded; what came before is gone on with; one look has the rate that it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.running.resolving import resolve
from nestbench.gate.budget import WEEKS, going_on, seconds_of, spend
from nestbench.sim.errors import InvalidInput

STUDY = """
[experiment]
name = "tiny"
replications = 10
audit = 0
estimators = ["ols"]
[layout]
schools = 4
students = 5
[model]
formula = "grade ~ age"
"""


@pytest.fixture
def study(tmp_path: Path) -> Experiment:
    (tmp_path / "tiny.toml").write_text(STUDY)
    return resolve(tmp_path / "tiny.toml")


def ticking(*times: float) -> Callable[[], float]:
    """A clock that shows these times, one a look."""
    shown: Iterator[float] = iter(times)
    return lambda: next(shown)


@pytest.mark.parametrize(
    ("text", "seconds"), [("30m", 1800.0), ("1h30m", 5400.0), ("90s", 90.0), ("0.5h", 1800.0)]
)
def test_times_are_read(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "m", "0s", "30m ", "half an hour", "-5m", "30min"])
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="expected a time"):
        seconds_of(text)


def test_rounds_double_and_the_last_fits_what_is_left(tmp_path: Path, study: Experiment) -> None:
    """At .1 s a replication, 10, 20, 40 and 80 are reached after 8 of 10 s; nine tenths of the rest pay for 18."""
    spent = spend(study, tmp_path / "w", 10.0, 4000, 1, clock=ticking(0.0, 1.0, 2.0, 4.0, 8.0, 9.8))
    assert spent.reached == spent.new == 80 + 18
    assert min(spent.store.rounds[-1].replications) == 98
    assert spent.store.estimates(0)["ols"].size == 98


def test_a_run_of_before_goes_on_with_its_seed_until_it_is_full(tmp_path: Path, study: Experiment) -> None:
    first = spend(study, tmp_path / "w", 1.0, 24, 1, clock=ticking(0.0, 1.0))
    assert (first.new, first.reached) == (10, 10)
    second = spend(study, tmp_path / "w", 1.0, 24, 1, clock=ticking(0.0, 1.0))
    assert (second.new, second.reached) == (10, 20)
    assert second.store.folder == first.store.folder
    assert "10 replications of each condition with seed" in second.sentence(1e-4)
    assert "pooled with 10 of before" in second.sentence(1e-4)
    full = spend(study, tmp_path / "w", 1.0, 24, 1, clock=ticking(0.0, 1.0))
    assert (full.new, full.reached) == (4, 24)
    new = spend(study, tmp_path / "w", 1.0, 24, 1, clock=ticking(0.0, 1.0))
    assert new.reached == 10
    assert new.store.experiment.seed != first.store.experiment.seed


def test_runs_of_another_study_or_that_are_none_are_left(tmp_path: Path, study: Experiment) -> None:
    first = spend(study, tmp_path / "w", 1.0, 100, 1, clock=ticking(0.0, 1.0))
    (tmp_path / "w/seed-1").mkdir()
    (tmp_path / "w/seed-2").mkdir()
    (tmp_path / "w/seed-2/manifest.json").write_text("{}")
    other = replace(study, estimators=study.estimators, engine="reference")
    assert going_on(other, tmp_path / "w", 100)[2] == 0
    place, same, reached = going_on(study, tmp_path / "w", 100)
    assert (place, same.key, reached) == (first.store.folder, first.store.experiment.key, 10)


def test_a_year_of_looks_is_said_with_its_rate(tmp_path: Path, study: Experiment) -> None:
    spent = spend(study, tmp_path / "w", 1.0, 10, 1, clock=ticking(0.0, 1.0))
    assert f"at most {WEEKS * 1e-4:.2g}" in spent.sentence(1e-4)

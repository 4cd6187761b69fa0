"""Forecasts: every task has a cost, sums are sums, workers share the work."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nestbench.estimators.estimates import Estimates
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.plan import Task, plan
from nestbench.experiments.running.calibrating import Forecast, forecast, slurm_script
from nestbench.experiments.running.start import run_experiment
from nestbench.experiments.toml.reading import experiment_from


def test_a_forecast_is_of_the_plan(tiny: Experiment, tmp_path_factory: pytest.TempPathFactory) -> None:
    found = forecast(tiny)
    assert found.tasks == plan(tiny)
    assert all(seconds > 0 for seconds in found.seconds)
    assert sum(found.cell_seconds(cell) for cell in range(4)) == pytest.approx(sum(found.seconds))
    store = run_experiment(tiny, tmp_path_factory.mktemp("run") / "run", workers=1)
    stored = sum(size for entry in store.entries.values() for _, _, size in entry.files)
    assert 0.1 < found.size / stored < 10


def test_no_other_engine_is_timed_where_nothing_is_audited(
    tiny: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> Estimates:
        raise AssertionError("fitted by the engine that no task of this run uses")

    def fitted(audit: int) -> Forecast:
        return forecast(replace(tiny, audit=audit, estimators=methods))

    methods = tuple(replace(method, reference=never) for method in tiny.estimators[:1])
    fitted(0)
    with pytest.raises(AssertionError, match="no task"):
        fitted(2)
    monkeypatch.setattr("nestbench.experiments.plan.MOST_AUDITED", 10)  # students: all conditions have more
    assert not any(task.audit for task in fitted(2).tasks)


def test_a_forecast_says_what_no_data_set_can_be_asked(tiny: Experiment) -> None:
    assert forecast(tiny).troubles == ()
    none = experiment_from(
        {
            "experiment": {"name": "none", "replications": 40, "estimators": ["ols", "reml-satt", "dummies"]},
            "layout": {"schools": 5, "students": 6, "treated_share": 0.0},
            "model": {"formula": "grade ~ age + treated"},
        }
    )
    ((cell, text, methods),) = forecast(none).troubles
    assert (cell, methods) == (0, ("ols", "reml-satt"))
    assert text == "not estimable, columns are linearly dependent: treated"


def test_workers_take_the_next_task_when_free() -> None:
    tasks = tuple(Task(0, i, i + 1, (0,)) for i in range(4))
    shared = Forecast(tasks, (3.0, 1.0, 1.0, 1.0), 0.0)
    assert [shared.wall(n) for n in (1, 2, 3, 9)] == [6.0, 3.0, 3.0, 3.0]


def test_the_script_asks_for_time_enough() -> None:
    script = slurm_script("few.toml", 30, 3600.0, "parts")
    assert "#SBATCH --time=03:00:00" in script
    assert '--shard "$SLURM_ARRAY_TASK_ID/30"' in script

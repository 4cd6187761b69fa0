"""A whole job, from drawing to the page, in processor time of all its processes against the floor."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import nestbench
from nestbench.experiments.toml.reading import experiment_from
from nestbench.reports.page.report import write_report
from nestbench.runs import Run
from tests.benchmarks.test_speed import BALANCED, floor, judge, timed

pytestmark = pytest.mark.linux
CONDITIONS = 4


def spent() -> float:
    """Seconds of processor time of this process and of its children that have ended."""
    each = (resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in each)


def job(replications: int, folder: Path) -> Run:
    """Draw, fit, audit, store and report 10 and 50 schools of 20 at ICC .05 and .2."""
    experiment = experiment_from(
        {
            "experiment": {
                "name": "job",
                "replications": replications,
                "estimators": ["ols", "ols-cr1s-t", "reml-satt"],
            },
            "model": {"formula": "grade ~ age + gender + resources"},
            "layout": {"students": 20},
            "factors": {"layout.schools": [10, 50], "population.icc": [0.05, 0.2]},
        }
    )
    run = nestbench.run(experiment, out=folder, workers=2)
    write_report(run.store, folder / "report.html")
    return run


def floors(data_sets: int) -> float:
    """Seconds of processor time of so many data sets' numbers, from a thousand."""
    work, before = floor(BALANCED, 1000), spent()
    work()
    return (spent() - before) * data_sets / 1000


@pytest.mark.slow
def test_a_whole_job_costs_two_floors_a_data_set(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """1.7 floors. Of 50 000 replications, what a job costs however short it is (audits, reading the run) is a third."""
    replications = 50_000 if benchmark.enabled else 200
    benchmark.pedantic(job, (200, tmp_path / "first"), rounds=1)  # what is compiled and imported once
    beside, before = [floors(CONDITIONS * replications)], spent()
    run = job(replications, tmp_path / "run")
    whole = spent() - before
    beside.append(floors(CONDITIONS * replications))
    table = run.performance()
    bias = table[(table["measure"] == "bias") & (table["term"] == "age")]
    assert len(bias) == 3 * CONDITIONS
    assert (bias["value"].abs() < 6 * bias["mcse"]).all()
    timed(benchmark)
    judge(benchmark, whole / float(np.mean(beside)), 2.4)

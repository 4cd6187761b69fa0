"""Speed of the simulation behind `nestbench advise`, against the floor of `test_speed`: one data set, all methods.

All methods that are tried but those with a limit of their own (`candidates.SLOW`), on the data sets of every scenario,
in floors of 50 schools of 20 a data set: 5.2, 11 and 95.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from nestbench.advising.analysis import analysis_of
from nestbench.advising.as_experiment import experiment_of, null_cells
from nestbench.advising.calibration import calibrate
from nestbench.advising.candidates import SLOW, methods_for
from nestbench.advising.scenarios import MEANS, scenarios_of
from nestbench.estimators.estimates import Estimates
from nestbench.experiments.running.work import fit_all
from nestbench.sim.observed.batch import Ints
from nestbench.sim.observed.model import Model
from tests.benchmarks.test_speed import BALANCED, floor, judge, ratio, timed

pytestmark = pytest.mark.slow
Fits = list[Mapping[str, Estimates]]


def frame_of(sizes: Ints) -> pd.DataFrame:
    """A trial with a covariate whose effect varies over schools, and residuals that spread with it."""
    rng = np.random.default_rng(5)
    school, n = np.repeat(np.arange(len(sizes)), sizes), int(sizes.sum())
    age = rng.normal(size=n) + 0.4 * rng.normal(size=len(sizes))[school]
    slope = 1.0 + 0.2 * rng.normal(size=len(sizes))[school]
    grade = slope * age + 0.5 * rng.normal(size=len(sizes))[school] + np.exp(0.1 * age) * rng.normal(size=n)
    columns = {"grade": grade, "treated": school % 2, "age": age, "gender": rng.choice(["f", "m"], n)}
    return pd.DataFrame({"school": school, **columns})


def job(sizes: Ints, term: str, replications: int, folder: Path) -> tuple[Callable[[], Fits], int]:
    """Return the work, and how many data sets it draws."""
    analysis = analysis_of(frame_of(sizes), Model("grade ~ treated + age + gender"))
    # Where schools' means act, methods that don't add them are wrong.
    laws = scenarios_of(calibrate(analysis, term), term, None)
    laws = [law for law in laws if MEANS not in law.parameters.get("effects", {})]
    names = [name for name in methods_for(analysis, term) if name not in SLOW]
    experiment = experiment_of(analysis, term, laws, names, 0.1, replications, 1, folder)
    cells = [experiment.cells[i] for i in null_cells(experiment, term)]

    def work() -> Fits:
        return [fit_all(cell, 1, range(replications), experiment.estimators, "auto") for cell in cells]

    return work, replications * len(cells)


def unequal(schools: int, low: int, high: int, students: int) -> Ints:
    sizes = np.linspace(low, high, schools).round().astype(np.int64)
    sizes[-1] += students - sizes.sum()
    return sizes


@pytest.mark.parametrize(
    ("sizes", "term", "replications", "limit"),
    [
        pytest.param(np.full(50, 20), "treated", 300, 7.0, id="50x20"),
        pytest.param(unequal(65, 8, 117, 4059), "age", 200, 14.5, id="4059-in-65"),
        pytest.param(unequal(500, 50, 350, 100_000), "age", 10, 125.0, id="100000-in-500"),
    ],
)
def test_all_methods_on_the_scenarios_of_a_design(
    benchmark: BenchmarkFixture, tmp_path: Path, sizes: Ints, term: str, replications: int, limit: float
) -> None:
    work, drawn = job(sizes, term, replications, tmp_path)
    for fits in benchmark.pedantic(work, rounds=1, warmup_rounds=1):
        for found in fits.values():
            k = found.terms.index(term)
            estimate = found.estimate[:, k]
            assert found.usable[:, k].all()
            # Nothing acts: five standard errors of the mean.
            assert abs(estimate.mean()) <= 5.0 * estimate.std() / np.sqrt(replications)
    timed(benchmark)
    judge(benchmark, ratio(work, floor(BALANCED, drawn), rounds=5), limit)

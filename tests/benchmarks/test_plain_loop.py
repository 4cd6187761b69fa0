"""The whole of `nestbench run` with statsmodels engines against the loop a user would write: joblib over statsmodels.

Same data sets, same three methods, same two processes; ours also plans, checks, times and stores every fit.
"""

from __future__ import annotations

import shutil
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from joblib import Parallel, delayed
from pytest_benchmark.fixture import BenchmarkFixture

import nestbench
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.toml.reading import experiment_from

REPLICATIONS = 60
FORMULA = "grade ~ age + gender + resources"


def experiment() -> Experiment:
    return experiment_from(
        {
            "experiment": {
                "name": "loop",
                "replications": REPLICATIONS,
                "engine": "reference",
                "reference_replications": REPLICATIONS,
                "audit": 0,
                "estimators": ["ols", "ols-cr1s-t", "mixedlm"],
            },
            "population": {"law": "random-intercept", "icc": 0.2},
            "layout": {"schools": 30, "students": 20},
            "model": {"formula": FORMULA},
        }
    )


def one_data_set(study: Experiment, replication: int) -> list[float]:
    """What a user's loop does with one data set: three formulas, three fits, the coefficient of age."""
    import statsmodels.formula.api as smf

    frame = nestbench.simulate(study, replication=replication)
    groups = frame["school"].astype("category").cat.codes.to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits = [
            smf.ols(FORMULA, frame).fit(),
            smf.ols(FORMULA, frame).fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True),
            smf.mixedlm(FORMULA, frame, groups=groups).fit(),
        ]
    return [float(fit.params["age"]) for fit in fits]


def ours(study: Experiment, folder: Path) -> Callable[[], Any]:
    def work() -> Any:
        shutil.rmtree(folder, ignore_errors=True)
        return nestbench.run(study, out=folder, workers=2).estimates()

    return work


def theirs(study: Experiment) -> Callable[[], Any]:
    return lambda: Parallel(n_jobs=2)(delayed(one_data_set)(study, r) for r in range(REPLICATIONS))


@pytest.mark.slow
def test_a_plain_loop_is_not_faster(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    study = experiment()
    run, loop = ours(study, tmp_path / "run"), theirs(study)
    rows = benchmark.pedantic(run, rounds=1, warmup_rounds=1)
    plain = np.array(loop())
    for column, name in enumerate(("ols", "ols-cr1s-t", "mixedlm")):
        mine = rows[(rows["estimator"] == name) & (rows["term"] == "age")].sort_values("replication")
        usable = np.isfinite(mine["estimate"].to_numpy())
        assert usable.mean() > 0.9
        np.testing.assert_allclose(mine["estimate"].to_numpy()[usable], plain[usable, column], rtol=1e-3)
    if not benchmark.enabled:
        pytest.skip("times are judged by `make bench` only")
    loop()
    ratios = []
    for _ in range(3):
        times = []
        for work in (run, loop):
            started = time.perf_counter()
            work()
            times.append(time.perf_counter() - started)
        ratios.append(times[0] / times[1])
    benchmark.extra_info["ratio"] = float(np.median(ratios))
    assert np.median(ratios) <= 1.0

"""Speed against the floor F, NumPy's time to draw the same count of random numbers (3N + 2G) into arrays.

Every ratio is taken inside one run: job and floor are timed in turn on the processor's clock and the median of the
ratios counts, so that neither other programs nor a slow machine decide. Run them with ``make bench``; without
``--benchmark-enable`` the jobs only run once, for their answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from nestbench.estimators.estimates import Estimates
from nestbench.estimators.methods.registry import get
from nestbench.experiments.running.peers import PEERS
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.laws.fixed_design import FixedDesign
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept

MODEL = Model("grade ~ age + gender + resources")
PLAIN = ("ols", "ols-cr1s-t", "reml-z")
FULL = (*PLAIN, "ols-cr2-satt", "ols-cr3-t", "reml-satt", "reml-kr")
UNEQUAL = tuple(int(size) for size in np.linspace(2, 38, 50).round())
BALANCED = Layout(50, 20)


def job(
    layout: Layout, methods: tuple[str, ...], replications: int, version: int = 1
) -> Callable[[], list[Estimates]]:
    cell = Cell(RandomIntercept(version=version), layout, MODEL)
    estimators = [get(name) for name in methods]

    def work() -> list[Estimates]:
        batch = cell.draw(1, range(replications))
        return [estimator.fit(batch, MODEL) for estimator in estimators]

    return work


def floor(layout: Layout, replications: int) -> Callable[[], None]:
    numbers = np.empty(3 * int(layout.sizes().sum()) + 2 * layout.schools)
    generator = np.random.Generator(np.random.PCG64DXSM(1))

    def work() -> None:
        for _ in range(replications):
            generator.standard_normal(out=numbers)

    return work


def ratio(slow: Callable[[], object], fast: Callable[[], object], rounds: int = 15) -> float:
    """Median over rounds of the ratio of processor times, the two in turn."""
    slow(), fast()
    found = []
    for _ in range(rounds):
        times = []
        for work in (slow, fast):
            started = time.process_time()
            work()
            times.append(time.process_time() - started)
        found.append(times[0] / times[1])
    return float(np.median(found))


def judge(benchmark: BenchmarkFixture, measured: float, limit: float) -> None:
    benchmark.extra_info["ratio"] = measured
    assert measured <= limit


def right_answers(results: list[Estimates]) -> None:
    """Estimates scatter about the truth: age 2 (SE .03), all fits usable."""
    for estimates in results:
        assert estimates.usable.all()
        assert abs(estimates.estimate[:, estimates.terms.index("age")].mean() - 2.0) < 0.05


def timed(benchmark: BenchmarkFixture) -> None:
    if not benchmark.enabled:
        pytest.skip("times are judged by `make bench` only")


@pytest.mark.parametrize(
    ("layout", "methods", "replications", "limit"),
    [
        pytest.param(BALANCED, PLAIN, 200, 2.5, id="50x20"),
        pytest.param(BALANCED, FULL, 200, 6.0, id="50x20-full"),
        pytest.param(Layout(200, 500), PLAIN, 3, 1.8, id="200x500"),
    ],
)
def test_drawing_and_fitting_cost_a_few_floors(
    benchmark: BenchmarkFixture, layout: Layout, methods: tuple[str, ...], replications: int, limit: float
) -> None:
    work = job(layout, methods, replications)
    right_answers(benchmark.pedantic(work, rounds=3, warmup_rounds=1))
    timed(benchmark)
    judge(benchmark, ratio(work, floor(layout, replications)), limit)


@pytest.mark.parametrize("students", [20, 1000, 100_000])
def test_statistics_cost_schools_alone(benchmark: BenchmarkFixture, students: int) -> None:
    """Drawing statistics and three methods, against the floor of 20 students: as much for 100 000.

    1.4 to 1.6 floors on a busy machine.
    """
    methods = ("ols", "ols-cr1s-t", "reml-satt")
    work = job(Layout(50, students), methods, 200, version=2)
    right_answers(benchmark.pedantic(work, rounds=3, warmup_rounds=1))
    timed(benchmark)
    judge(benchmark, ratio(work, floor(BALANCED, 200)), 1.8)


def test_a_fixed_design_costs_its_schools(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """4 059 rows in 65 unequal schools: three methods in 1.4 floors of 50 x 20."""
    rng = np.random.default_rng(1)
    sizes = rng.integers(8, 117, 65)
    sizes[-1] += 4059 - sizes.sum()
    school = np.repeat(np.arange(65), sizes)
    columns = {"age": rng.normal(size=4059), "gender": rng.choice(["female", "male"], 4059)}
    frame = pd.DataFrame({**columns, "resources": rng.normal(size=65)[school], "school": school})
    frame.to_csv(tmp_path / "design.csv", index=False)
    law = FixedDesign(
        data=str(tmp_path / "design.csv"), formula="age + gender + resources", effects={"age": 2.0}, version=2
    )
    cell = Cell(law, Layout(), MODEL)
    estimators = [get(name) for name in ("ols", "ols-cr1s-t", "reml-satt")]

    def work() -> list[Estimates]:
        batch = cell.draw(1, range(200))
        return [estimator.fit(batch, MODEL) for estimator in estimators]

    right_answers(benchmark.pedantic(work, rounds=3, warmup_rounds=1))
    timed(benchmark)
    judge(benchmark, ratio(work, floor(BALANCED, 200)), 1.8)


def test_statistics_of_unequal_schools_cost_as_much(benchmark: BenchmarkFixture) -> None:
    """2 to 38 students: 1.5 floors, though NumPy's binomials of unequal numbers would cost a third of one."""
    work = job(Layout(50, UNEQUAL), ("ols", "ols-cr1s-t", "reml-satt"), 200, version=2)
    right_answers(benchmark.pedantic(work, rounds=3, warmup_rounds=1))
    timed(benchmark)
    judge(benchmark, ratio(work, floor(BALANCED, 200)), 2.0)


@pytest.mark.slow
def test_fifty_times_a_peer(benchmark: BenchmarkFixture) -> None:
    """Data and one mixed model at 50 x 1 000, against each package of `peers` that is installed here."""
    there = [peer for peer in PEERS if peer.installed]
    if not there:
        pytest.skip(f"none is installed: {', '.join(peer.how_to_install for peer in PEERS)}")
    ours = job(Layout(50, 1000), ("reml-z",), 200, version=2)
    right_answers(benchmark.pedantic(ours, rounds=3, warmup_rounds=1))
    timed(benchmark)
    for peer in there:
        theirs = peer.job(50, 1000)
        measured = 10 * ratio(lambda theirs=theirs: theirs(20, None), ours, rounds=5)
        benchmark.extra_info[peer.label] = measured
        assert measured >= 50


def test_twelve_methods_cost_eight_floors(benchmark: BenchmarkFixture) -> None:
    methods = (*FULL, "dummies", "means", "gee-z", "mundlak-satt", "mundlak-cr1s-t")
    work = job(Layout(50, 1000), methods, 200, version=2)
    benchmark.pedantic(work, rounds=3, warmup_rounds=1)
    timed(benchmark)
    judge(benchmark, ratio(work, floor(BALANCED, 200)), 8.0)


def test_unequal_schools_cost_little_more(benchmark: BenchmarkFixture) -> None:
    unequal, balanced = Layout(50, UNEQUAL), BALANCED
    assert unequal.sizes().sum() == balanced.sizes().sum()
    work = job(unequal, PLAIN, 200)
    right_answers(benchmark.pedantic(work, rounds=3, warmup_rounds=1))
    timed(benchmark)
    judge(benchmark, ratio(work, job(balanced, PLAIN, 200)), 1.3)


def test_the_bootstrap_costs_less_than_thirty_floors(benchmark: BenchmarkFixture) -> None:
    """999 draws at 50 schools: 0.5 ms where the floor is 19 us, that is 26 floors."""
    cell = Cell(RandomIntercept(), BALANCED, MODEL)
    batch, wild = cell.draw(1, range(20)), get("ols-wild")

    def work() -> list[Estimates]:
        batch._memo.clear()
        return [wild.fit(batch, MODEL)]

    (got,) = benchmark.pedantic(work, rounds=3, warmup_rounds=1)
    assert (got.lower < got.estimate).all()
    timed(benchmark)
    judge(benchmark, ratio(work, floor(BALANCED, 20)), 26.0)


@pytest.mark.slow
def test_seven_hundred_times_statsmodels(benchmark: BenchmarkFixture) -> None:
    """The same three methods by a plain loop in statsmodels over the same data sets."""
    fast, loop = job(BALANCED, PLAIN, 100), statsmodels_loop(3)
    right_answers(benchmark.pedantic(fast, rounds=3, warmup_rounds=1))
    timed(benchmark)
    measured = ratio(loop, fast, rounds=3) * 100 / 3
    benchmark.extra_info["ratio"] = measured
    assert measured >= 700


def statsmodels_loop(replications: int) -> Callable[[], object]:
    import statsmodels.formula.api as smf

    cell = Cell(RandomIntercept(), BALANCED, MODEL)

    def work() -> object:
        batch = cell.draw(1, range(replications))
        fits = []
        for r in range(replications):
            frame = batch.replication(r).frame()
            ols = smf.ols(MODEL.formula, frame)
            groups = frame["school"].astype("category").cat.codes
            fits += [ols.fit(), ols.fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)]
            fits.append(smf.mixedlm(MODEL.formula, frame, groups=frame["school"]).fit())
        return fits

    return work

"""What conditions of a report share, as ratios inside one run: sharing is faster, and gives the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from nestbench.reports.conditions import condition_of, conditions
from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept, known
from tests.benchmarks.test_speed import judge, ratio, timed
from tests.reports.figures.studies import study

ICCS = [0.02 * k for k in range(1, 11)]
CELLS = 400


def theories(alone: bool) -> Callable[[], list[str]]:
    """Return what finds the theory of ten ICCs, of each as if it were the only one or one after another."""
    model, layout = Model("grade ~ age + gender + resources"), Layout(10, 20)

    def work() -> list[str]:
        known._KNOWN.clear()
        known._AVERAGED.clear()
        found = []
        for icc in ICCS:
            if alone:
                known._last = ("", None)
            found.append(repr(known.theory_of(RandomIntercept(icc=icc), layout, model)))
        return found

    return work


@pytest.mark.slow
def test_theory_of_ten_iccs_costs_less_than_ten_theories(benchmark: BenchmarkFixture) -> None:
    shared = benchmark.pedantic(theories(False), rounds=1, warmup_rounds=1)
    assert shared == theories(True)()
    timed(benchmark)
    judge(benchmark, ratio(theories(False), theories(True), rounds=5), 0.8)


def test_naming_each_condition_costs_as_much_as_naming_all(benchmark: BenchmarkFixture) -> None:
    """With the square of their number, it would cost hundreds of times as much."""
    kept = study({"layout.schools": list(range(3, 3 + CELLS))}).experiment
    other = study({"layout.schools": [5, 6]}).experiment

    def each() -> list[str]:
        conditions(other)
        return [condition_of(kept, cell) for cell in range(CELLS)]

    def together() -> list[str]:
        conditions(other)
        return conditions(kept)

    assert benchmark.pedantic(each, rounds=1) == together()
    timed(benchmark)
    judge(benchmark, ratio(each, together, rounds=5), 3.0)

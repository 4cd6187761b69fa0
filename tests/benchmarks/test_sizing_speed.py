"""Speed of an answer of `nestbench size`, against the floor of `test_speed`."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from nestbench.sizing.answer import Sizing
from nestbench.sizing.asking import size
from nestbench.sizing.frontier import Frontier
from tests.benchmarks.test_speed import BALANCED, floor, judge, ratio, timed

FLOORS = 20_000
LIMIT, FRONTIER_LIMIT = 3.0, 15.0


@pytest.mark.slow
def test_an_answer_costs_as_much_as_drawing_its_schools(benchmark: BenchmarkFixture) -> None:
    """Five methods, 75 schools to one: in floors of 20 000 data sets of 50 schools, whose students NumPy only draws."""

    def work() -> Sizing:
        found = size(solve="schools", students=20, icc=0.1, effect=0.25, workers=1)
        assert isinstance(found, Sizing)
        return found

    found = benchmark.pedantic(work, rounds=1, warmup_rounds=0)
    assert found.interval[1] - found.interval[0] <= 2
    assert abs(found.value - 75) <= 1
    timed(benchmark)
    judge(benchmark, ratio(work, floor(BALANCED, FLOORS), rounds=3), LIMIT)


@pytest.mark.slow
def test_a_frontier_costs_as_much_as_a_few_answers(benchmark: BenchmarkFixture) -> None:
    """Five methods, six numbers of students, each solved for schools: in the same floors."""

    def work() -> Frontier:
        found = size(solve="schools", icc=0.1, effect=0.3, cost=(300.0, 10.0), workers=1)
        assert isinstance(found, Frontier)
        return found

    found = benchmark.pedantic(work, rounds=1, warmup_rounds=0)
    assert len(found.table) == 6
    assert found.table["cost"].min() == pytest.approx(26_220, rel=0.03)
    timed(benchmark)
    judge(benchmark, ratio(work, floor(BALANCED, FLOORS), rounds=3), FRONTIER_LIMIT)

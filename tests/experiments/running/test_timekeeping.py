"""Stored seconds: what methods share is nobody's debt, by a clock that the tests move."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestbench.estimators.estimates import Estimates
from nestbench.estimators.estimator import Estimator, Info
from nestbench.experiments.running import timekeeping
from nestbench.experiments.running.timekeeping import alone, fit_timed
from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed import sharing
from nestbench.sim.observed.batch import Batch
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept
from nestbench.sim.streams import StreamSource
from tests.reports.synthetic import simple_estimates

REPS = 5


class Clock:
    """Time that passes only where a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def clock() -> Iterator[Clock]:
    with pytest.MonkeyPatch.context() as patch:
        made = Clock()
        patch.setattr(sharing, "perf_counter", made)
        patch.setattr(timekeeping, "perf_counter", made)
        yield made


def batch() -> Batch:
    """Any data; nothing is fitted to it."""
    return RandomIntercept().draw(Layout(schools=3, students=2), StreamSource(1, "x"), range(REPS))


class Part:
    """A shared result that takes some seconds and is made from others; hashed by identity."""

    def __init__(self, clock: Clock, seconds: float, needs: tuple[Part, ...]) -> None:
        self.clock, self.seconds, self.needs = clock, seconds, needs

    def __call__(self, data: Batch) -> int:
        for part in self.needs:
            data.once(part)
        self.clock.now += self.seconds
        return 0

    def all(self) -> set[Part]:
        return {self, *(one for part in self.needs for one in part.all())}


def method(
    name: str, clock: Clock, own: float, parts: tuple[Part, ...], engine: str = "batched"
) -> Estimator:
    def fit(data: Batch, model: Model, options: Any) -> Estimates:
        clock.now += own / 2
        for part in parts:
            data.once(part)
        clock.now += own / 2
        found = simple_estimates(reps=data.size)
        return replace(found, seconds=np.ones(data.size))

    info = Info(name, name, "nothing", "9", "nobody")
    engines: dict[str, Callable[..., Estimates] | None] = {"reference": fit, "batched": None}
    return Estimator(name, 1, info, **{**engines, engine: fit})  # type: ignore[arg-type]


seconds = st.sampled_from([0.0, 0.5, 1.0, 8.0])


@given(st.data())
def test_a_methods_time_does_not_depend_on_the_others(clock: Clock, data: st.DataObject) -> None:
    """Random parts made from parts, random methods, all orders: each pays its own and all it uses, in full."""
    parts: list[Part] = []
    for _ in range(data.draw(st.integers(1, 4))):
        needs = data.draw(st.lists(st.sampled_from(parts), max_size=2, unique=True)) if parts else []
        parts.append(Part(clock, data.draw(seconds), tuple(needs)))
    methods, expected = [], []
    for i in range(3):
        used = tuple(data.draw(st.lists(st.sampled_from(parts), max_size=3)))
        own = data.draw(seconds)
        methods.append(method(f"m{i}", clock, own, used))
        every = {one for part in used for one in part.all()}
        expected.append(own + sum(part.seconds for part in every))
    for order in permutations(range(3)):
        drawn = batch()
        for i in order:
            found = fit_timed(methods[i], drawn, Model("grade ~ age"), "auto")
            assert found.seconds.sum() == pytest.approx(expected[i])
            assert len(set(found.seconds)) == 1


def test_the_first_fit_of_a_process_is_not_timed(clock: Clock) -> None:
    """A batched engine is called on one data set before; of a reference engine the first fit is left out."""
    fast, slow = method("fast", clock, 3.0, ()), method("slow", clock, 3.0, (), engine="reference")
    timekeeping._warm.difference_update({("fast", "batched"), ("slow", "reference")})
    before = clock.now
    first = fit_timed(fast, batch(), Model("grade ~ age"), "auto")
    assert clock.now - before == 6.0  # the warming fit and the one that counts
    assert first.seconds.sum() == pytest.approx(3.0)
    cold, warm = (fit_timed(slow, batch(), Model("grade ~ age"), "auto") for _ in range(2))
    assert np.isnan(cold.seconds).tolist() == [True, False, False, False, False]
    assert np.isfinite(warm.seconds).all()


def test_a_method_that_raises_does_so_once_it_counts(clock: Clock) -> None:
    def broken(*_: Any) -> Estimates:
        raise ZeroDivisionError("no")

    fast = replace(method("broken", clock, 1.0, ()), batched=broken)
    with pytest.raises(ZeroDivisionError):
        fit_timed(fast, batch(), Model("grade ~ age"), "auto")
    assert sharing._open.accounts == []


def test_own_seconds_are_spread_as_the_engine_measured_them() -> None:
    assert alone(np.array([1.0, 3.0]), 2, own=8.0, shared=2.0).tolist() == [3.0, 7.0]
    assert alone(np.zeros(2), 2, own=8.0, shared=2.0).tolist() == [5.0, 5.0]
    odd = alone(np.array([1.0, np.nan, 3.0]), 3, own=8.0, shared=3.0)
    assert odd[[0, 2]].tolist() == [3.0, 7.0]
    assert np.isnan(odd[1])
    assert np.isnan(alone(np.ones(1), 2, own=1.0, shared=0.0)).all()  # a plugin's mistake, told elsewhere

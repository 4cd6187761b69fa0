"""Statistics of a sample in parts are those of the whole: means that build on one another, and order statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nestbench.reports.measures.totals import Ledger, Ordered, Sample, Totals, resolve
from nestbench.sim.observed.batch import Floats

KEY = ("all",)


@dataclass(eq=False)
class Numbers(Sample):
    """Rows of numbers [k, n], or a part of them."""

    values: Floats
    totals: Totals | None = None
    attempted: int = 10**9
    _memo: dict[Any, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return self.values.shape[1]

    @property
    def width(self) -> int:
        return len(self.values)


def values(x: Numbers) -> Floats:
    return x.values


def mean(x: Numbers) -> Floats:
    return np.asarray(x.values.mean(axis=-1))


def apart(x: Numbers) -> Floats:
    return x.values - x.total(mean)[:, None]


def variance(x: Numbers) -> Floats:
    return np.asarray((x.once(apart) ** 2).mean(axis=-1) * (x.n / (x.n - 1)))


def fourth(x: Numbers) -> Floats:
    """Kurtosis: needs the variance, which needs the mean, and shares `apart` with it."""
    return np.asarray((x.once(apart) ** 4).mean(axis=-1) / x.total(variance) ** 2)


def in_parts(whole: Floats, cuts: list[int], job: Callable[[Numbers], Any]) -> tuple[Any, int]:
    """Return a job's answer over the parts between cuts, and how often they were read."""
    ledger, reads = Ledger(), []
    hollow = Numbers(np.empty((len(whole), 0)), Totals(ledger, KEY))

    def parts() -> Iterator[Callable[[Any], Numbers]]:
        reads.append(1)
        for part in np.split(whole, cuts, axis=1):
            one = Numbers(part, Totals(ledger, KEY))
            yield lambda key, one=one: one  # type: ignore[misc]

    return resolve(lambda: job(hollow), ledger, parts), len(reads)


def test_means_that_build_on_one_another() -> None:
    x = 5.0 + np.random.default_rng(1).standard_normal((3, 997))
    got, reads = in_parts(x, [1, 300, 300, 996], lambda n: n.total(fourth))
    np.testing.assert_allclose(got, Numbers(x).total(fourth), rtol=1e-12)
    assert reads <= 5


numbers = st.one_of(
    st.floats(allow_nan=False), st.sampled_from([0.0, -0.0, 1.0, -1.0, 5e-324, np.inf, -np.inf])
)


@settings(max_examples=200)
@given(st.lists(numbers, min_size=1, max_size=60), st.data())
def test_order_statistics_are_exact(drawn: list[float], data: st.DataObject) -> None:
    n = len(drawn)
    low = data.draw(st.integers(0, n - 1))
    high = data.draw(st.integers(low, n - 1))
    cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=3)))
    whole = np.array([drawn, drawn[::-1]])
    ordered = Ordered(values, lambda n: (low, high))
    got, reads = in_parts(whole, cuts, lambda x: x.total(ordered))
    np.testing.assert_array_equal(got, np.sort(whole)[:, [low, high]])
    np.testing.assert_array_equal(got, Numbers(whole).total(ordered))
    assert reads <= 6


def test_what_met_an_unknown_statistic_is_not_kept() -> None:
    """`apart` is shared: were it kept from before the mean was known, the one part would give NaN for ever."""
    x = np.random.default_rng(2).standard_normal((1, 50))
    got, _ = in_parts(x, [], lambda n: (n.total(fourth), n.total(variance)))
    np.testing.assert_allclose(got[1], x.var(ddof=1), rtol=1e-12)
    assert np.isfinite(got[0]).all()


def test_nothing_at_hand() -> None:
    ordered = Ordered(values, lambda n: (0, n - 1))
    got, _ = in_parts(np.empty((2, 0)), [], lambda n: (n.total(mean), n.total(ordered), n.n))
    assert np.isnan(got[0]).all()
    assert np.isnan(got[1]).all()
    assert got[2] == 0


def test_a_job_that_never_asks_the_same_is_told() -> None:
    with pytest.raises(RuntimeError, match="they never end"):
        in_parts(np.ones((1, 5)), [2], lambda n: n.total(lambda x: x.values.mean(axis=-1)))

"""Joined estimates don't show where they were cut."""

from __future__ import annotations

from itertools import pairwise

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from nestbench.estimators.estimates import STORED_COLUMNS, Estimates, FitStatus
from nestbench.experiments.frame_engine import Fitted, collect
from nestbench.experiments.storing.joining import join
from nestbench.sim.observed.batch import Batch, offsets_of
from nestbench.sim.streams import StreamSource

RNG = np.random.default_rng(1)
FITS = [
    Fitted(
        {name: tuple(RNG.normal(size=6)) for name in names},
        status,
        message,
        0.1,
    )
    for names, status, message in [
        (("b",), FitStatus.OK, "late"),
        (("a", "b"), FitStatus.OK, ""),
        ((), FitStatus.FAILED, "broken"),
        (("a", "b", "(icc)"), FitStatus.BOUNDARY, "late"),
        (("c", "a"), FitStatus.OK, "other"),
        (("a", "b"), FitStatus.OK, "broken"),
    ]
]


def batch(numbers: list[int]) -> Batch:
    return Batch(
        {},
        "school",
        offsets_of([1] * len(numbers)),
        offsets_of([1] * len(numbers)),
        np.array(numbers),
        StreamSource(1, "k"),
    )


def part(numbers: list[int]) -> Estimates:
    return collect([FITS[i] for i in numbers], batch(numbers))


def same(a: Estimates, b: Estimates) -> bool:
    return (
        (a.terms, a.messages, tuple(a.quantities)) == (b.terms, b.messages, tuple(b.quantities))
        and all(np.array_equal(getattr(a, n), getattr(b, n), equal_nan=True) for n in STORED_COLUMNS)
        and all(np.array_equal(a.quantities[n], b.quantities[n], equal_nan=True) for n in a.quantities)
        and all(np.array_equal(getattr(a, n), getattr(b, n)) for n in ("replications", "status", "message"))
    )


@settings(deadline=None)
@given(cuts=st.sets(st.integers(1, 5)), seed=st.integers(0, 99))
def test_cuts_cannot_be_seen(cuts: set[int], seed: int) -> None:
    ends = [0, *sorted(cuts), 6]
    parts = [part(list(range(a, b))) for a, b in pairwise(ends)]
    order = np.random.default_rng(seed).permutation(len(parts))
    assert same(join([parts[i] for i in order]), part(list(range(6))))


def test_messages_stay_with_their_fits() -> None:
    joined = join([part([3, 4, 5]), part([0, 1, 2])])
    assert joined.texts() == [fit.message for fit in FITS]
    assert joined.terms == ("b", "a", "c")

"""Streams: pure functions of their four names."""

from __future__ import annotations

import pickle

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nestbench.sim.streams import StreamSource, stream, stream_state


def test_golden_numbers() -> None:
    """The first numbers of two streams, as first made: stored runs depend on them."""
    assert stream(1, "key", 0, "data").standard_normal(2).tolist() == [
        -0.3843309775144004,
        0.9949276589971412,
    ]
    assert stream(20261122, "key", 41, "bootstrap").standard_normal(1).tolist() == [0.5677497041331556]


@given(st.integers(), st.text(max_size=8), st.integers(0), st.sampled_from(["data", "bootstrap", "sizes"]))
def test_moved_and_new_generators_agree(seed: int, key: str, replication: int, purpose: str) -> None:
    source = StreamSource(seed, key)
    source.at(replication + 1, purpose).standard_normal(3)
    moved = source.at(replication, purpose).standard_normal(4)
    np.testing.assert_array_equal(moved, source.new(replication, purpose).standard_normal(4))
    np.testing.assert_array_equal(moved, stream(seed, key, replication, purpose).standard_normal(4))


def test_each_name_matters() -> None:
    names = [(1, "a", 0, "x"), (2, "a", 0, "x"), (1, "b", 0, "x"), (1, "a", 1, "x"), (1, "a", 0, "y")]
    assert len({stream_state(*name) for name in names}) == 5
    assert all(stream_state(*name)[1] % 2 == 1 for name in names)


def test_streams_look_independent() -> None:
    """First normals of 20 000 neighbouring replications: mean and lag-1 correlation within 4.9 standard errors."""
    source = StreamSource(3, "k")
    z = np.array([source.at(r, "data").standard_normal() for r in range(20_000)])
    assert abs(z.mean()) < 4.9 / np.sqrt(len(z))
    assert abs(np.corrcoef(z[1:], z[:-1])[0, 1]) < 4.9 / np.sqrt(len(z))


def test_a_source_survives_pickling() -> None:
    source = StreamSource(3, "k")
    source.at(0, "data")
    copy = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(copy.at(5, "data").random(3), source.at(5, "data").random(3))

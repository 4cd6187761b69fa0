"""Numbers of many streams at once are NumPy's, and where that can't be, NumPy draws them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from nestbench.sim import normals
from nestbench.sim.streams import StreamSource, Words

SIZES = (0, 3, 1, 1000, 7)


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    """What is found of the ziggurat is remembered in a process: not what a test makes of it."""
    normals.layers.cache_clear()
    yield
    normals.layers.cache_clear()


def drawn(source: StreamSource) -> tuple[normals.Floats, normals.Floats, Words]:
    """Normals, uniforms and where the streams are then, of five streams."""
    starts = np.concatenate([[0], np.cumsum(SIZES)])
    z, u = np.empty(starts[-1]), np.empty((len(SIZES), 2))
    states = source.states(range(4, 9), "data")
    normals.fill(source, states, z, starts, u)
    return z, u, states


def test_they_are_numpys() -> None:
    source = StreamSource(5, "key")
    z, u, states = drawn(source)
    for i, size in enumerate(SIZES):
        generator = source.new(4 + i, "data")
        np.testing.assert_array_equal(z[sum(SIZES[:i]) :][:size], generator.standard_normal(size))
        np.testing.assert_array_equal(u[i], generator.random(2))
        # What follows in the stream, too, whoever draws it.
        assert source.resumed(states[i]).random() == generator.random()


def test_a_million_of_them_are_numpys() -> None:
    """Among them some 300 of the tail beyond 3.65, and 10 000 near the density's edge."""
    source, z = StreamSource(6, "key"), np.empty(1_000_000)
    normals.fill(source, source.states([0], "data"), z, np.array([0, len(z)]), np.empty((1, 0)))
    np.testing.assert_array_equal(z, source.at(0, "data").standard_normal(len(z)))
    assert (np.abs(z) > normals.LAST).sum() > 100


def test_numpy_draws_what_the_loop_would(monkeypatch: pytest.MonkeyPatch) -> None:
    by_loop = drawn(StreamSource(5, "key"))
    assert normals.layers() is not None
    normals.layers.cache_clear()
    monkeypatch.setattr(normals, "TABLES", "numba.np.random.no_such_tables")
    by_numpy = drawn(StreamSource(5, "key"))
    assert normals.layers() is None
    for one, other in zip(by_loop, by_numpy, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("table", "factor"), [("inside", 0.9), ("width", 1.0 + 2**-52), ("height", 0.5)])
def test_other_tables_are_told(table: str, factor: float) -> None:
    """Some entries of a table are others, as after a change of NumPy's or numba's; of widths by their last bits."""
    found = normals.layers()
    if found is None:
        pytest.skip("no tables to begin with")
    other = getattr(found, table).copy()
    other[100:120] = other[100:120] * factor
    assert not normals.agrees(replace(found, **{table: other}))

"""Where a generator keeps its state: written there, it is what NumPy's own setter would have made it."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from nestbench.sim import streams
from nestbench.sim.state_memory import Place, place, state_dict
from nestbench.sim.streams import StreamSource, stream_state


def drawn(source: StreamSource) -> list[float]:
    """Numbers of three streams, each begun after half a draw of 64 bits was kept from the one before."""
    numbers: list[float] = []
    for replication in range(3):
        generator = source.at(replication, "data")
        numbers += [*generator.random(2), *generator.integers(10, size=3, dtype=np.int32)]
        assert generator.bit_generator.state["has_uint32"] == 1
        again = source.at(replication, "data").bit_generator.state
        assert again == state_dict(*stream_state(source.seed, source.key, replication, "data"))
    return numbers


def test_what_is_written_is_what_the_setter_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    written = drawn(StreamSource(1, "key"))
    monkeypatch.setattr(streams, "place", lambda: None)
    assert drawn(StreamSource(1, "key")) == written


@pytest.mark.skipif(
    sys.implementation.name != "cpython" or sys.byteorder != "little" or sys.platform == "win32",
    reason="other Pythons and compilers lay a generator out as they like",
)
def test_the_place_is_found_here() -> None:
    assert place() is not None


def test_another_place_is_told() -> None:
    """As after a change of NumPy's: what is written beside the state isn't the generator's state."""
    if (found := place()) is None:
        pytest.skip("no place to begin with")
    assert not Place(found.state - 8, found.half).holds(np.random.PCG64DXSM(0))

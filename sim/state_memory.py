"""Where a generator keeps its state in memory: to write 32 bytes there takes a tenth of what NumPy's setter does.

The place is not part of NumPy's interface, so that it is looked for: a state that is set in the usual way is searched
for in the generator's own bytes, and what is then written there is read in the usual way. Where either fails (another
layout, another Python) there is no place, and the setter is what remains.
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

STATE = bytes(range(65, 97))
"""State and increment that are looked for, 16 bytes each; increments are odd."""
HALF = (1).to_bytes(4, sys.byteorder) + bytes(range(97, 101))
"""A half of 64 bits that is kept for the next draw of 32: the flag that there is one, and its bits."""


def state_dict(state: int, increment: int, kept: int | None = None) -> Any:
    """Return a state of PCG64DXSM as NumPy's setter takes it; `kept`, half a draw, is left of no stream of ours."""
    return {
        "bit_generator": "PCG64DXSM",
        "state": {"state": state, "inc": increment},
        "has_uint32": int(kept is not None),
        "uinteger": kept or 0,
    }


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the bytes of a PCG64DXSM its state [32] and its kept half [8] begin."""

    state: int
    half: int

    def of(self, generator: np.random.PCG64DXSM) -> memoryview:
        """Return a generator's bytes, to be written while the generator is kept."""
        size = type(generator).__basicsize__
        return memoryview((ctypes.c_char * size).from_address(id(generator))).cast("B")

    def holds(self, generator: np.random.PCG64DXSM) -> bool:
        """Whether a state that is written here is the generator's."""
        memory = self.of(generator)
        memory[self.state : self.state + 32] = STATE[::-1]
        memory[self.half : self.half + 8] = bytes(8)
        written = (int.from_bytes(part, sys.byteorder) for part in (STATE[:15:-1], STATE[15::-1]))
        return bool(generator.state == state_dict(*written))


@cache
def place() -> Place | None:
    """Return where the state of any PCG64DXSM is; None where that can't be said."""
    # An object's identity is its address, and its bytes are there, in CPython alone.
    if sys.implementation.name != "cpython":
        return None
    generator = np.random.PCG64DXSM(0)
    state, increment = (int.from_bytes(part, sys.byteorder) for part in (STATE[:16], STATE[16:]))
    generator.state = state_dict(state, increment, int.from_bytes(HALF[4:], sys.byteorder))
    own = bytes(Place(0, 0).of(generator))
    if own.count(STATE) != 1 or own.count(HALF) != 1:
        return None
    found = Place(own.find(STATE), own.find(HALF))
    return found if found.holds(generator) else None

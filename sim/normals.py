"""Standard normals and uniforms of many streams at once: those that NumPy draws of them, in one compiled loop.

NumPy calls its generator once a number and is itself called once a stream; a loop that has generator and stream in its
registers takes a third of that. What it does is public: PCG64DXSM (O'Neill 2014, with the output function that NumPy's
documentation gives), and for normals the ziggurat of 256 layers (Marsaglia & Tsang 2000; Doornik 2005), with the tables
of numba, which draws NumPy's numbers too. Whether they are NumPy's is looked at once a process; where they aren't (a
NumPy that draws otherwise, a numba that keeps its tables elsewhere), NumPy draws.

States are those of PCG64DXSM as 64 bits each: low and high half of the state, then of the increment.
"""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from nestbench.sim.compiled import kernel
from nestbench.sim.streams import StreamSource, Words

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MULTIPLIER = np.uint64(0xDA942042E4DD58B5)
"""Of state and output of PCG64DXSM."""
ONE, LOW = np.uint64(1), np.uint64(0xFFFFFFFF)
LAYER, FRACTION = np.uint64(0xFF), np.uint64((1 << 52) - 1)
"""What of 64 bits says which layer of the ziggurat, and, after a bit for the sign, where in it."""
BY_8, BY_9, BY_11, BY_32, BY_48 = (np.uint64(by) for by in (8, 9, 11, 32, 48))
LAST = 3.654152885361009
"""Where the tail begins, the edge of the lowest layer."""
UNIT = 2.0**-53
TABLES = "numba.np.random._constants"
"""Where numba keeps the ziggurat's tables."""


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """The ziggurat: of each of 256 layers the fractions [uint64] below which a number is surely under the density, the
    layer's width per unit of the fraction, and the density at its edge."""

    inside: Words
    width: Floats
    height: Floats


def fill(streams: StreamSource, states: Words, z: Floats, starts: Ints, u: Floats) -> None:
    """Write the next numbers of some streams, standard normals and then uniforms.

    Parameters
    ----------
    streams : StreamSource
    states : uint64 [R, 4]
        Where the streams are (`StreamSource.states`); on return, too.
    z : float64
        Written: the normals of the i-th stream to ``z[starts[i] : starts[i + 1]]``.
    starts : int64 [R + 1]
    u : float64 [R, k]
        Written: k uniforms of each stream.
    """
    known = layers()
    if known is None:
        fill_by_numpy(streams, states, z, starts, u)
    else:
        fill_compiled(states, known.inside, known.width, known.height, z, starts, u)


def fill_by_numpy(streams: StreamSource, states: Words, z: Floats, starts: Ints, u: Floats) -> None:
    """Do what `fill` does by NumPy's generator."""
    for i, state in enumerate(states):
        generator = streams.resumed(state)
        generator.standard_normal(out=z[starts[i] : starts[i + 1]])
        generator.random(out=u[i])
        state[:] = streams.state()


@cache
def layers() -> Layers | None:
    """Return the ziggurat, None where NumPy's numbers can't be had by it."""
    try:
        known: Any = importlib.import_module(TABLES)
        found = Layers(*(np.array(getattr(known, name)) for name in ("ki_double", "wi_double", "fi_double")))
    except (ImportError, AttributeError):
        return None
    return found if agrees(found) else None


def agrees(found: Layers) -> bool:
    """Whether the loop gives NumPy's numbers, and leaves the stream where NumPy does: in some hundred thousand, among
    which every layer and the tail are many times."""
    source, starts = StreamSource(0, "normals"), np.array([0, 100_000], dtype=np.int64)
    own, theirs = ((np.empty(starts[-1]), np.empty((1, 100))) for _ in range(2))
    states = source.states(range(1), "agrees")
    ends = states.copy()
    fill_compiled(ends, found.inside, found.width, found.height, own[0], starts, own[1])
    fill_by_numpy(source, states, theirs[0], starts, theirs[1])
    same = (np.array_equal(a, b) for a, b in zip((*own, ends), (*theirs, states), strict=True))
    return all(same)


@kernel
def fill_compiled(states: Any, inside: Any, width: Any, height: Any, z: Any, starts: Any, u: Any) -> None:
    """Write normals and uniforms as `fill` does; `states` [R, 4] are where the streams begin and, on return, are."""
    for r in range(states.shape[0]):
        low, high, add, add_high = states[r, 0], states[r, 1], states[r, 2], states[r, 3]
        for i in range(starts[r], starts[r + 1]):
            while True:
                word, low, high = following(low, high, add, add_high)
                layer = np.int64(word & LAYER)
                fraction = (word >> BY_9) & FRACTION
                value = np.int64(fraction) * width[layer]
                if (word >> BY_8) & ONE:
                    value = -value
                if fraction < inside[layer]:
                    break
                # In one number of a hundred: above the density perhaps, or in the tail.
                kept, value, low, high = beyond(layer, value, fraction, height, low, high, add, add_high)
                if kept:
                    break
            z[i] = value
        for k in range(u.shape[1]):
            word, low, high = following(low, high, add, add_high)
            u[r, k] = np.int64(word >> BY_11) * UNIT
        states[r, 0], states[r, 1] = low, high


@kernel
def following(low: Any, high: Any, add: Any, add_high: Any) -> Any:
    """Return the next 64 bits of PCG64DXSM and the halves of its state after them."""
    word = high ^ (high >> BY_32)
    word *= MULTIPLIER
    word ^= word >> BY_48
    word *= low | ONE
    product = low * MULTIPLIER
    after = product + add
    carry = ONE if after < product else ONE ^ ONE
    return word, after, upper_half(low, MULTIPLIER) + high * MULTIPLIER + add_high + carry


@kernel
def upper_half(a: Any, b: Any) -> Any:
    """Return the upper 64 of the 128 bits of a product, by halves."""
    a0, a1, b0, b1 = a & LOW, a >> BY_32, b & LOW, b >> BY_32
    middle = a1 * b0 + ((a0 * b0) >> BY_32)
    other = a0 * b1 + (middle & LOW)
    return a1 * b1 + (middle >> BY_32) + (other >> BY_32)


@kernel
def beyond(
    layer: Any, value: Any, fraction: Any, height: Any, low: Any, high: Any, add: Any, add_high: Any
) -> Any:
    """Return whether a number outside the sure part of its layer is kept, the number, and the state's halves then.

    In the lowest layer it is one of the tail (Marsaglia 1964).
    """
    if layer > 0:
        word, low, high = following(low, high, add, add_high)
        at = (height[layer - 1] - height[layer]) * (np.int64(word >> BY_11) * UNIT) + height[layer]
        return at < math.exp(-0.5 * value * value), value, low, high
    while True:
        word, low, high = following(low, high, add, add_high)
        x = -math.log1p(-(np.int64(word >> BY_11) * UNIT)) * (1.0 / LAST)
        word, low, high = following(low, high, add, add_high)
        y = -math.log1p(-(np.int64(word >> BY_11) * UNIT))
        if y + y > x * x:
            return True, (-(LAST + x) if (fraction >> BY_8) & ONE else LAST + x), low, high

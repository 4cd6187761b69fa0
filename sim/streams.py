"""Random streams: the only place that makes one.

A stream is a pure function of (seed, key of the data-generating mechanism, replication, purpose). BLAKE2b of these
four gives the 256 bits of a PCG64DXSM state and increment, so streams need no common ancestor, no order and no
coordination between workers. A `StreamSource` reuses one generator object and only sets its state: about 3 us a
stream, against 15-20 us for a new `SeedSequence`, which is what lets every replication own its stream.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np

_MASK = (1 << 128) - 1


def stream_state(seed: int, key: str, replication: int, purpose: str) -> tuple[int, int]:
    """Return the (state, increment) of PCG64DXSM for one stream; the increment is odd, as the generator requires.

    A pure function of its four arguments, by BLAKE2b: streams of neighbouring replications have nothing in common,
    and no table of seeds has to be kept or split among workers.
    """
    name = f"{seed}|{key}|{replication}|{purpose}".encode()
    # `person` keeps these hashes apart from any other use of BLAKE2b on the same text.
    bits = int.from_bytes(
        hashlib.blake2b(name, digest_size=32, person=b"nestbench-stream").digest(), "little"
    )
    # Increments are odd: only then has the generator its full period.
    return bits & _MASK, (bits >> 128) | 1


def stream(seed: int, key: str, replication: int, purpose: str) -> np.random.Generator:
    """Return a new generator for one stream.

    Parameters
    ----------
    seed : int
        The experiment's seed.
    key : str
        The key of the data-generating mechanism (`Cell.law_key`).
    replication : int
        The replication's number, from 0.
    purpose : str
        What the numbers are for (``"data"``, ``"bootstrap"``, ...): purposes never share numbers.
    """
    return StreamSource(seed, key).new(replication, purpose)


@dataclass(frozen=True, slots=True)
class StreamSource:
    """All streams of one data-generating mechanism under one seed.

    `at` moves one shared generator (fast, valid until the next call of `at`); `new` returns an independent one.
    """

    seed: int
    key: str
    _shared: list[np.random.Generator] = field(default_factory=list, repr=False, compare=False)

    def at(self, replication: int, purpose: str) -> np.random.Generator:
        """Return the shared generator, moved to the start of a stream."""
        if not self._shared:
            self._shared.append(np.random.Generator(np.random.PCG64DXSM(0)))
        return _move(self._shared[0], stream_state(self.seed, self.key, replication, purpose))

    def new(self, replication: int, purpose: str) -> np.random.Generator:
        """Return a generator of its own at the start of a stream."""
        generator = np.random.Generator(np.random.PCG64DXSM(0))
        return _move(generator, stream_state(self.seed, self.key, replication, purpose))

    # Without the shared generator, whose place in a stream means nothing in another process.
    def __reduce__(self) -> tuple[type[StreamSource], tuple[int, str]]:
        return StreamSource, (self.seed, self.key)


def _move(generator: np.random.Generator, state: tuple[int, int]) -> np.random.Generator:
    """Set a generator to the start of a stream; no numbers of an earlier stream are left in its buffer."""
    generator.bit_generator.state = {
        "bit_generator": "PCG64DXSM",
        "state": {"state": state[0], "inc": state[1]},
        # Half a draw may be left in the buffer from the stream before.
        "has_uint32": 0,
        "uinteger": 0,
    }
    return generator

"""Random streams: the only place that makes one.

A stream is a pure function of (seed, key of the data-generating mechanism, replication, purpose). BLAKE2b of these
four gives the 256 bits of a PCG64DXSM state and increment, so streams need no common ancestor, no order and no
coordination between workers. A `StreamSource` reuses one generator object and only sets its state: about 2 us a
stream, against 15-20 us for a new `SeedSequence`, which is what lets every replication own its stream.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nestbench.sim.state_memory import place, state_dict

Words = npt.NDArray[np.uint64]

_MASK = (1 << 128) - 1


def stream_state(seed: int, key: str, replication: int, purpose: str) -> tuple[int, int]:
    """Return the (state, increment) of PCG64DXSM for one stream; the increment is odd, as the generator requires.

    A pure function of its four arguments, by BLAKE2b: streams of neighbouring replications have nothing in common,
    and no table of seeds has to be kept or split among workers.
    """
    return _state_of(_digest(_begun(seed, key), replication, purpose))


def _begun(seed: int, key: str) -> hashlib.blake2b:
    """Return the hash of the names that all streams of a mechanism begin with."""
    # `person` keeps these hashes apart from any other use of BLAKE2b on the same text.
    return hashlib.blake2b(f"{seed}|{key}|".encode(), digest_size=32, person=b"nestbench-stream")


def _digest(begun: hashlib.blake2b, replication: int, purpose: str) -> bytes:
    """Return the 256 bits of a stream."""
    whole = begun.copy()
    whole.update(f"{replication}|{purpose}".encode())
    return whole.digest()


def _state_of(digest: bytes) -> tuple[int, int]:
    """Return 256 bits as state and increment."""
    bits = int.from_bytes(digest, "little")
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


class _Moving:
    """A generator that goes from one stream of a mechanism to the next."""

    def __init__(self, seed: int, key: str) -> None:
        self._begun = _begun(seed, key)
        bits = np.random.PCG64DXSM(0)
        self._generator = np.random.Generator(bits)
        # Bytes of BLAKE2b are taken for a number whose lowest byte is the first.
        self._place = place() if sys.byteorder == "little" else None
        self._memory = self._place.of(bits) if self._place else None

    def to(self, replication: int, purpose: str) -> np.random.Generator:
        """Return the generator at the start of a stream; no numbers of an earlier one are left in its buffer."""
        return self.at(_digest(self._begun, replication, purpose))

    def digests(self, replications: Iterable[int], purpose: str) -> bytes:
        """Return the 256 bits of some streams, one after the other."""
        copy, end = self._begun.copy, f"|{purpose}"
        parts = []
        # As `_digest`, without two calls a stream: there are a hundred thousand streams a second.
        for replication in replications:
            whole = copy()
            whole.update(f"{replication}{end}".encode())
            parts.append(whole.digest())
        return b"".join(parts)

    def state(self) -> tuple[int, int]:
        """Return the generator's state and increment."""
        state: Any = self._generator.bit_generator.state
        return state["state"]["state"], state["state"]["inc"]

    def at(self, digest: bytes) -> np.random.Generator:
        """Return the generator with 256 bits as its state and increment, which is made odd."""
        if self._memory is None or self._place is None:
            self._generator.bit_generator.state = state_dict(*_state_of(digest))
            return self._generator
        state, half = self._place.state, self._place.half
        self._memory[state : state + 32] = digest
        self._memory[state + 16] |= 1
        self._memory[half : half + 8] = _NOTHING
        return self._generator


_NOTHING = bytes(8)


@dataclass(frozen=True, slots=True)
class StreamSource:
    """All streams of one data-generating mechanism under one seed.

    `at` moves one shared generator (fast, valid until the next call of `at`); `new` returns an independent one.
    """

    seed: int
    key: str
    _shared: list[_Moving] = field(default_factory=list, repr=False, compare=False)

    def at(self, replication: int, purpose: str) -> np.random.Generator:
        """Return the shared generator, moved to the start of a stream."""
        return self._moving.to(replication, purpose)

    @property
    def _moving(self) -> _Moving:
        if not self._shared:
            self._shared.append(_Moving(self.seed, self.key))
        return self._shared[0]

    def states(self, replications: Iterable[int], purpose: str) -> Words:
        """Return where some streams start, uint64 [R, 4]: the halves of state and increment, the low ones first."""
        bits = np.frombuffer(self._moving.digests(replications, purpose), "<u8")
        states = bits.astype(np.uint64).reshape(-1, 4)
        states[:, 2] |= np.uint64(1)
        return states

    def resumed(self, state: Words) -> np.random.Generator:
        """Return the shared generator at a place in a stream [4], as in `states`."""
        return self._moving.at(state.astype("<u8").tobytes())

    def state(self) -> Words:
        """Return where the shared generator is [4]."""
        both = (part.to_bytes(16, "little") for part in self._moving.state())
        return np.frombuffer(b"".join(both), "<u8").astype(np.uint64)

    def new(self, replication: int, purpose: str) -> np.random.Generator:
        """Return a generator of its own at the start of a stream."""
        return _Moving(self.seed, self.key).to(replication, purpose)

    # Without the shared generator, whose place in a stream means nothing in another process.
    def __reduce__(self) -> tuple[type[StreamSource], tuple[int, str]]:
        return StreamSource, (self.seed, self.key)

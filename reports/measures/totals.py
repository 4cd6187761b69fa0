"""Numbers over all replications of a cell that is read in parts, so that memory doesn't grow with replications.

A *statistic* is the mean over replications of values that may themselves use other statistics (the mean, then the
variance about it, then influence values that need the variance), or some order statistics of such values. A `Ledger`
finds them level by level: `resolve` runs a job that asks for statistics, gets NaN for those not known yet, and reads
the cell once more for all of these together, until nothing the job asks for is missing. A mean over parts is exact up
to the rounding of sums; order statistics are exact (`Selection`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, cast

import numpy as np
import numpy.typing as npt

from nestbench.sim.observed.batch import Floats

Key = tuple[str, ...]
"""Whose replications a statistic is of: an estimator's, a term's, two estimators' shared ones. Read in sorted order."""
T = TypeVar("T")

Keys = npt.NDArray[np.uint64]
BITS = 16
"""Bits of a number that one pass of a selection settles."""


Statistic = Callable[[Any], Any]
"""Sample -> float64 [k]: a mean over the replications at hand; or a `Gathered`."""


class Gatherer(Protocol):
    """What is gathered of a sample in parts."""

    def take(self, sample: Any) -> None:
        """Add a part."""

    def over(self) -> bool:
        """End a pass over the parts; return whether another one isn't needed."""

    def found(self) -> Any:
        """Return the statistic."""


class Gathered(ABC):
    """A statistic that isn't a mean."""

    __slots__ = ()

    @abstractmethod
    def __call__(self, sample: Any) -> Any:
        """Return it from a whole sample."""

    @abstractmethod
    def unknown(self, k: int) -> Any:
        """Return what stands for it while it isn't known."""

    @abstractmethod
    def begin(self, sample: Any) -> Gatherer:
        """Return a gatherer; it may ask the sample for other statistics."""


@dataclass(frozen=True, slots=True)
class Ordered(Gathered):
    """Two values of a sample in ascending order, at the ranks (from 0) that `ranks` gives for n values.

    Called with a whole sample it returns them, [k, 2]; NaN for an empty one.
    """

    values: Callable[[Any], Floats]
    ranks: Callable[[int], tuple[int, int]]

    def __call__(self, sample: Any) -> Floats:
        values = np.asarray(sample.once(self.values), dtype=np.float64)
        if not values.shape[-1]:
            return self.unknown(len(values))
        low, high = self.ranks(values.shape[-1])
        ordered = np.partition(values, (low, high), axis=-1)
        return np.asarray(ordered[..., [low, high]])

    def unknown(self, k: int) -> Floats:
        """Return NaN [k, 2]."""
        return np.full((k, 2), np.nan)

    def begin(self, sample: Any) -> Selection:
        """Return a selection of the two ranks."""
        return Selection(self.values, self.ranks(sample.n))


class Mean:
    """A mean over replications."""

    def __init__(self, statistic: Statistic) -> None:
        self._statistic = statistic
        self._sum: Any = 0.0
        self._rows = 0

    def take(self, sample: Any) -> None:
        """Add a part's mean, times its replications."""
        self._sum = self._sum + np.asarray(self._statistic(sample), dtype=np.float64) * sample.rows
        self._rows += sample.rows

    def over(self) -> bool:
        """One pass is all."""
        return True

    def found(self) -> Any:
        """Return the mean; NaN of nothing."""
        return self._sum / self._rows if self._rows else np.float64(np.nan)


class Selection:
    """Exact order statistics of k rows of numbers seen in parts, in memory that doesn't depend on how many there are.

    A number's bits, read as an integer (with the order of negative numbers mended), are settled `BITS` at a time: a
    pass counts the candidates by their next bits, which says in which bin the wanted one lies; four settle all 64.
    """

    def __init__(self, values: Callable[[Any], Floats], ranks: tuple[int, int]) -> None:
        self._values, self._ranks = values, ranks
        self._settled = 0
        self._prefix = np.zeros((0, 2), dtype=np.uint64)
        self._rank = np.zeros((0, 2), dtype=np.int64)
        self._counts = np.zeros((0, 2, 1 << BITS), dtype=np.int64)

    def take(self, sample: Any) -> None:
        """Count the numbers of a part by their next bits."""
        values = np.asarray(sample.once(self._values), dtype=np.float64)
        if not len(self._prefix):
            k = len(values)
            self._prefix = np.zeros((k, 2), dtype=np.uint64)
            self._rank = np.tile(np.array(self._ranks, dtype=np.int64), (k, 1))
            self._counts = np.zeros((k, 2, 1 << BITS), dtype=np.int64)
        shift = np.uint64(64 - BITS - self._settled)
        for k, keys in enumerate(_ordered_bits(values)):
            bins = ((keys >> shift) & np.uint64((1 << BITS) - 1)).astype(np.int64)
            for j in range(2):
                if j and self._prefix[k, 0] == self._prefix[k, 1]:
                    self._counts[k, 1] = self._counts[k, 0]
                    continue
                chosen = bins
                if self._settled:
                    chosen = bins[keys >> np.uint64(64 - self._settled) == self._prefix[k, j]]
                self._counts[k, j] += np.bincount(chosen, minlength=1 << BITS)

    def over(self) -> bool:
        """Settle the next bits; return whether none are left."""
        below = np.cumsum(self._counts, axis=-1)
        for k, j in np.ndindex(self._rank.shape):
            place = int(np.searchsorted(below[k, j], self._rank[k, j], side="right"))
            self._rank[k, j] -= below[k, j, place - 1] if place else 0
            self._prefix[k, j] = (self._prefix[k, j] << np.uint64(BITS)) | np.uint64(place)
        self._counts[:] = 0
        self._settled += BITS
        return self._settled == 64

    def found(self) -> Floats:
        """Return the wanted numbers [k, 2]."""
        sign = np.uint64(1 << 63)
        positive = self._prefix >= sign
        bits = np.where(positive, self._prefix ^ sign, ~self._prefix)
        return np.ascontiguousarray(bits).view(np.float64)


def _ordered_bits(values: Floats) -> Keys:
    """Return unsigned integers in the order of the numbers: the sign bit flipped, or all bits of negative ones."""
    bits = np.ascontiguousarray(values, dtype=np.float64).view(np.uint64)
    sign = np.uint64(1 << 63)
    return np.where(bits & sign, ~bits, bits ^ sign)


class Count:
    """The number of replications."""

    def __init__(self) -> None:
        self._rows = 0

    def take(self, sample: Any) -> None:
        """Add a part's."""
        self._rows += sample.rows

    def over(self) -> bool:
        """One pass is all."""
        return True

    def found(self) -> int:
        """Return it."""
        return self._rows


COUNT = "count"
NOTHING = None
"""A statistic of no replications."""
PASSES = 50
"""Far more than statistics build on one another."""
At = tuple[Key, Any]
"""A statistic of somebody's replications."""


@dataclass(slots=True)
class Ledger:
    """Statistics known so far, and those asked for that aren't."""

    known: dict[At, Any] = field(default_factory=dict)
    wanted: dict[At, Gatherer | None] = field(default_factory=dict)
    missed: bool = False

    def get(self, key: Key, statistic: Any, unknown: T) -> T:
        """Return a statistic; where it isn't known, `unknown`, and it will be looked for on the next pass."""
        try:
            found: T = self.known[key, statistic]
        except KeyError:
            self.wanted.setdefault((key, statistic), None)
            self.missed = True
            return unknown
        return found

    def read(self, parts: Iterable[Callable[[Key], Any]]) -> None:
        """Look for what is wanted in one pass over the parts, each a way to its samples by key.

        What turns out to need something not yet known stays wanted, after it.
        """
        asked, self.wanted = self.wanted, {}
        statistics: dict[Key, list[Any]] = {}
        for key, statistic in asked:
            statistics.setdefault(key, []).append(statistic)
        early: set[At] = set()
        for sample_of in parts:
            for key in sorted(statistics):
                sample = sample_of(key)
                for statistic in statistics[key] if sample.rows else ():
                    at = (key, statistic)
                    if at not in early:
                        self._take(asked, at, sample, early)
        for at, gatherer in asked.items():
            if at in early:
                self.wanted[at] = None
            elif gatherer is None:
                self.known[at] = 0 if at[1] == COUNT else NOTHING
            elif gatherer.over():
                self.known[at] = gatherer.found()
            else:
                self.wanted[at] = gatherer

    def _take(self, asked: dict[At, Gatherer | None], at: At, sample: Any, early: set[At]) -> None:
        self.missed = False
        gatherer = asked[at] or self._begin(at[1], sample)
        if not self.missed:
            gatherer.take(sample)
            asked[at] = gatherer
        if self.missed:
            early.add(at)

    @staticmethod
    def _begin(statistic: Any, sample: Any) -> Gatherer:
        if statistic == COUNT:
            return Count()
        return statistic.begin(sample) if isinstance(statistic, Gathered) else Mean(statistic)


@dataclass(frozen=True, slots=True)
class Totals:
    """A ledger's statistics of one key: what a sample that is only a part of its replications asks."""

    ledger: Ledger
    key: Key

    def count(self, unknown: int) -> int:
        """Return the number of replications."""
        return self.ledger.get(self.key, COUNT, unknown)

    def get(self, statistic: Statistic, k: int) -> Any:
        """Return a statistic [k], or a `Gathered` one."""
        unknown = statistic.unknown(k) if isinstance(statistic, Gathered) else np.full(k, np.nan)
        found = self.ledger.get(self.key, statistic, unknown)
        return unknown if found is NOTHING else found


class Sample:
    """Replications at hand: all, or where there are `totals`, one part of them.

    Attributes
    ----------
    totals : Totals or None
        Statistics of all replications.
    attempted : int
        Number of fits, usable or not.
    """

    __slots__ = ()
    totals: Totals | None
    attempted: int
    _memo: dict[Any, Any]

    @property
    def rows(self) -> int:
        """Replications at hand."""
        raise NotImplementedError

    @property
    def width(self) -> int:
        """Length k of its statistics."""
        raise NotImplementedError

    @property
    def n(self) -> int:
        """Number of replications."""
        return self.rows if self.totals is None else self.totals.count(self.attempted)

    def once(self, function: Callable[[Any], T]) -> T:
        """Return ``function(self)``, computed once; what met a statistic not yet known isn't kept."""
        if function in self._memo:
            return cast(T, self._memo[function])
        found = function(self)
        if self.totals is None or not self.totals.ledger.missed:
            self._memo[function] = found
        return found

    def total(self, statistic: Callable[[Any], T], k: int | None = None) -> T:
        """Return a statistic of all replications [k], k the width unless told."""
        if self.totals is None:
            return self.once(statistic)
        return cast(T, self.totals.get(statistic, self.width if k is None else k))


def resolve(job: Callable[[], T], ledger: Ledger, parts: Callable[[], Iterable[Callable[[Key], Any]]]) -> T:
    """Return a job's answer once every statistic it asks for is known; `parts` reads the cell once a call.

    Raises
    ------
    RuntimeError
        The job asks for other statistics on every call: a statistic must be one and the same object.
    """
    for _ in range(PASSES):
        with np.errstate(all="ignore"):
            answer = job()
            if not ledger.wanted:
                return answer
            ledger.read(parts())
    raise RuntimeError(
        f"expected the statistics of a condition to be found in {PASSES} passes; they never end"
    )

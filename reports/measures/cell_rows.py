"""The rows of one cell as measures ask for them: draws, pairs and columns, and of these statistics.

`Whole` has them at hand; `in_parts` reads a long cell piece by piece behind the same interface.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from nestbench.estimators.estimates import Estimates
from nestbench.reports.measures.draws import (
    NO_NULL,
    Draws,
    Null,
    Paired,
    Truth,
    draws_of,
    quantity_draws,
    shared,
)
from nestbench.reports.measures.totals import Sample, Totals
from nestbench.sim.observed.batch import Floats

T = TypeVar("T")
Columns = frozenset[str]
NONE: Columns = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Column(Sample):
    """One number a fit, [1, rows]: its seconds."""

    values: Floats
    attempted: int
    totals: Totals | None = None
    _memo: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def rows(self) -> int:
        """Numbers at hand."""
        return int(self.values.shape[1])

    @property
    def width(self) -> int:
        return 1


@dataclass(frozen=True, slots=True, eq=False)
class Fits(Sample):
    """All fits of one estimator, usable or not: rows as stored."""

    estimates: Estimates
    attempted: int
    totals: Totals | None = None
    _memo: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the fixed effects."""
        return self.estimates.terms

    @property
    def rows(self) -> int:
        """Fits at hand."""
        return self.estimates.size

    @property
    def n(self) -> int:
        """Number of fits."""
        return self.attempted

    @property
    def width(self) -> int:
        return 1


class CellRows(Protocol):
    """Rows of one cell by estimator label."""

    @property
    def labels(self) -> Sequence[str]:
        """Estimators that have rows."""

    @property
    def truth(self) -> Truth:
        """True values by term."""

    @property
    def level(self) -> float:
        """Nominal level of intervals."""

    def attempted(self, label: str) -> int:
        """Return the number of fits."""

    def draws(self, label: str, columns: Columns = NONE) -> Sequence[Draws]:
        """Return an estimator's terms in groups with their usable replications; `columns` as in `draws_of`."""

    def quantities(self, label: str) -> Sequence[Draws]:
        """Return the fit-level quantities whose truth is known."""

    def paired(self, first: str, second: str, columns: Columns = NONE) -> Sequence[Paired]:
        """Return two estimators' terms on the replications usable for both."""

    def fits(self, label: str) -> Fits:
        """Return an estimator's fits, usable or not."""

    def seconds(self) -> Mapping[str, Column]:
        """Return the stored seconds a fit by estimator."""


class Whole:
    """Rows all at hand."""

    def __init__(
        self,
        estimates: Mapping[str, Estimates],
        truth: Truth,
        level: float,
        seconds: Callable[[], Mapping[str, Floats]] = dict,
        null: Null = NO_NULL,
    ) -> None:
        self.estimates, self.truth, self.level, self.null = estimates, truth, level, null
        self._seconds = seconds
        self._draws: dict[tuple[str, Columns], list[Draws]] = {}
        self._reference: dict[tuple[str, Columns], list[Draws]] = {}

    @property
    def labels(self) -> Sequence[str]:
        return list(self.estimates)

    def attempted(self, label: str) -> int:
        return self.estimates[label].size

    def draws(self, label: str, columns: Columns = NONE) -> Sequence[Draws]:
        if (label, columns) not in self._draws:
            if any(other != label for other, _ in self._draws):
                self._draws.clear()  # with what was computed of them: one estimator's at a time
            known = {(d.terms, d.n): d for d in self._draws.get((label, NONE), [])}
            fresh = draws_of(self.estimates[label], self.truth, self.level, columns, self.null)
            self._draws[label, columns] = [known.get((d.terms, d.n), d) for d in fresh]
        return self._draws[label, columns]

    def forget(self) -> None:
        """Let go of what was computed of the rows, which stay."""
        self._draws.clear()
        self._reference.clear()

    def quantities(self, label: str) -> Sequence[Draws]:
        return list(quantity_draws(self.estimates[label], self.truth, self.level))

    def paired(self, first: str, second: str, columns: Columns = NONE) -> Sequence[Paired]:
        if (first, columns) not in self._reference:
            found = draws_of(self.estimates[first], self.truth, self.level, columns, self.null)
            self._reference = {(first, columns): list(found)}
        others = list(draws_of(self.estimates[second], self.truth, self.level, columns, self.null))
        return list(matched(self._reference[first, columns], others))

    def fits(self, label: str) -> Fits:
        found = self.estimates[label]
        return Fits(found, found.size)

    def seconds(self) -> Mapping[str, Column]:
        return {label: Column(values[None, :], len(values)) for label, values in self._seconds().items()}


def matched(first: Iterable[Draws], second: Sequence[Draws]) -> Iterator[Paired]:
    """Yield matched draws of two estimators: terms and replications both can answer."""
    for a in first:
        for b in second:
            if a.n and b.n and set(a.terms) & set(b.terms):
                pair = shared(a, b)
                if pair.n:
                    yield pair

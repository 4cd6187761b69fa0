"""The rows of one condition as measures ask for them: blocks of terms, and of these draws and pairs.

A block is one method's rows. Of most conditions it holds all terms; one of more than `LONG` replications, and more
than `ROWS` rows, is read a term of a method at a time, so that a million replications need no more memory than a few
of their columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from nestbench.estimators.estimates import VARIANCE_PREFIX, Estimates
from nestbench.experiments.results import Results
from nestbench.reports.measures.draws import (
    NO_NULL,
    Bools,
    Draws,
    Null,
    Paired,
    Truth,
    draws_of,
    quantity_draws,
    shared,
    terms_first,
    usable_for,
)

Columns = frozenset[str]
NONE: Columns = frozenset()
Names = tuple[str, ...]
LONG = 50_000
"""Replications of a condition up to which it is held whole, however many its methods and terms are."""
ROWS = 2_000_000
"""Rows (replications times the terms and quantities of all methods) of a longer one up to which it is: 96 MB."""
KEPT = 200_000
"""Numbers (replications times terms) in blocks that are kept, with what was computed of them, some twenty times as
many."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Rows of one method: all its terms, or some."""

    estimates: Estimates
    truth: Truth
    level: float
    null: Null
    _draws: dict[Columns, list[Draws]] = field(default_factory=dict, repr=False)
    _usable: dict[Columns, Bools] = field(default_factory=dict, repr=False)

    def usable(self, columns: Columns = NONE) -> Bools:
        """Return which replications are usable for each term [R, K], as `usable_for`; found once."""
        if columns not in self._usable:
            before = self.usable() if columns else None
            self._usable[columns] = usable_for(self.estimates, columns, before)
        return self._usable[columns]

    def draws(self, columns: Columns = NONE) -> Sequence[Draws]:
        """Return the terms in groups with their usable replications; `columns` as in `draws_of`.

        Groups are made once for each set of columns; where asking for more columns drops no replication, the group
        of before is given again, with all that was computed of it.
        """
        if columns not in self._draws:
            self._draws[columns] = self._found(columns)
        return self._draws[columns]

    def _found(self, columns: Columns) -> list[Draws]:
        usable = self.usable(columns)
        if columns and np.array_equal(usable, self.usable()):
            return list(self.draws())
        # Columns can only drop replications: the same terms and as many replications are the same ones.
        known = {(d.terms, d.n): d for d in self._draws.get(NONE, [])}
        fresh = draws_of(self.estimates, self.truth, self.level, columns, self.null, usable)
        return [known.get((d.terms, d.n), d) for d in fresh]


class CellRows:
    """Rows of one condition by method label.

    `estimates` hold what is read at once: all rows of a short condition, of a long one (with `names`, the terms and
    quantities by method) what each fit has but its numbers. `named` reads those of some names.
    """

    def __init__(
        self,
        estimates: Mapping[str, Estimates],
        truth: Truth,
        level: float,
        null: Null = NO_NULL,
        seconds: Callable[[], pd.DataFrame] = pd.DataFrame,
        names: Mapping[str, Names] | None = None,
        named: Callable[[Names], Mapping[str, Estimates]] = dict,  # type: ignore[assignment]
    ) -> None:
        self.estimates, self.truth, self.level, self.null, self.seconds = (
            estimates,
            truth,
            level,
            null,
            seconds,
        )
        self.names, self._named = names, named
        self._blocks: dict[tuple[str, Names | None], Block] = {}
        self._sizes: dict[str, int] = {}

    @property
    def labels(self) -> Sequence[str]:
        """Methods that have rows."""
        return list(self.estimates)

    def attempted(self, label: str) -> int:
        """Return the number of fits.

        Counted once: asking an `Estimates` that is read from disk would read it.
        """
        if label not in self._sizes:
            self._sizes[label] = self.estimates[label].size
        return self._sizes[label]

    def groups(self, *labels: str) -> list[Names | None]:
        """Return which terms of some methods (default: all) are at hand together: all (None), or one after another."""
        if self.names is None:
            return [None]
        there = (name for label in labels or self.names for name in self.names[label])
        return [(name,) for name in dict.fromkeys(there) if not name.startswith(VARIANCE_PREFIX)]

    def block(self, label: str, names: Names | None = None) -> Block:
        """Return a method's rows of all terms, or of those named (a group's); of few rows all blocks are kept, else the
        last one."""
        key = label, names
        if key not in self._blocks:
            # Let go before the next is read: two blocks of a million replications at once would double the memory.
            if names is not None or sum(map(_numbers, self._blocks.values())) > KEPT:
                self._blocks.clear()
            estimates = self.estimates[label] if names is None else self._of(label, names)
            self._blocks[key] = Block(estimates, self.truth, self.level, self.null)
        return self._blocks[key]

    def blocks(self, label: str) -> Iterator[Block]:
        """Yield a method's rows, group by group."""
        for names in self.groups(label):
            yield self.block(label, names)

    def draws(self, label: str, columns: Columns = NONE) -> Iterator[Draws]:
        """Yield a method's terms, as `Block.draws`."""
        for block in self.blocks(label):
            yield from block.draws(columns)

    def quantities(self, label: str) -> Iterator[Draws]:
        """Yield the fit-level quantities whose truth is known."""
        if self.names is None:
            yield from quantity_draws(self.estimates[label], self.truth, self.level)
            return
        for name in self.names[label]:
            if name.startswith(VARIANCE_PREFIX) and name in self.truth:
                yield from quantity_draws(self._of(label, (name,)), self.truth, self.level)

    def _of(self, label: str, names: Names) -> Estimates:
        """Return a method's rows of some names, read from disk where they aren't at hand."""
        return self.estimates[label].only(names) if self.names is None else self._named(names)[label]


def _numbers(block: Block) -> int:
    """Return how many numbers each column of a block has."""
    return block.estimates.size * len(block.estimates.terms)


def rows_of(results: Results, index: int) -> CellRows:
    """Return the rows of a condition.

    Parameters
    ----------
    results : Results
    index : int
        The condition's number.

    Returns
    -------
    CellRows
        All rows at hand up to `LONG` replications or `ROWS` rows; beyond, terms are read as they are asked for.
    """
    cell = results.experiment.cells[index]
    truth, level, null = cell.truth, cell.model.level, cell.model.null

    def seconds() -> pd.DataFrame:
        return results.timings(index)

    names, length = None, len(results.span(index))
    if length > LONG:
        names = results.names(index)
    if names is None or length * sum(map(len, names.values())) <= ROWS:
        whole = {label: terms_first(estimates) for label, estimates in results.estimates(index).items()}
        return CellRows(whole, truth, level, null, seconds)
    return CellRows(
        results.estimates(index, names=()),
        truth,
        level,
        null,
        seconds,
        names,
        lambda names: results.estimates(index, names=names),
    )


def matched(first: Block, second: Block, columns: Columns = NONE) -> Iterator[Paired]:
    """Yield two blocks' terms on the replications usable for both.

    What is compared in pairs must be of the same data sets: replications that only one of the two could answer say
    nothing about the difference.
    """
    for a in first.draws(columns):
        for b in second.draws(columns):
            if a.n and b.n and set(a.terms) & set(b.terms):
                pair = shared(a, b)
                if pair.n:
                    yield pair

"""A cell with many replications, read in parts behind the interface of `CellRows`.

`in_cell` runs a function of `CellRows` over a cell: up to `PART` replications are read at once; of more, `Parted` rows
hold nothing but a ledger of statistics, and the cell is read as often as statistics build on one another (about five
times).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from nestbench.estimators.estimates import ENDS, P_VALUE, STD_ERROR, Estimates
from nestbench.experiments.results import Results
from nestbench.reports.measures.cell_rows import NONE, CellRows, Column, Columns, Fits, Whole
from nestbench.reports.measures.draws import (
    COLUMNS,
    Draws,
    Null,
    Paired,
    Truth,
    draws_of,
    null_of,
    quantity_draws,
    shared,
    usable_for,
)
from nestbench.reports.measures.totals import COUNT, Key, Ledger, Totals, resolve
from nestbench.sim.observed.batch import Floats
from nestbench.sim.observed.model import Model

PART = 50_000
"""Most replications of a cell that are read at once."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Extent:
    """What an estimator has in a cell: its terms, its quantities with a truth, its fits."""

    terms: tuple[str, ...]
    quantities: tuple[str, ...]
    attempted: int


def key_of(label: str, kind: str, term: str = "", columns: Columns = NONE, first: str = "") -> Key:
    """Return whose replications: sorted, keys of an estimator follow one another, and of a pair those of the second."""
    return (label, kind, first, ",".join(sorted(columns)), term)


class Parted:
    """Rows of which nothing is at hand but statistics, by a ledger; every term is a group of its own."""

    def __init__(
        self, extents: Mapping[str, Extent], timed: Sequence[str], truth: Truth, level: float, null: Null
    ) -> None:
        self.extents, self.timed, self.truth, self.level, self.null = extents, timed, truth, level, null
        self.ledger = Ledger()

    @property
    def labels(self) -> Sequence[str]:
        return list(self.extents)

    def attempted(self, label: str) -> int:
        return self.extents[label].attempted

    def draws(self, label: str, columns: Columns = NONE) -> Sequence[Draws]:
        extent = self.extents[label]
        return [self.nothing(key_of(label, "draws", t, columns), t, extent.attempted) for t in extent.terms]

    def quantities(self, label: str) -> Sequence[Draws]:
        extent = self.extents[label]
        return [self.nothing(key_of(label, "quantity", q), q, extent.attempted) for q in extent.quantities]

    def paired(self, first: str, second: str, columns: Columns = NONE) -> Sequence[Paired]:
        both = [term for term in self.extents[first].terms if term in self.extents[second].terms]
        n = min(self.attempted(first), self.attempted(second))
        pairs = []
        for term in both:
            one, other, pair = (
                key_of(second, kind, term, columns, first) for kind in ("first", "second", "pair")
            )
            totals = Totals(self.ledger, pair)
            pairs.append(Paired(self.nothing(one, term, n), self.nothing(other, term, n), totals))
        return [pair for pair in pairs if pair.n]

    def fits(self, label: str) -> Fits:
        return Fits(
            _none(self.extents[label].terms),
            self.attempted(label),
            Totals(self.ledger, key_of(label, "fits")),
        )

    def seconds(self) -> Mapping[str, Column]:
        columns = {
            label: Column(
                np.empty((1, 0)), self.attempted(label), Totals(self.ledger, key_of(label, "seconds"))
            )
            for label in self.timed
        }
        return {label: column for label, column in columns.items() if column.n}

    def nothing(self, key: Key, term: str, attempted: int) -> Draws:
        """Return draws of a term without any at hand."""
        true = np.atleast_1d(np.asarray(self.truth.get(term, np.nan), dtype=np.float64))[None, :]
        none = np.empty((1, 0))
        return Draws(
            terms=(term,),
            replications=np.empty(0, dtype=np.int64),
            truth=true,
            level=self.level,
            attempted=attempted,
            null=null_of((term,), self.null),
            totals=Totals(self.ledger, key),
            **dict.fromkeys(COLUMNS, none),  # type: ignore[arg-type]
        )


class Part:
    """One part of a cell, and its samples by the keys of `Parted`; it keeps the rows of three estimators at most."""

    def __init__(self, rows: Parted, whole: Whole) -> None:
        self._rows, self._whole = rows, whole
        self._estimates: dict[str, Estimates] = {}
        self._groups: dict[tuple[str, Columns], list[Draws]] = {}
        self._seconds: Mapping[str, Column] | None = None

    def sample(self, key: Key) -> Any:
        """Return the part's replications of a key."""
        label, kind, first, listed, term = key
        columns = frozenset(listed.split(",")) if listed else NONE
        totals = Totals(self._rows.ledger, key)
        if kind == "draws":
            return self._told(self._draws(label, columns, term), label, term, totals)
        if kind == "quantity":
            found = quantity_draws(self._of(label), {term: self._rows.truth[term]}, self._rows.level)
            return self._told(next(iter(found), None), label, term, totals)
        if kind == "fits":
            return Fits(self._of(label), self._rows.attempted(label), totals)
        if kind == "seconds":
            return self._timed(label, totals)
        pair = self._pair(first, label, columns, term)
        return {"first": pair.first, "second": pair.second, "pair": pair}[kind]

    def _timed(self, label: str, totals: Totals) -> Column:
        if self._seconds is None:
            self._seconds = self._whole.seconds()
        values = self._seconds[label].values if label in self._seconds else np.empty((1, 0))
        return Column(values, self._rows.attempted(label), totals)

    def _draws(self, label: str, columns: Columns, term: str) -> Draws | None:
        """Return the group that has a term, None if the part has none."""
        if (label, columns) not in self._groups:
            found = draws_of(self._of(label), self._rows.truth, self._rows.level, columns, self._rows.null)
            self._groups[label, columns] = list(found)
        return next((d for d in self._groups[label, columns] if term in d.terms), None)

    def _told(self, group: Draws | None, label: str, term: str, totals: Totals) -> Draws:
        """Return a term's draws, found in a group, with the cell's totals."""
        if group is None:
            return self._rows.nothing(totals.key, term, self._rows.attempted(label))
        k = group.terms.index(term)
        columns: dict[str, Any] = {name: getattr(group, name)[k : k + 1] for name in COLUMNS}
        return Draws(
            terms=(term,),
            replications=group.replications,
            truth=group.truth[k : k + 1],
            level=group.level,
            attempted=self._rows.attempted(label),
            null=group.null[k : k + 1],
            totals=totals,
            **columns,
        )

    def _pair(self, first: str, second: str, columns: Columns, term: str) -> Paired:
        one, other, both = (
            Totals(self._rows.ledger, key_of(second, kind, term, columns, first))
            for kind in ("first", "second", "pair")
        )
        a, b = (
            self._told(self._draws(label, columns, term), label, term, totals)
            for label, totals in ((first, one), (second, other))
        )
        pair = shared(a, b)
        return Paired(
            self._told(pair.first, first, term, one), self._told(pair.second, second, term, other), both
        )

    def _of(self, label: str) -> Estimates:
        if label not in self._estimates:
            for old in list(self._estimates)[:-2]:
                del self._estimates[old]
                self._groups = {at: found for at, found in self._groups.items() if at[0] != old}
            found = self._whole.estimates.get(label)
            terms = self._rows.extents[label].terms
            self._estimates[label] = _none(terms) if found is None else found.with_terms(terms)
        else:
            self._estimates[label] = self._estimates.pop(label)  # the last one used
        return self._estimates[label]


USED = (NONE, frozenset({STD_ERROR}), frozenset(ENDS), frozenset({P_VALUE}))
"""Sets of columns that measures ask for: their replications are counted beforehand."""


def in_cell(results: Results, index: int, job: Callable[[CellRows], T]) -> T:
    """Return a function's answer over the rows of one cell."""
    return over(pieces_of(results, index), job)


def over(pieces: Sequence[Whole], job: Callable[[CellRows], T]) -> T:
    """Return a function's answer over rows in pieces."""
    if len(pieces) == 1:
        return job(pieces[0])
    rows = survey_of(pieces)

    def parts() -> Iterator[Callable[[Key], Any]]:
        for piece in pieces:
            yield Part(rows, piece).sample

    return resolve(lambda: job(rows), rows.ledger, parts)


def pieces_of(results: Results, index: int) -> list[Whole]:
    """Return the rows of a cell in pieces of at most `PART` replications, of the same numbers in every run.

    Each is read when it is asked for; where only later replications are stored, the first pieces are empty.
    """
    cell = results.experiment.cells[index]
    truth, model = cell.truth, cell.model
    stop = results.stop(index)
    if stop > PART:
        spans = [range(start, min(start + PART, stop)) for start in range(0, stop, PART)]
        return [_spanned(results, index, truth, model, span) for span in spans]
    found = dict(results.estimates(index))
    return [Whole(found, truth, model.level, lambda: seconds_of(results.timings(index)), model.null)]


def in_turn(pieces: Sequence[Whole]) -> Iterator[Whole]:
    """Give one piece after another; of several, each forgets what was computed of it before the next is read."""
    for piece in pieces:
        yield piece
        if len(pieces) > 1:
            piece.forget()


def merged(pieces: Mapping[str, Whole | None]) -> Whole:
    """Return pieces of several runs of a cell as one, each run's labels with the run's own beginning."""
    there = {start: piece for start, piece in pieces.items() if piece is not None}
    one = next(iter(there.values()))
    estimates = _Merged({start: piece.estimates for start, piece in there.items()})
    return Whole(estimates, one.truth, one.level, null=one.null)


class _Merged(Mapping[str, Estimates]):
    """Estimates by label after the beginning of their mapping."""

    def __init__(self, mappings: Mapping[str, Mapping[str, Estimates]]) -> None:
        self._places = {start + label: (m, label) for start, m in mappings.items() for label in m}

    def __getitem__(self, label: str) -> Estimates:
        mapping, own = self._places[label]
        return mapping[own]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def first_piece(results: Results, index: int) -> Whole:
    """Return the first piece of a cell that has rows: all of most cells, of others as good a sample as any."""
    pieces = pieces_of(results, index)
    return next((piece for piece in pieces if piece.labels), pieces[0])


def _spanned(results: Results, index: int, truth: Truth, model: Model, span: range) -> Whole:
    estimates = results.estimates(index, span)
    return Whole(estimates, truth, model.level, lambda: seconds_of(results.timings(index, span)), model.null)


def seconds_of(timings: pd.DataFrame) -> dict[str, Floats]:
    """Return the finite seconds of a table of timings by estimator."""
    by_label = timings.groupby("estimator", sort=False, observed=True)["seconds"] if len(timings) else ()
    found = {str(label): part.to_numpy(dtype=np.float64) for label, part in by_label}
    return {label: seconds[np.isfinite(seconds)] for label, seconds in found.items()}


def survey_of(pieces: Sequence[Whole]) -> Parted:
    """Return the rows of a cell in pieces, after one look at each for its estimators, terms and replications."""
    terms: dict[str, dict[str, None]] = {}
    names: dict[str, dict[str, None]] = {}
    attempted: Counter[str] = Counter()
    usable: Counter[Key] = Counter()
    timed: dict[str, None] = {}
    truth = pieces[0].truth
    for piece in pieces:
        for label in piece.labels:
            found = piece.estimates[label]
            attempted[label] += found.size
            terms.setdefault(label, {}).update(dict.fromkeys(found.terms))
            names.setdefault(label, {}).update(dict.fromkeys(n for n in found.quantities if n in truth))
            for columns in USED:
                for term, there in zip(found.terms, usable_for(found, columns).T, strict=True):
                    usable[key_of(label, "draws", term, columns)] += int(there.sum())
        timed |= dict.fromkeys(piece.seconds())
    extents = {label: Extent(tuple(terms[label]), tuple(names[label]), attempted[label]) for label in terms}
    rows = Parted(extents, list(timed), truth, pieces[0].level, pieces[0].null)
    rows.ledger.known.update({(key, COUNT): n for key, n in usable.items()})
    return rows


def _none(terms: tuple[str, ...]) -> Estimates:
    return Estimates.unusable(terms, np.empty(0, dtype=np.int64))

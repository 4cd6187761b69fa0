"""Estimates as long rows, a row a replication and term, and back: the only place that knows both forms.

Long rows are what every tool for tables can read, and compress well because columns repeat; [R, K] arrays are what
measures are computed on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nestbench.estimators.estimates import ESTIMATE, STORED_COLUMNS, VARIANCE_PREFIX, Estimates
from nestbench.sim.observed.batch import Floats, Ints

STORED_SCHEMA = pa.schema(
    [
        ("estimator", pa.dictionary(pa.int16(), pa.string())),
        ("term", pa.dictionary(pa.int16(), pa.string())),
        ("replication", pa.int32()),
        *[(name, pa.float64()) for name in STORED_COLUMNS],
        ("status", pa.int8()),
        ("message", pa.dictionary(pa.int32(), pa.string())),
    ]
)
"""Columns of a task's Parquet file, rows ordered by method, term, replication. `seconds` is kept apart: the stored
estimates of a task are the same bytes whoever computed them."""


def to_table(label: str, estimates: Estimates) -> pa.Table:
    """Return the stored rows of one method: terms first, then fit-level quantities (estimate only)."""
    names = [*estimates.terms, *estimates.quantities]
    reps, terms = estimates.size, len(estimates.terms)
    extra = len(names) - terms
    total = reps * len(names)

    def long(values: Floats, fill: Sequence[Floats] = ()) -> Floats:
        tail = list(fill) if fill else [np.full(reps, np.nan)] * extra
        return np.concatenate([values.T.ravel(), *tail]) if total else np.empty(0)

    columns: dict[str, Any] = {
        "estimator": pa.DictionaryArray.from_arrays(pa.array(np.zeros(total, np.int16)), pa.array([label])),
        "term": pa.DictionaryArray.from_arrays(
            pa.array(np.repeat(np.arange(len(names), dtype=np.int16), reps)), pa.array(names, pa.string())
        ),
        "replication": np.tile(estimates.replications.astype(np.int32), len(names)),
        ESTIMATE: long(estimates.estimate, [*estimates.quantities.values()]),
        **{name: long(getattr(estimates, name)) for name in STORED_COLUMNS[1:]},
        "status": np.tile(estimates.status.astype(np.int8), len(names)),
        "message": pa.DictionaryArray.from_arrays(
            pa.array(np.tile(estimates.message.astype(np.int32), len(names))),
            pa.array(list(estimates.messages), pa.string()),
        ),
    }
    return pa.table(columns, schema=STORED_SCHEMA)


def from_table(table: pa.Table, wanted: Callable[[str], bool] | None = None) -> dict[str, Estimates]:
    """Return stored rows (of one condition, any number of tasks) as `Estimates` by method label, by replication.

    `seconds` is NaN: times are stored apart. `wanted` says of which terms and quantities; of none it is fits alone.
    """
    return _Reader(table.unify_dictionaries().combine_chunks(), wanted).all()


@dataclass(slots=True)
class _Reader:
    """Reassembles [R, K] arrays from long rows by (method, term, replication) codes.

    Rows are taken as they lie where they lie as `to_table` writes them, and sorted otherwise (parts merged in any
    order).
    """

    table: pa.Table
    wanted: Callable[[str], bool] | None = None
    cache: dict[str, Any] = field(default_factory=dict)

    def all(self) -> dict[str, Estimates]:
        """Return the estimates of every method that has rows."""
        if not self.table.num_rows:
            return {}
        codes, labels = self._codes("estimator")
        return {
            label: self._one(np.flatnonzero(codes == i))
            for i, label in enumerate(labels)
            if (codes == i).any()
        }

    def _codes(self, name: str) -> tuple[npt.NDArray[Any], list[str]]:
        """Return a dictionary column's codes and its texts."""
        if name not in self.cache:
            array = self.table.column(name).chunk(0)
            self.cache[name] = (array.indices.to_numpy(zero_copy_only=False), array.dictionary.to_pylist())
        pair: tuple[npt.NDArray[Any], list[str]] = self.cache[name]
        return pair

    def _values(self, name: str) -> npt.NDArray[Any]:
        """Return a column of numbers."""
        if name not in self.cache:
            self.cache[name] = self.table.column(name).to_numpy()
        values: npt.NDArray[Any] = self.cache[name]
        return values

    def _one(self, rows: Ints) -> Estimates:
        """Return one method's rows as arrays; ValueError where a term lacks a replication that another term has."""
        term_codes, term_names = self._codes("term")
        message_codes, messages = self._codes("message")
        rows = self._chosen(rows, term_codes, term_names)
        codes, numbers = term_codes[rows], self._values("replication")[rows]
        if _in_order(codes, numbers):
            length = int((codes == codes[0]).sum())
            present, replications = codes[::length], numbers[:length].astype(np.int64)
            names = [term_names[c] for c in present]
        else:
            rows = rows[np.lexsort((numbers, codes))]
            present, replications = np.unique(codes), np.unique(numbers).astype(np.int64)
            names = [term_names[c] for c in present[np.argsort(_first_seen(codes, present))]]
        shape = (len(present), len(replications))
        if len(rows) != shape[0] * shape[1]:
            raise ValueError(f"expected one row per term and replication, got {len(rows)} rows for {shape}")
        by_code = dict(zip([term_names[c] for c in present], range(len(present)), strict=True))
        names = [name for name in names if self.wanted is None or self.wanted(name)]
        is_term = [name for name in names if not name.startswith(VARIANCE_PREFIX)]
        pick = [by_code[name] for name in is_term]
        grids = {name: self._values(name)[rows].reshape(shape) for name in STORED_COLUMNS}
        return Estimates(
            terms=tuple(is_term),
            replications=replications,
            **{name: np.ascontiguousarray(grid[pick].T) for name, grid in grids.items()},
            # A fit's status and message are repeated in the rows of all its terms: the first term's will do.
            status=self._values("status")[rows].reshape(shape)[0].astype(np.int8),
            quantities={
                n: grids[ESTIMATE][by_code[n]].copy() for n in names if n.startswith(VARIANCE_PREFIX)
            },
            message=message_codes[rows].reshape(shape)[0].astype(np.int32),
            messages=tuple(messages),
            seconds=np.full(len(replications), np.nan),
        )

    def _chosen(self, rows: Ints, codes: npt.NDArray[Any], names: list[str]) -> Ints:
        """Return the rows of the names wanted; where a method has none, those of its first, for what fits are."""
        if self.wanted is None:
            return rows
        kept = [code for code, name in enumerate(names) if self.wanted(name)]
        chosen = rows[np.isin(codes[rows], kept)]
        return chosen if len(chosen) else rows[codes[rows] == codes[rows[0]]]


def _in_order(codes: npt.NDArray[Any], numbers: npt.NDArray[Any]) -> bool:
    """Whether rows are as `to_table` writes them: term by term, each with the same replications, ascending."""
    length = int((codes == codes[0]).sum())
    if len(codes) % length:
        return False
    by_term, by_number = codes.reshape(-1, length), numbers.reshape(-1, length)
    return bool(
        (by_term == by_term[:, :1]).all()
        and (np.diff(by_term[:, 0]) > 0).all()
        and (by_number == by_number[0]).all()
        and (np.diff(by_number[0]) > 0).all()
    )


def _first_seen(codes: npt.NDArray[Any], present: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Position of each present code's first row, in stored order."""
    return np.array([np.argmax(codes == c) for c in present])

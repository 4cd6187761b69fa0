"""The one schema of results: what every engine returns, what is stored, and what reports read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nestbench.sim.observed.batch import Floats, Ints

VARIANCE_PREFIX = "("
"""Fit-level quantities are stored as rows whose term is in parentheses: ``(school_sd)``, ``(loglik)``."""


class FitStatus(IntEnum):
    """What became of a fit. OK and BOUNDARY are usable; the others never enter a measure as estimates."""

    OK = 0
    BOUNDARY = 1
    NOT_CONVERGED = 2
    SINGULAR = 3
    FAILED = 4
    TIMEOUT = 5

    @property
    def usable(self) -> bool:
        """Whether the estimates of such a fit count as answers."""
        return self <= FitStatus.BOUNDARY


@dataclass(frozen=True, slots=True, eq=False)
class Estimates:
    """Results of one estimator on R data sets: a struct of arrays.

    Attributes
    ----------
    terms : tuple of str
        Names of the K fixed effects.
    replications : int64 [R]
        The replications' numbers.
    estimate, std_error, df, lower, upper, p_value : float64 [R, K]
        NaN where there is no answer. `df` is inf for a normal reference distribution, NaN where the method has none.
    status : int8 [R]
        `FitStatus` of each fit.
    quantities : mapping of str to float64 [R]
        Fit-level numbers by name in parentheses: ``(school_sd)``, ``(residual_sd)``, ``(icc)``, ``(loglik)``, and
        diagnostics when asked for. Only what the method has.
    message : int32 [R]
        Index into `messages`; 0 is no message.
    messages : tuple of str
        Distinct messages; ``messages[0] == ""``.
    seconds : float64 [R]
        Wall time of each fit; for a batched engine the batch's time divided by R.
    """

    terms: tuple[str, ...]
    replications: Ints
    estimate: Floats
    std_error: Floats
    df: Floats
    lower: Floats
    upper: Floats
    p_value: Floats
    status: npt.NDArray[np.int8]
    quantities: Mapping[str, Floats]
    message: npt.NDArray[np.int32]
    messages: tuple[str, ...]
    seconds: Floats

    @property
    def size(self) -> int:
        """Number of fits R."""
        return len(self.replications)

    @property
    def usable(self) -> npt.NDArray[np.bool_]:
        """Whether each fit and term gave a usable answer [R, K]: status OK or BOUNDARY, estimate finite, and with it a
        finite SE or, of methods that have none, an interval or a p-value."""
        good = (self.status <= FitStatus.BOUNDARY)[:, None]
        interval = ~np.isnan(self.lower) & ~np.isnan(self.upper)
        instead = np.isnan(self.std_error) & (interval | ~np.isnan(self.p_value))
        return good & np.isfinite(self.estimate) & (np.isfinite(self.std_error) | instead)

    def texts(self) -> list[str]:
        """Return the message of each fit [R]."""
        return [self.messages[code] for code in self.message]


STORED_COLUMNS = ("estimate", "std_error", "df", "lower", "upper", "p_value")

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
"""Columns of a task's Parquet file, rows ordered by estimator, term, replication. `seconds` is kept apart: the stored
estimates of a task are the same bytes whoever computed them."""


def to_table(label: str, estimates: Estimates) -> pa.Table:
    """Return the stored rows of one estimator: terms first, then fit-level quantities (estimate only)."""
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
        "estimate": long(estimates.estimate, [*estimates.quantities.values()]),
        **{name: long(getattr(estimates, name)) for name in STORED_COLUMNS[1:]},
        "status": np.tile(estimates.status.astype(np.int8), len(names)),
        "message": pa.DictionaryArray.from_arrays(
            pa.array(np.tile(estimates.message.astype(np.int32), len(names))),
            pa.array(list(estimates.messages), pa.string()),
        ),
    }
    return pa.table(columns, schema=STORED_SCHEMA)


def from_table(table: pa.Table) -> dict[str, Estimates]:
    """Return stored rows (of one cell, any number of tasks) as `Estimates` by estimator label, by replication.

    `seconds` is NaN: times are stored apart.
    """
    return _Reader(table.unify_dictionaries().combine_chunks()).all()


@dataclass(slots=True)
class _Reader:
    """Reassembles [R, K] arrays from long rows by (estimator, term, replication) codes."""

    table: pa.Table
    cache: dict[str, Any] = field(default_factory=dict)

    def all(self) -> dict[str, Estimates]:
        if not self.table.num_rows:
            return {}
        codes, labels = self._codes("estimator")
        return {
            label: self._one(np.flatnonzero(codes == i))
            for i, label in enumerate(labels)
            if (codes == i).any()
        }

    def _codes(self, name: str) -> tuple[npt.NDArray[Any], list[str]]:
        if name not in self.cache:
            array = self.table.column(name).chunk(0)
            self.cache[name] = (array.indices.to_numpy(zero_copy_only=False), array.dictionary.to_pylist())
        found: tuple[npt.NDArray[Any], list[str]] = self.cache[name]
        return found

    def _values(self, name: str) -> npt.NDArray[Any]:
        if name not in self.cache:
            self.cache[name] = self.table.column(name).to_numpy()
        values: npt.NDArray[Any] = self.cache[name]
        return values

    def _one(self, rows: Ints) -> Estimates:
        term_codes, term_names = self._codes("term")
        message_codes, messages = self._codes("message")
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
        is_term = [name for name in names if not name.startswith(VARIANCE_PREFIX)]
        pick = [by_code[name] for name in is_term]
        grids = {name: self._values(name)[rows].reshape(shape) for name in STORED_COLUMNS}
        return Estimates(
            terms=tuple(is_term),
            replications=replications,
            **{name: np.ascontiguousarray(grid[pick].T) for name, grid in grids.items()},
            status=self._values("status")[rows].reshape(shape)[0].astype(np.int8),
            quantities={
                n: grids["estimate"][by_code[n]].copy() for n in names if n.startswith(VARIANCE_PREFIX)
            },
            message=message_codes[rows].reshape(shape)[0].astype(np.int32),
            messages=tuple(messages),
            seconds=np.full(len(replications), np.nan),
        )


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

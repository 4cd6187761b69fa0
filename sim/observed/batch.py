"""Observed data: what an analyst would see, and nothing else.

A `Batch` holds R data sets of one condition as long arrays. Rows are sorted by replication, then school, so a school is
a slice and a replication is a slice of schools: `school_offsets[s] : school_offsets[s + 1]` are the rows of school `s`,
`replication_offsets[r] : replication_offsets[r + 1]` the schools of replication `r`. Sizes may differ between schools
and between replications.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.sharing import priced, use
from nestbench.sim.streams import StreamSource

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Category:
    """A categorical column: `codes` [N] (int32, -1 never) into `levels`, sorted; `levels[0]` is the reference."""

    codes: npt.NDArray[np.int32]
    levels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.codes)


Column = Floats | Category


class MadeColumns(Mapping[str, Column]):
    """Columns that are made when one of them is first read; what kinds they are is known before."""

    @abstractmethod
    def levels(self, name: str) -> tuple[str, ...] | None:
        """Return the levels of a category, None for numbers; makes nothing."""

    @abstractmethod
    def take(self, replications: Ints) -> Mapping[str, Column]:
        """Return the columns of some replications, by position; makes nothing of the others."""

    def each_value(self, name: str) -> tuple[Floats, Ints] | None:
        """Return numbers [k] among which is every value of a column, and the first of each replication [R + 1]; None
        where that takes making it."""
        return None

    def __contains__(self, name: object) -> bool:
        # A mapping's own looks an item up, which would make it.
        return any(name == own for own in self)


PRICE = "price"
"""Marks, in a batch's memory, what a remembered result cost."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Batch:
    """R observed data sets of one condition.

    Attributes
    ----------
    columns : mapping of str to Column
        Every column but the group, each of length N (rows of all replications); perhaps made when read (`MadeColumns`).
    group : str
        Name of the group column (the schools).
    school_offsets : int64 [S + 1]
        First row of each school, over all replications.
    replication_offsets : int64 [R + 1]
        First school of each replication.
    replications : int64 [R]
        The replications' numbers.
    school_labels : tuple of str, or None
        Label of each of the S schools; None means "S01", "S02", ... within each replication.
    streams : StreamSource
        Where a method that needs random numbers gets them.
    """

    columns: Mapping[str, Column]
    group: str
    school_offsets: Ints
    replication_offsets: Ints
    replications: Ints
    streams: StreamSource
    school_labels: tuple[str, ...] | None = None
    _memo: dict[Any, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.columns, MadeColumns):
            # What `once` remembers is of these values: nobody may change them behind its back.
            freeze(self.columns)

    @property
    def size(self) -> int:
        """Number of replications R."""
        return len(self.replications)

    @property
    def rows(self) -> int:
        """Number of rows N over all replications."""
        return int(self.school_offsets[-1])

    @property
    def row_offsets(self) -> Ints:
        """First row of each replication [R + 1]."""
        return self.school_offsets[self.replication_offsets]

    def levels(self, name: str) -> tuple[str, ...] | None:
        """Return the levels of a column that is a category, None for numbers."""
        if isinstance(self.columns, MadeColumns):
            return self.columns.levels(name)
        column = self.columns[name]
        return column.levels if isinstance(column, Category) else None

    def once(self, function: Callable[..., T], *args: Any) -> T:
        """Return ``function(self, *args)``, computed once per batch: what several methods share (hashable args).

        A result that refers to the batch should do so weakly: a cycle would keep the data until the next collection.
        """
        key = (function, args)
        if key not in self._memo:
            self._memo[key], self._memo[PRICE, key] = priced(lambda: function(self, *args))
        use(self._memo.get((PRICE, key), {}))
        return cast(T, self._memo[key])

    def put(self, value: T, function: Callable[..., T], *args: Any) -> None:
        """Make `once` return a value that is known from elsewhere."""
        self._memo[(function, args)] = value

    def replication(self, index: int) -> Sample:
        """Return data set `index` (0 .. R - 1) of this batch."""
        return Sample(self, index)

    def take(self, indices: npt.ArrayLike) -> Batch:
        """Return a batch of some of the replications, by position and in the order given."""
        chosen = np.asarray(indices, dtype=np.int64)
        none = np.empty(0, dtype=np.int64)
        schools = np.concatenate([none, *(np.arange(*self.replication_offsets[i : i + 2]) for i in chosen)])
        sizes = np.diff(self.school_offsets)[schools]
        counts = np.diff(self.replication_offsets)[chosen]
        return Batch(
            columns=self._columns_of(chosen),
            group=self.group,
            school_offsets=offsets_of(sizes),
            replication_offsets=offsets_of(counts),
            replications=self.replications[chosen],
            streams=self.streams,
            school_labels=self._labels_of(chosen),
        )

    def _labels_of(self, chosen: Ints) -> tuple[str, ...] | None:
        """Return the labels of the schools of some replications, a slice each: one by one, hundred thousands of schools
        take as long as their fits."""
        labels, ends = self.school_labels, self.replication_offsets.tolist()
        if labels is None:
            return None
        return tuple(chain.from_iterable(labels[ends[i] : ends[i + 1]] for i in chosen.tolist()))

    def _columns_of(self, chosen: Ints) -> Mapping[str, Column]:
        if isinstance(self.columns, MadeColumns):
            return self.columns.take(chosen)
        none = np.empty(0, dtype=np.int64)
        rows = np.concatenate([none, *(np.arange(*self.row_offsets[i : i + 2]) for i in chosen)])
        return {name: _rows(column, rows) for name, column in self.columns.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One data set of a batch, as an analyst would hold it."""

    batch: Batch
    index: int

    @property
    def number(self) -> int:
        """The replication's number."""
        return int(self.batch.replications[self.index])

    @property
    def rows(self) -> slice:
        """The rows of this data set in the batch's columns."""
        start, stop = self.batch.row_offsets[self.index : self.index + 2]
        return slice(int(start), int(stop))

    @property
    def school_sizes(self) -> Ints:
        """Students per school [G]."""
        first, last = self.batch.replication_offsets[self.index : self.index + 2]
        return np.diff(self.batch.school_offsets[first : last + 1])

    @property
    def labels(self) -> list[str]:
        """School labels [G]."""
        first, last = (int(i) for i in self.batch.replication_offsets[self.index : self.index + 2])
        if self.batch.school_labels is not None:
            return list(self.batch.school_labels[first:last])
        return labels_of(last - first)

    @property
    def groups(self) -> Ints:
        """School number 0 .. G - 1 of each student [n]."""
        sizes = self.school_sizes
        return np.repeat(np.arange(len(sizes)), sizes)

    def frame(self) -> pd.DataFrame:
        """Return the data as a DataFrame: the columns in order, then the group column, rows sorted by school."""
        import pandas as pd

        rows = self.rows
        data: dict[str, Any] = {}
        for name, column in self.batch.columns.items():
            if isinstance(column, Category):
                data[name] = pd.Categorical.from_codes(column.codes[rows], categories=pd.Index(column.levels))
            else:
                # Methods may write into their frame; the batch is everybody's.
                data[name] = column[rows].copy()
        data[self.batch.group] = np.repeat(np.asarray(self.labels, dtype=object), self.school_sizes)
        return pd.DataFrame(data)


def batch_of_frame(frame: pd.DataFrame, group: str, seed: int = 0) -> Batch:
    """Return a batch of one replication holding the user's own data.

    Numeric and boolean columns become floats, all others categories with sorted levels. Rows are sorted by school
    (labels in code-point order, as strings). Missing values must be gone (`InvalidInput` otherwise).

    Rows are sorted by school, as in every batch; methods see a user's table through the same door as simulated data.

    Parameters
    ----------
    frame : DataFrame
        Complete: rows with missing values are dropped before.
    group : str
        Column of the schools.
    seed : int
        Of the streams that bootstraps draw from.
    """
    if group not in frame.columns:
        raise InvalidInput(
            f"expected a group column '{group}', got the columns {', '.join(map(str, frame.columns))}; "
            "name the group column with --group (group=...)"
        )
    # Which rows are dropped depends on the columns in use, which only the caller knows.
    if frame.isna().to_numpy().any():
        raise InvalidInput("expected data without missing values here; drop incomplete rows first")
    labels = frame[group].astype(str).to_numpy(dtype=object)
    # By code points, not as a locale sorts: a table is the same batch on every machine.
    order = np.argsort(labels.astype(str), kind="stable")
    names, sizes = np.unique(labels.astype(str), return_counts=True)
    ordered = frame.iloc[order]
    columns = {str(name): column_of(ordered[name]) for name in frame.columns if name != group}
    return Batch(
        columns=columns,
        group=group,
        school_offsets=offsets_of(sizes),
        replication_offsets=np.array([0, len(names)], dtype=np.int64),
        replications=np.zeros(1, dtype=np.int64),
        streams=StreamSource(seed, "user-data"),
        school_labels=tuple(str(name) for name in names),
    )


def column_of(values: pd.Series[Any]) -> Column:
    """Return a Series as a column: numbers and booleans as float64, anything else as a sorted category."""
    import pandas as pd

    if isinstance(values.dtype, pd.CategoricalDtype):
        levels = tuple(str(level) for level in values.cat.categories)
        return Category(np.asarray(values.cat.codes, dtype=np.int32), levels)
    if pd.api.types.is_numeric_dtype(values.dtype):
        return np.ascontiguousarray(values.to_numpy(dtype=np.float64))
    names, codes = np.unique(values.astype(str).to_numpy(dtype=str), return_inverse=True)
    return Category(codes.astype(np.int32), tuple(str(name) for name in names))


def labels_of(schools: int) -> list[str]:
    """Return the labels of schools that have no others: "S01", "S02", ..."""
    # Of one width, so that they sort as they are numbered.
    width = max(2, len(str(schools)))
    return [f"S{g + 1:0{width}d}" for g in range(schools)]


def freeze(columns: Mapping[str, Column]) -> None:
    """Make columns read-only, in place."""
    for column in columns.values():
        (column.codes if isinstance(column, Category) else column).flags.writeable = False


def offsets_of(sizes: npt.ArrayLike) -> Ints:
    """Return [0, s1, s1 + s2, ...] as int64."""
    sizes = np.asarray(sizes, dtype=np.int64)
    offsets = np.zeros(len(sizes) + 1, dtype=np.int64)
    np.cumsum(sizes, out=offsets[1:])
    return offsets


def _rows(column: Column, rows: Ints) -> Column:
    """Return some rows of a column."""
    if isinstance(column, Category):
        return Category(column.codes[rows], column.levels)
    return cast(Column, column[rows])

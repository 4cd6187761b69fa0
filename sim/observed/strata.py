"""Students given by statistics: strata of schools within which all but a few columns are constant.

A stratum of n students holds the values of its constant columns and, of its c varying ones v, the mean [c] and a factor
F [c, f] of their scatter: sum (v - mean)(v - mean)' = F F'. That is all of it that enters a cross-product of columns
that are affine in v within strata. Where v is normal in a stratum, its students are completed from these
(`nestbench.sim.observed.completing`), whenever a column is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from nestbench.sim.observed.batch import Category, Column, Floats, Ints, MadeColumns, freeze, offsets_of
from nestbench.sim.observed.completing import complete
from nestbench.sim.observed.sharing import Price, priced, use
from nestbench.sim.streams import StreamSource


@dataclass(frozen=True, slots=True, eq=False)
class Strata:
    """The strata of some schools, T in all.

    Attributes
    ----------
    names : tuple of str
        All columns, in the order of the data.
    constants : mapping of str to Column
        Columns that are constant within strata, one value a stratum [T].
    varying : tuple of str
        The c others.
    offsets : int64 [S + 1]
        First stratum of each school.
    count : int64 [T]
        Students of each stratum; 0 is a stratum without any, whose other values mean nothing.
    mean : float64 [T, c]
    factor : float64 [T, c, f]
        F, with F F' the scatter about the mean; its columns from n - 1 on are 0.
    """

    names: tuple[str, ...]
    constants: Mapping[str, Column]
    varying: tuple[str, ...]
    offsets: Ints
    count: Ints
    mean: Floats
    factor: Floats

    @property
    def sizes(self) -> Ints:
        """Students of each school [S]."""
        return np.add.reduceat(self.count, self.offsets[:-1])

    def take(self, schools: Ints) -> Strata:
        """Return the strata of some schools, in the order given."""
        wide = np.diff(self.offsets)[schools]
        offsets = offsets_of(wide)
        chosen = np.arange(offsets[-1]) + np.repeat(self.offsets[schools] - offsets[:-1], wide)
        return replace(
            self,
            constants={name: _chosen(column, chosen) for name, column in self.constants.items()},
            offsets=offsets,
            count=self.count[chosen],
            mean=self.mean[chosen],
            factor=self.factor[chosen],
        )

    def with_constants(self, constants: Mapping[str, Floats]) -> Strata:
        """Return the strata with further columns that are constant within strata [T], after the others."""
        return replace(self, names=(*self.names, *constants), constants={**self.constants, **constants})

    def with_varying(self, name: str, mean: Floats, factor: Floats) -> Strata:
        """Return the strata with one varying column more, or another in its place, of the same students.

        Parameters
        ----------
        mean : float64 [T]
        factor : float64 [T, f]
            Its row of F.
        """
        if name in self.varying:
            at = self.varying.index(name)
            means, factors = self.mean.copy(), self.factor.copy()
            means[:, at], factors[:, at] = mean, factor
            return replace(self, mean=means, factor=factors)
        return replace(
            self,
            names=(*self.names, name),
            varying=(*self.varying, name),
            mean=np.column_stack([self.mean, mean]),
            factor=np.concatenate([self.factor, factor[:, None]], axis=1),
        )


@dataclass(frozen=True, slots=True, eq=False)
class StrataColumns(MadeColumns):
    """The columns of a batch that is given by its strata.

    Attributes
    ----------
    strata : Strata
    replication_offsets : int64 [R + 1]
        First school of each replication.
    replications : int64 [R]
    streams : StreamSource
        Where the completion's numbers come from, by replication.
    """

    strata: Strata
    replication_offsets: Ints
    replications: Ints
    streams: StreamSource
    _made: list[tuple[dict[str, Column], Price]] = field(default_factory=list, repr=False)

    def __getitem__(self, name: str) -> Column:
        if name not in self.strata.names:
            raise KeyError(name)
        if not self._made:
            self._made.append(priced(self._completed))
        columns, price = self._made[0]
        use(price)
        return columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.strata.names)

    def __len__(self) -> int:
        return len(self.strata.names)

    @property
    def alike(self) -> int:
        """How many of the varying columns, from the first, are the same in every data set."""
        return 0

    def levels(self, name: str) -> tuple[str, ...] | None:
        """Return the levels of a category, None for numbers; makes nothing."""
        column = self.strata.constants.get(name)
        return column.levels if isinstance(column, Category) else None

    def each_value(self, name: str) -> tuple[Floats, Ints] | None:
        """Return the values of a column that is constant in strata, one for each stratum that has students."""
        column = self.strata.constants.get(name)
        if column is None or isinstance(column, Category):
            return None
        there = self.strata.count > 0
        before = offsets_of(there)
        return column[there], before[self.strata.offsets[self.replication_offsets]]

    def take(self, replications: Ints) -> StrataColumns:
        """Return the columns of some replications, by position; makes nothing of the others."""
        ends = self.replication_offsets
        none = np.empty(0, dtype=np.int64)
        schools = np.concatenate([none, *(np.arange(*ends[r : r + 2]) for r in replications)])
        return replace(
            self,
            strata=self.strata.take(schools),
            replication_offsets=offsets_of(np.diff(ends)[replications]),
            replications=self.replications[replications],
            _made=[],
        )

    def with_strata(self, strata: Strata) -> StrataColumns:
        """Return the columns of the same students with other strata."""
        return replace(self, strata=strata, _made=[])

    def _completed(self) -> dict[str, Column]:
        """Draw the students that belong to the strata's statistics: only somebody who asks for rows pays for them."""
        strata = self.strata
        values, stratum = complete(
            strata.offsets,
            strata.count,
            strata.mean,
            strata.factor,
            self.replication_offsets,
            self.replications,
            self.streams,
        )
        made = dict(zip(strata.varying, values, strict=True))
        columns = {
            name: made[name] if name in made else _chosen(strata.constants[name], stratum)
            for name in strata.names
        }
        freeze(columns)
        return columns


def _chosen(column: Column, at: Ints) -> Column:
    """Return some entries of a column."""
    if isinstance(column, Category):
        return Category(column.codes[at], column.levels)
    return np.asarray(column[at], dtype=np.float64)

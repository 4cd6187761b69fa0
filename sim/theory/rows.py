"""What sums over students are taken over: their rows, or fewer rows that have the same cross-products.

A stratum of n students with means m and a factor F of their scatter about them has the cross-products of the 1 + f rows
sqrt(n) m and F_1 .. F_f, in which the column of 1 is sqrt(n) and 0 .. 0. So theory, which needs cross-products alone,
costs what schools cost, however many students there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nestbench.sim.observed.affine import Affine
from nestbench.sim.observed.batch import Batch, Floats, Ints
from nestbench.sim.observed.strata import Strata


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of R data sets.

    Attributes
    ----------
    unit : float64 [N]
        The column of 1 on them: 1 a student, where rows are students.
    school_offsets : int64 [S + 1]
        First row of each school.
    replication_offsets : int64 [R + 1]
        First school of each data set.
    """

    unit: Floats
    school_offsets: Ints
    replication_offsets: Ints

    @property
    def offsets(self) -> Ints:
        """First row of each data set [R + 1]."""
        return self.school_offsets[self.replication_offsets]

    @property
    def students(self) -> Floats:
        """Students of each data set [R]."""
        return np.asarray(np.add.reduceat(self.unit**2, self.offsets[:-1]))

    @property
    def size(self) -> int:
        """Number of data sets."""
        return len(self.replication_offsets) - 1


def rows_of_batch(batch: Batch) -> Rows:
    """Return the students of a batch as rows."""
    return Rows(np.ones(batch.rows), batch.school_offsets, batch.replication_offsets)


def rows_of_strata(strata: Strata, replication_offsets: Ints) -> Rows:
    """Return the rows that stand for strata.

    Parameters
    ----------
    replication_offsets : int64 [R + 1]
        First school of each data set.
    """
    one = Affine(np.ones(len(strata.count)))
    wide = 1 + strata.factor.shape[2]
    return Rows(on_strata([one], strata)[0], strata.offsets * wide, replication_offsets)


def on_strata(columns: Sequence[Affine], strata: Strata) -> Floats:
    """Return columns on the rows that stand for strata [k, T (1 + f)]; a stratum without students has zeros."""
    n, there = np.sqrt(strata.count), strata.count > 0
    rows = [np.column_stack([n * column.mean, column.factor(strata)]) for column in columns]
    return np.stack([np.where(there[:, None], row, 0.0).ravel() for row in rows])

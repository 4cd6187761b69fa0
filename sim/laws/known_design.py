"""A fixed design in a time that depends on schools alone: statistics of the outcome are drawn, not its rows.

In a school of n rows with known columns X_g let X_g - mean = Q V' (Q [n, p] with r orthonormal columns, the others
0). Of independent normal residuals e with SD t, given X,

- the mean is N(0, t^2 / n);
- Q'e is N(0, t^2 I) on the r columns;
- the length of what is left is t sqrt(c), c ~ chi^2(n - 1 - r),

all independent. So a school is a stratum in which every column of the design varies, and the outcome is another
varying column: with V the rows of the factor for X, the outcome's row is (b'V + t z, t sqrt(c)). Completing gives the
last column of Q a direction that is uniform among those orthogonal to 1 and Q: the outcome alone is completed, X stays
as it is. Where residual variances or classes differ within schools, a stratum is the rows of a school that share them
(`nestbench.sim.laws.known_strata`): the same holds of each.

The "data" stream gives, in this order: standard normals, one a school for its effect, one a stratum for the mean, p for
Q'e, those that chi-squares are made of; uniforms for the chi-squares. What else is drawn of schools and classes has
streams of its own, directions come from the stream "students".

An outcome that has to be drawn row by row (`KnownRows`) has such statistics too. They are taken once, and all that
would read rows for cross-products goes by them; of most shapes no row is kept (`nestbench.sim.laws.row_residuals`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from nestbench.sim.laws.known_rows import make_directions, statistics_of, write_rows
from nestbench.sim.laws.known_strata import RandomParts, RowStrata, StratumErrors
from nestbench.sim.normals import fill
from nestbench.sim.observed.batch import Batch, Category, Column, Floats, Ints, freeze, offsets_of
from nestbench.sim.observed.strata import Strata, StrataColumns
from nestbench.sim.random_intercept.chi_squares import chi_squares, tries_for
from nestbench.sim.random_intercept.shocks import ManyStreams, shock
from nestbench.sim.streams import StreamSource

CONSTANT = 1e-13
"""Deviations of a column within a school below this share of its size are rounding."""

ROWS = 100_000
"""Rows whose singular values are found at once."""

DEPENDENT = 1e-12
"""Share of a school's largest singular value below which a direction isn't there."""


@dataclass(frozen=True, slots=True, eq=False)
class KnownDesign:
    """The design of a file, stratum by stratum, T in all.

    Attributes
    ----------
    file : Batch
        The file as a batch of one.
    strata : RowStrata
        Which rows a stratum has; `q` has the rows in their order.
    terms : tuple of str
        The p columns of the design that aren't constant.
    q : float64 [p, N]
        Orthonormal within strata, orthogonal to the constant; rows from a stratum's rank on are 0 there.
    mean : float64 [T, p]
    factor : float64 [T, p, p]
        V: the strata's deviations are Q V'.
    rank : int64 [T]
    """

    file: Batch
    strata: RowStrata
    terms: tuple[str, ...]
    q: Floats
    mean: Floats
    factor: Floats
    rank: Ints

    @property
    def sizes(self) -> Ints:
        """Rows of each stratum [T]."""
        return np.diff(self.strata.starts)


@dataclass(frozen=True, slots=True)
class Drawn:
    """What is drawn on a design.

    Attributes
    ----------
    outcome : str
    effects : dict of str to float
        By term.
    errors : StratumErrors
        Residuals are normal.
    school_errors : str
        Shape of school effects.
    """

    outcome: str
    effects: dict[str, float]
    errors: StratumErrors
    school_errors: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class KnownColumns(StrataColumns):
    """The columns of data sets on a known design; only what is drawn is completed."""

    known: KnownDesign

    @property
    def alike(self) -> int:
        """The columns of the design: of the varying ones they come first."""
        return len(self.known.terms)

    def levels(self, name: str) -> tuple[str, ...] | None:
        """Return the levels of a category, None for numbers; makes nothing."""
        column = self.known.file.columns.get(name)
        return column.levels if isinstance(column, Category) and name not in self.strata.varying else None

    def each_value(self, name: str) -> tuple[Floats, Ints] | None:
        """Return the values of a column of the file, again for each replication."""
        column = self.known.file.columns.get(name)
        # The outcome may bear the name of a column of the file, whose values it hasn't.
        if column is None or isinstance(column, Category) or name == self.strata.names[0]:
            return StrataColumns.each_value(self, name)
        times = len(self.replications)
        return np.tile(column, times), np.arange(times + 1, dtype=np.int64) * len(column)

    def _completed(self) -> dict[str, Column]:
        known, strata, times = self.known, self.strata, len(self.replications)
        stratum = self._strata_of_rows()
        columns: dict[str, Column] = {}
        directions: Floats | None = None
        for name in strata.names:
            if name in strata.constants:
                columns[name] = np.asarray(strata.constants[name])[stratum]
            # The outcome is the first; a column of its name in the file is what it replaces.
            elif name in known.file.columns and name != strata.names[0]:
                columns[name] = repeated(known.file.columns[name], times)
            elif (drawn := self._drawn(name)) is not None:
                columns[name] = drawn
            else:
                directions = self._directions() if directions is None else directions
                columns[name] = self._rows(name, directions)
        freeze(columns)
        return columns

    def _strata_of_rows(self) -> Ints:
        """Return the stratum of every row of every data set [R N]."""
        numbers, strata = self.known.strata.of_rows, len(self.known.rank)
        return (np.arange(len(self.replications))[:, None] * strata + numbers).ravel()

    def _drawn(self, name: str) -> Floats | None:
        """Return a column as it was drawn; None where it is to be completed."""
        return None

    def _rows(self, name: str, directions: Floats) -> Floats:
        """Return a varying column, completed along directions [R, N]."""
        at, known, shape = self.strata.varying.index(name), self.known, (len(self.replications), -1)
        mean = self.strata.mean[:, at].reshape(shape)
        factor = np.ascontiguousarray(self.strata.factor[:, at]).reshape(*mean.shape, -1)
        out = np.empty_like(directions)
        write_rows(mean, factor, known.q, known.strata.starts, known.rank, directions, out)
        return known.strata.as_in_file(out).ravel()

    def _directions(self) -> Floats:
        """Return a direction of each stratum [R, N]: uniform beside the constant and Q, 0 where nothing is left."""
        known = self.known
        found = np.empty((len(self.replications), known.q.shape[1]))
        for row, number in zip(found, self.replications, strict=True):
            # From a stream of their own: whether anybody reads students changes no other number.
            self.streams.at(int(number), "students").standard_normal(out=row)
        make_directions(found, known.q, known.strata.starts, known.rank)
        return found


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class KnownRows(KnownColumns):
    """The columns of data sets on a known design whose outcome was drawn row by row.

    Attributes
    ----------
    rows : function
        Numbers of replications [R] -> the outcome of their rows [R, N].
    own : float64 [R, G, p + 2]
        Mean and row of the factor that the outcome has in the strata.
    """

    rows: Callable[[Ints], Floats]
    own: Floats

    def take(self, replications: Ints) -> KnownRows:
        """Return the columns of some replications, by position; makes nothing of the others."""
        chosen = cast(KnownRows, KnownColumns.take(self, replications))
        return replace(chosen, own=self.own[replications])

    def _drawn(self, name: str) -> Floats | None:
        same = name == self.strata.names[0] and np.array_equal(self._statistics(name), self.own)
        return self.rows(self.replications).ravel() if same else None

    def _statistics(self, name: str) -> Floats:
        at = self.strata.varying.index(name)
        found = np.concatenate([self.strata.mean[:, at, None], self.strata.factor[:, at]], axis=1)
        return found.reshape(self.own.shape)

    def _directions(self) -> Floats:
        known, found = self.known, self.rows(self.replications)
        make_directions(found, known.q, known.strata.starts, known.rank)
        return found


def known_design(file: Batch, terms: tuple[str, ...], x: Floats, strata: RowStrata) -> KnownDesign:
    """Return a design [p, N] of a file stratum by stratum."""
    kept = [k for k, row in enumerate(x) if np.ptp(row) > CONSTANT * np.abs(row).max()]
    x, p = x[kept], len(kept)
    x = x if strata.order is None else x[:, strata.order]
    sizes = np.diff(strata.starts)
    q, mean = np.zeros_like(x), np.empty((len(sizes), p))
    factor, rank = np.zeros((len(sizes), p, p)), np.zeros(len(sizes), dtype=np.int64)
    spread = x.std(axis=1)
    for chosen in _of_one_size(sizes):
        # All of one size at once: of schools by the hundred thousand, one by one takes longer than their data sets.
        at = strata.starts[chosen, None] + np.arange(sizes[chosen[0]])
        rows = np.ascontiguousarray(x[:, at].transpose(1, 0, 2))
        mean[chosen] = rows.mean(axis=2)
        deviations = rows - mean[chosen][..., None]
        # What is constant in a stratum leaves rounding errors, which would be taken for a direction.
        deviations[np.ptp(rows, axis=2) <= CONSTANT * np.abs(rows).max(axis=2, initial=0.0)] = 0.0
        # In SDs, so that units don't decide what is dependent.
        u, s, vt = np.linalg.svd((deviations / spread[:, None]).transpose(0, 2, 1), full_matrices=False)
        there = s > DEPENDENT * np.maximum(s.max(axis=1, initial=0.0), 1e-300)[:, None]
        width = s.shape[1]
        q[:width, at] = (u * there[:, None]).transpose(2, 0, 1)
        factor[chosen, :, :width] = spread[:, None] * (vt.transpose(0, 2, 1) * (s * there)[:, None])
        rank[chosen] = there.sum(axis=1)
    return KnownDesign(file, strata, tuple(terms[k] for k in kept), q, mean, factor, rank)


def _of_one_size(sizes: Ints) -> Iterator[Ints]:
    """Yield the numbers of strata of equal sizes, so many at once that their rows are few."""
    order = np.argsort(sizes, kind="stable")
    for alike in np.split(order, np.flatnonzero(np.diff(sizes[order])) + 1):
        many = max(1, ROWS // int(sizes[alike[0]]))
        yield from (alike[first : first + many] for first in range(0, len(alike), many))


def draw_on(
    known: KnownDesign, intercepts: Floats, drawn: Drawn, streams: StreamSource, replications: range
) -> Batch:
    """Draw the outcome of some replications by its statistics.

    Parameters
    ----------
    intercepts : float64 [T]
        The strata's means of the outcome's mean.
    """
    times, strata, p = len(replications), len(known.rank), len(known.terms)
    schools, tries = known.strata.schools, tries_for(strata)
    width = schools + strata * (1 + p) + tries
    z, u = np.empty((times, width)), np.empty((times, tries))
    starts = np.arange(times + 1, dtype=np.int64) * width
    fill(streams, streams.states(replications, "data"), z.reshape(-1), starts, u)
    left = np.maximum(known.sizes - 1 - known.rank, 0)
    df = np.broadcast_to(left, (times, strata))
    chi2 = chi_squares(np.ascontiguousarray(df), z[:, schools + strata * (1 + p) :], u, streams, replications)
    effects = school_effects(drawn.school_errors, z[:, :schools], streams, replications)
    random = drawn.errors.drawn(effects, known.strata.school_of, streams, replications)
    there = np.arange(p) < known.rank[:, None]
    noise = z[:, schools + strata : schools + strata * (1 + p)].reshape(times, strata, p)
    sd = np.broadcast_to(random.residual_sd, (times, strata))
    middle = random.residual_sd * z[:, schools : schools + strata] / np.sqrt(known.sizes)
    residuals = middle, sd[..., None] * there * noise, random.residual_sd * np.sqrt(chi2)
    mean, factor = outcome_of(known, intercepts, drawn, random, residuals)
    return _batch(known, drawn.outcome, mean, factor, streams, replications)


def outcome_of(
    known: KnownDesign,
    intercepts: Floats,
    drawn: Drawn,
    random: RandomParts,
    residuals: tuple[Floats, Floats, Floats],
) -> tuple[Floats, Floats]:
    """Return means [R, T, p + 1] and factors [R, T, p + 1, p + 1] of the design's columns and, last, the outcome.

    Parameters
    ----------
    residuals : float64 [R, T], [R, T, p], [R, T]
        Their means, parts along Q, and lengths of what is left.
    """
    (times, strata), p = random.shift.shape, len(known.terms)
    mean, factor = np.empty((times, strata, p + 1)), np.zeros((times, strata, p + 1, p + 1))
    mean[..., :p], factor[..., :p, :p] = known.mean, known.factor
    mean[..., p] = intercepts + random.shift
    mean[..., p] += residuals[0]
    b = np.array([drawn.effects.get(term, 0.0) for term in known.terms])
    factor[..., p, :p] = np.einsum("k,gkj->gj", b, known.factor) + residuals[1]
    if random.slope is not None:
        factor[..., p, :p] += random.slope[..., None] * known.factor[:, drawn.errors.slope_at]
    factor[..., p, p] = residuals[2]
    return mean, factor


def rows_on(
    known: KnownDesign, name: str, outcome: Floats, streams: StreamSource, replications: range
) -> Batch:
    """Return data sets whose outcome [R, N] was drawn row by row, with its statistics for who needs no rows."""
    times, schools, p = len(replications), len(known.rank), len(known.terms)
    mean, factor = np.empty((times, schools, p + 1)), np.zeros((times, schools, p + 1, p + 1))
    mean[..., :p], factor[..., :p, :p] = known.mean, known.factor
    own = np.empty((times, schools)), np.empty((times, schools, p + 1))
    statistics_of(outcome, known.q, known.strata.starts, known.rank, *own)
    mean[..., p], factor[..., p, :] = own

    def rows(numbers: Ints) -> Floats:
        return outcome[numbers - replications.start]

    return with_rows(known, name, (mean, factor), rows, streams, replications)


def with_rows(
    known: KnownDesign,
    name: str,
    statistics: tuple[Floats, Floats],
    rows: Callable[[Ints], Floats],
    streams: StreamSource,
    replications: range,
) -> Batch:
    """Return data sets of given means and factors (`outcome_of`) whose outcome has rows already."""
    mean, factor = statistics
    batch = _batch(known, name, mean, factor, streams, replications)
    given = cast(KnownColumns, batch.columns)
    columns = KnownRows(
        given.strata,
        given.replication_offsets,
        given.replications,
        streams,
        known=known,
        rows=rows,
        own=np.concatenate([mean[..., -1:], factor[..., -1, :]], axis=2),
    )
    return replace(batch, columns=columns)


def school_effects(shape: str, z: Floats, streams: StreamSource, replications: range) -> Floats:
    """Return standardised school effects [R, G] of a shape, from standard normals."""
    return shock("", shape).of(z, ManyStreams(streams, replications, "school_errors"))


def repeated(column: Column, times: int) -> Column:
    """Return a column of the file as often as there are data sets, one below the other."""
    if isinstance(column, Category):
        return Category(np.tile(column.codes, times), column.levels)
    return np.tile(column, times)


def _batch(
    known: KnownDesign,
    outcome: str,
    mean: Floats,
    factor: Floats,
    streams: StreamSource,
    replications: range,
) -> Batch:
    file, times, c = known.file, len(replications), len(known.terms) + 1
    names = (outcome, *(name for name in file.columns if name != outcome))
    counts = np.tile(known.sizes, times)
    strata = Strata(
        names,
        {},
        (*known.terms, outcome),
        offsets_of(np.tile(np.diff(known.strata.offsets), times)),
        counts,
        mean.reshape(-1, c),
        factor.reshape(-1, c, c),
    )
    first = np.arange(times + 1, dtype=np.int64) * known.strata.schools
    numbers = np.asarray(replications, dtype=np.int64)
    return Batch(
        columns=KnownColumns(strata, first, numbers, streams, known=known),
        group=file.group,
        school_offsets=offsets_of(np.tile(np.diff(file.school_offsets), times)),
        replication_offsets=first,
        replications=numbers,
        streams=streams,
        school_labels=None if file.school_labels is None else file.school_labels * times,
    )

"""Strata of a known design, within which residual variance and class are one, and errors of these.

With g the school of stratum t, k its class and x the column of the random slope (`nestbench.sim.laws.fixed_errors`),
what the errors add to the outcome of its rows is

    s_t u_g + c_k + b_g (x - mean) + e,   e ~ N(0, r_t^2 w_g)

so its mean is shifted by s_t u_g + c_k + b_g (mean_t(x) - mean), its row of the factor by b_g times that of x, and the
statistics of e are those of normal residuals of one variance. A school is one stratum, unless classes, or a residual
variance that differs within schools, divide it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nestbench.sim.laws.fixed_errors import (
    Errors,
    class_effects,
    constant_in_schools,
    slopes_of,
    variance_factors,
)
from nestbench.sim.observed.batch import Batch, Floats, Ints, offsets_of
from nestbench.sim.streams import StreamSource

WORTH = 4
"""Rows a stratum, on average, from which on statistics of strata within schools take less time than rows."""


@dataclass(frozen=True, slots=True, eq=False)
class RowStrata:
    """The rows of a file by strata: T of them, in G schools.

    Attributes
    ----------
    of_rows : int64 [N]
        Stratum of each row of the file.
    starts : int64 [T + 1]
        First row of each stratum, in their order.
    offsets : int64 [G + 1]
        First stratum of each school.
    order : int64 [N] or None
        Rows of the file in the order of strata; None where that is the file's.
    """

    of_rows: Ints
    starts: Ints
    offsets: Ints
    order: Ints | None = None

    @property
    def schools(self) -> int:
        """How many schools there are."""
        return len(self.offsets) - 1

    @property
    def school_of(self) -> Ints:
        """School of each stratum [T]."""
        return np.repeat(np.arange(self.schools), np.diff(self.offsets))

    @property
    def first_rows(self) -> Ints:
        """A row of the file in each stratum [T]."""
        return self.starts[:-1] if self.order is None else self.order[self.starts[:-1]]

    def means(self, values: Floats) -> Floats:
        """Return the strata's means [T] of what rows of the file have [N]."""
        ordered = values if self.order is None else values[self.order]
        return np.asarray(np.add.reduceat(ordered, self.starts[:-1]) / np.diff(self.starts))

    def as_in_file(self, rows: Floats) -> Floats:
        """Return rows [R, N] in the order of the file."""
        if self.order is None:
            return rows
        found = np.empty_like(rows)
        found[:, self.order] = rows
        return found


def schools_as_strata(file: Batch) -> RowStrata:
    """Return the strata of which every school is one."""
    schools = len(file.school_offsets) - 1
    of_rows = np.repeat(np.arange(schools), np.diff(file.school_offsets))
    return RowStrata(of_rows, file.school_offsets, np.arange(schools + 1))


def row_strata(file: Batch, classes: Ints | None, spread: Floats | None) -> RowStrata:
    """Return the strata of rows that share their school, class [N] and what their residual variance goes with [N];
    those are the schools where neither differs within one."""
    whole = schools_as_strata(file)
    parts = [] if classes is None else [classes]
    if spread is not None and not constant_in_schools(spread, file.school_offsets):
        parts.append(np.unique(spread, return_inverse=True)[1].ravel())
    if not parts:
        return whole
    numbers = whole.of_rows
    for part in parts:
        # Numbers of pairs: they go on being in the order of schools.
        numbers = np.unique(numbers * (part.max() + 1) + part, return_inverse=True)[1].ravel()
    starts = offsets_of(np.bincount(numbers))
    order = np.argsort(numbers, kind="stable")
    offsets = offsets_of(np.bincount(whole.of_rows[order[starts[:-1]]]))
    return RowStrata(np.asarray(numbers, dtype=np.int64), starts, offsets, order)


@dataclass(frozen=True, slots=True, eq=False)
class RandomParts:
    """What is drawn of schools and classes, for T strata of R data sets.

    Attributes
    ----------
    shift : float64 [R, T]
        Added to the strata's means.
    slope : float64 [R, T] or None
        Added to the coefficient of the random slope's column.
    residual_sd : float or float64, broadcast to [R, T]
    """

    shift: Floats
    slope: Floats | None
    residual_sd: float | Floats


@dataclass(frozen=True, slots=True, eq=False)
class StratumErrors:
    """How the errors of strata are made of standardised numbers.

    Attributes
    ----------
    rows : Errors
        Those of the file's rows.
    school, residual : float or float64 [T]
        Standard deviations.
    slope_at : int
        Position of the random slope's column in the known design; -1 where there is none.
    slope_sd : float
    about : float64 [T]
        `slope_sd` times the strata's means of that column less its mean.
    classes : int64 [T] or None
        Number of each stratum's class.
    """

    rows: Errors
    school: float | Floats
    residual: float | Floats
    slope_at: int
    slope_sd: float
    about: Floats
    classes: Ints | None

    def drawn(
        self, effects: Floats, school_of: Ints, streams: StreamSource, replications: range
    ) -> RandomParts:
        """Return what some replications draw of schools and classes.

        Parameters
        ----------
        effects : float64 [R, G]
            Standardised school effects.
        school_of : int64 [T]
            School of each stratum.
        """
        schools, residual, slope = effects.shape[1], self.residual, None
        shift = self.school * effects[:, school_of]
        if self.rows.cv:
            w = [variance_factors(self.rows.cv, schools, streams, r) for r in replications]
            residual = residual * np.stack(w)[:, school_of]
        if self.slope_at >= 0:
            mixed = [
                slopes_of(u, self.rows.correlation, streams, r)
                for u, r in zip(effects, replications, strict=True)
            ]
            standardised = np.stack(mixed)[:, school_of]
            shift = shift + standardised * self.about
            slope = self.slope_sd * standardised
        if self.classes is not None:
            count = int(self.classes.max()) + 1
            c = [class_effects(count, streams, r) for r in replications]
            shift = shift + self.rows.class_sd * np.stack(c)[:, self.classes]
        return RandomParts(shift, slope, residual)


def errors_of_strata(rows: Errors, strata: RowStrata, slope_at: int, slope_sd: float) -> StratumErrors:
    """Return the errors of strata, from those of the file's rows."""
    first = strata.first_rows
    about = np.zeros(len(first)) if rows.slope is None else strata.means(rows.slope)
    return StratumErrors(
        rows,
        np.asarray(rows.school)[first] if np.ndim(rows.school) else rows.school,
        np.asarray(rows.residual)[first] if np.ndim(rows.residual) else rows.residual,
        slope_at,
        slope_sd,
        about,
        None if rows.classes is None else rows.classes[first],
    )

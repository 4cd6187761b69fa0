"""Projecting columns on the columns of a model, data set by data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nestbench.sim.cells.mean import Effect, Variable
from nestbench.sim.observed.batch import Floats, Ints
from nestbench.sim.observed.formula import spread_means

RANK = 1e-9
"""Singular values (of columns scaled to mean square 1) below this part of the largest are 0."""

NEAR = 1e-8
"""Residuals below this part of a column are rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """The columns X of a model on some data sets: what lies in their span in each.

    Attributes
    ----------
    rows : tuple of slice
        The rows of each data set.
    bases : tuple of float64 [n, rank]
        An orthonormal basis of each data set's columns.
    """

    rows: tuple[slice, ...]
    bases: tuple[Floats, ...]

    def holds(self, column: Floats) -> bool:
        """Whether a column [N] is a linear combination of X in every data set (of which one may be different)."""
        return all(
            # A column of zeros is in every span.
            _outside(column[rows], basis) <= NEAR * max(float(np.linalg.norm(column[rows])), 1e-300)
            for rows, basis in zip(self.rows, self.bases, strict=True)
        )


def span_of(x: Floats, rows: Sequence[slice]) -> Span:
    """Return the span of X [p, N] in each data set."""
    return Span(tuple(rows), tuple(_basis(x[:, part]) for part in rows))


def slices_of(offsets: Ints) -> list[slice]:
    """Return the rows of each data set from [0, n1, n1 + n2, ...]."""
    return [slice(int(a), int(b)) for a, b in pairwise(offsets)]


def constant_coefficients(x: Floats, column: Floats, rows: Sequence[slice]) -> tuple[Floats, Floats]:
    """Return the coefficients of a column [N] in X [p, N] that every data set agrees on.

    Returns
    -------
    values : float64 [p]
        NaN where the data sets disagree, or where no data set determines the coefficient.
    spread : float64 [p]
        Largest less smallest coefficient over data sets, as a part of the scale; NaN where undetermined.

    Parameters
    ----------
    x : float64 [p, N]
    column : float64 [N]
    rows : sequence of slice
        Those of each data set.

    Returns
    -------
    coefficients, spread : float64 [p] each
        Coefficients are NaN where data sets disagree or none determines them; the spread is their range over data sets,
        relative to the sizes of the columns.
    """
    solutions = [_solve(x[:, part], column[part]) for part in rows]
    beta = np.stack([np.where(known, value, np.nan) for value, known in solutions])
    determined = np.isfinite(beta).any(axis=0)
    unit = np.sqrt(np.mean(x * x, axis=1))
    unit[unit == 0] = 1.0
    scale = max(float(np.sqrt(np.mean(column * column))), 1e-300) / unit
    filled = np.where(determined, beta, 0.0)
    low, high = np.nanmin(filled, axis=0), np.nanmax(filled, axis=0)
    spread = np.where(determined, (high - low) / scale, np.nan)
    # Disagreement beyond rounding: a coefficient that changes with the data is no parameter.
    values = np.where(determined & (spread <= 1e-6), 0.5 * (low + high), np.nan)
    # What solving leaves of a 0 would make of a true null hypothesis a false one.
    values[np.abs(values) <= 1e-9 * scale] = 0.0
    return np.array([rounded(value, size) for value, size in zip(values, scale, strict=True)]), spread


def rounded(value: float, scale: float) -> float:
    """Return a value without the last digits, which solving has spoilt: 10 digits of the larger of it and `scale`."""
    if not np.isfinite(value) or value == 0:
        return float(value)
    digits = 10 - int(np.ceil(np.log10(max(abs(value), scale))))
    return float(round(float(value), digits))


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A factor of a product, and what it may be split into: a variable into its expectation and the deviation from
    it, that into the deviation of the school means and the students' from those."""

    values: Floats
    splits: int = 0
    centre: float = 0.0

    def halves(self, offsets: Ints) -> list[Part]:
        """Return the two parts whose sum this is; one where students of a school don't differ."""
        if self.splits == 2:
            return [Part(np.full(len(self.values), self.centre)), Part(self.values - self.centre, 1)]
        means = spread_means(self.values, offsets)
        within = self.values - means
        size = float(np.abs(self.values).max())
        alike = np.abs(within).max() <= 1e-12 * max(size, 1e-300)
        return [Part(self.values)] if alike else [Part(means), Part(within)]


def part_of(variable: Variable) -> Part:
    """Return a variable as a part; without a known expectation the mean over all rows stands for it."""
    known = variable.expected is not None
    centre = variable.expected if known else float(variable.values.mean())
    return Part(variable.values, 2, float(centre or 0.0))


def seen_part(effect: Effect, span: Span, offsets: Ints) -> tuple[Floats, bool]:
    """Return what the model's columns hold of an effect, and whether that is all of it.

    A product that isn't in the span of the model's columns is multiplied out: each variable into its expectation and
    the deviation from it, deviations into those of school means and of students within schools. What of it lies in the
    span is kept, the rest, with expectation 0, is left out.

    Parameters
    ----------
    effect : Effect
    span : Span
        The space of the model's columns.
    offsets : int64
        First row of each school, whose means an effect is split into.
    """
    n = int(offsets[-1])
    held, whole = np.zeros(n), True
    waiting = [[part_of(variable) for variable in effect.variables]]
    while waiting:
        parts = waiting.pop()
        column = np.full(n, effect.value)
        for part in parts:
            column *= part.values
        if span.holds(column):
            held += column
            continue
        whole = False
        most = max((part.splits for part in parts), default=0)
        if most:
            # What can be split most often first: all expectations are taken before any school means.
            k = next(k for k, part in enumerate(parts) if part.splits == most)
            waiting += [[*parts[:k], half, *parts[k + 1 :]] for half in parts[k].halves(offsets)]
    return held, whole


def products_of(variables: Sequence[Variable], offsets: Ints) -> Floats:
    """Return 1, the parts of the variables and the products of parts of two of them, as rows [k, N]."""
    parts = []
    for variable in variables:
        deviation = part_of(variable).halves(offsets)[1]
        parts.append([half.values for half in deviation.halves(offsets)])
    rows = [np.ones(int(offsets[-1])), *(values for part in parts for values in part)]
    for i, first in enumerate(parts):
        rows += [a * b for second in parts[:i] for a in first for b in second]
    return np.stack(rows)


def share_explained(column: Floats, x: Floats) -> float:
    """Return the adjusted R^2 of a column [N] on rows of X [p, N] and a constant."""
    basis = _basis(np.concatenate([np.ones((1, x.shape[1])), x]))
    centred = column - column.mean()
    left, total = _outside(centred, basis) ** 2, float(centred @ centred)
    n, rank = len(column), basis.shape[1]
    return 1.0 - (left / max(n - rank, 1)) / (total / max(n - 1, 1)) if total > 0 else 0.0


def _basis(x: Floats) -> Floats:
    u, s, _ = np.linalg.svd(_scaled(x)[0].T, full_matrices=False)
    return np.asarray(u[:, s > RANK * s[0]]) if s[0] > 0 else u[:, :0]


def _outside(column: Floats, basis: Floats) -> float:
    left = column - basis @ (basis.T @ column)
    # Twice: after one pass the rest of a column in the span is rounding of the column, not of the rest.
    left -= basis @ (basis.T @ left)
    return float(np.linalg.norm(left))


def _scaled(x: Floats) -> tuple[Floats, Floats]:
    scale = np.sqrt(np.mean(x * x, axis=1))
    scale[scale == 0] = 1.0
    return x / scale[:, None], scale


def _solve(x: Floats, column: Floats) -> tuple[Floats, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]:
    """Return least squares coefficients [p], and which of them X determines."""
    scaled, scale = _scaled(x)
    u, s, vt = np.linalg.svd(scaled.T, full_matrices=False)
    keep = s > RANK * s[0] if s[0] > 0 else np.zeros(len(s), dtype=np.bool_)
    gamma = vt[keep].T @ ((u.T @ column)[keep] / s[keep])
    determined = np.abs(np.sum(vt[keep] ** 2, axis=0) - 1.0) <= 1e-8
    return gamma / scale, determined

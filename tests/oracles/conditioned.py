"""A regression in coordinates that lose no digits, by exact rational arithmetic: (y, X) -> (e, Q, back, shift).

Least squares, sandwiches, resampling and mixed models are equivariant under y -> (y - X b)/unit and X -> X T. So a
dense oracle may work on e = the OLS residual and Q = orthogonal columns of length about 1, both made exactly from the
doubles that were given (unnormalised Gram-Schmidt in `fractions`) and rounded once at the end. Coefficients as named
are ``shift + back @ gamma``, variances ``back Var(gamma) back'``, whatever the units, the origin or the
near-dependence of the columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

ROUNDING = 1e-10
"""A column whose length beside the others is a smaller share of its own is dependent on them, but for rounding."""

UNIT = 2.0**-53
"""Relative rounding error of one operation."""


@dataclass(frozen=True, slots=True, eq=False)
class Conditioned:
    """Residual `y` [n], orthogonal `x` [n, k], `back` [p, k] and `shift` [p] for the terms as named.

    `kept` are the columns of X that add a dimension, `estimable` [p] the terms zero in all null vectors of X; of the
    others `back` and `shift` say nothing. `unit` is what y was divided by; `lengths` [p] are those of the columns
    without the absorbed ones (0 for these), `shares` [p] what of it each column keeps beside those before it.
    """

    y: Floats
    x: Floats
    back: Floats
    shift: Floats
    unit: float
    kept: list[int]
    estimable: npt.NDArray[np.bool_]
    lengths: Floats
    shares: Floats

    @property
    def rounding(self) -> Floats:
        """What the rounding of sums may move in each coefficient (and in its standard error) [p].

        A backward stable solver answers for y + dy, X + dX with |dy| <= g |y| and |dx_j| <= g |x_j|, g = n p u. To
        first order coefficient i, a_i'y with row a_i of the pseudo-inverse, moves by no more than

            |a_i| g (|y| + sum_j |x_j| |b_j| + |e| sum_j |a_j| |x_j|)

        (Higham 2002, Accuracy and Stability of Numerical Algorithms, theorems 20.1 and 20.3). The middle term counts
        where fitted parts cancel each other: coefficients of 1e7 on two columns that are nearly one.
        """
        n, p = len(self.y), len(self.shift)
        squares = (self.x**2).sum(axis=0)
        rows = np.sqrt((np.nan_to_num(self.back) ** 2 / squares).sum(axis=1)) / self.unit
        fitted = float(self.lengths @ np.abs(np.nan_to_num(self.shift)))
        residual = self.unit * float(np.linalg.norm(self.y)) * float(rows @ self.lengths)
        outcome = self.unit * np.sqrt(n)
        return np.asarray(n * p * UNIT * rows * (2.0 * outcome + fitted + residual))


def conditioned(y: Floats, x: Floats, absorbed: int = 1) -> Conditioned:
    """Return the regression of y [n] on X [n, p] in orthogonal columns.

    Dependence is judged on columns without their parts in the first `absorbed` ones: the intercept, school dummies.
    """
    columns = [_exact(column) for column in x.T]
    basis: list[list[Fraction]] = []
    kept: list[int] = []
    squares: list[Fraction] = []
    upper = [[Fraction(0)] * len(columns) for _ in columns]
    shares, lengths = np.zeros(len(columns)), np.zeros(len(columns))
    for j, column in enumerate(columns):
        weights, rest = _without(column, basis, squares)
        for k, weight in zip(kept, weights, strict=True):
            upper[k][j] = weight
        _, centred = _without(column, basis[:absorbed], squares[:absorbed])
        raw, own, left = _dot(column, column), _dot(centred, centred), _dot(rest, rest)
        lengths[j] = math.sqrt(own) if j >= absorbed else 0.0
        shares[j] = math.sqrt(left / own) if own > raw * Fraction(1, 10**27) else 0.0
        if shares[j] > ROUNDING:
            basis.append(rest)
            squares.append(left)
            kept.append(j)
            upper[j][j] = Fraction(1)
    weights, residual = _without(_exact(y), basis, squares)
    inverse = _inverse(upper, kept)
    scales = [_power(square / len(y)) for square in squares]
    unit = _power(max((value * value for value in _exact(y)), default=Fraction(0)))
    p, k = len(columns), len(kept)
    back, shift = np.full((p, k), np.nan), np.full(p, np.nan)
    for i, row in zip(kept, inverse, strict=True):
        back[i] = [float(entry / scale * unit) for entry, scale in zip(row, scales, strict=True)]
        shift[i] = float(sum((a * b for a, b in zip(row, weights, strict=True)), Fraction(0)))
    q = np.array([[float(v / s) for v in column] for column, s in zip(basis, scales, strict=True)])
    return Conditioned(
        np.array([float(value / unit) for value in residual]),
        np.ascontiguousarray(q.reshape(k, len(y)).T),
        back,
        shift,
        float(unit),
        kept,
        _estimable(upper, inverse, kept, p, x),
        lengths,
        shares,
    )


def _estimable(
    upper: list[list[Fraction]], inverse: list[list[Fraction]], kept: list[int], p: int, x: Floats
) -> npt.NDArray[np.bool_]:
    """Return which terms are zero in every null vector (e_j - R^-1 r_j for each dependent column j)."""
    answer = np.ones(p, dtype=bool)
    size = np.sqrt((x**2).mean(axis=0))
    for j in set(range(p)) - set(kept):
        answer[j] = False
        for i, row in zip(kept, inverse, strict=True):
            entry = float(sum((a * upper[k][j] for a, k in zip(row, kept, strict=True)), Fraction(0)))
            if abs(entry) * size[i] > 1e-6 * size[j]:
                answer[i] = False
    return answer


def _exact(values: Floats) -> list[Fraction]:
    return [Fraction(float(value)) for value in values]


def _dot(a: list[Fraction], b: list[Fraction]) -> Fraction:
    return sum((u * v for u, v in zip(a, b, strict=True)), Fraction(0))


def _without(
    column: list[Fraction], basis: list[list[Fraction]], squares: list[Fraction]
) -> tuple[list[Fraction], list[Fraction]]:
    """Return the weights of a column on the basis, and what is left of it."""
    weights, rest = [], column
    for vector, square in zip(basis, squares, strict=True):
        weight = _dot(column, vector) / square
        weights.append(weight)
        rest = [value - weight * other for value, other in zip(rest, vector, strict=True)]
    return weights, rest


def _inverse(upper: list[list[Fraction]], kept: list[int]) -> list[list[Fraction]]:
    """Return the inverse of the unit upper triangular block of the kept columns."""
    k = len(kept)
    out = [[Fraction(int(i == j)) for j in range(k)] for i in range(k)]
    for i in range(k - 1, -1, -1):
        for h in range(i + 1, k):
            weight = upper[kept[i]][kept[h]]
            if weight:
                out[i] = [a - weight * b for a, b in zip(out[i], out[h], strict=True)]
    return out


def _power(square: Fraction) -> Fraction:
    """Return a power of two near the root of a number (1 for 0)."""
    if not square:
        return Fraction(1)
    bits = (square.numerator.bit_length() - square.denominator.bit_length()) // 2
    return Fraction(2) ** bits

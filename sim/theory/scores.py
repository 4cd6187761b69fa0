"""What OLS tests of many data sets are made of: school cross-products of X and of its errors, and the schools' scores.

In the words of `nestbench.sim.theory.sizes`: M = (X'X)^-1, A_g = X_g'X_g, T_g = X_g'Omega_g X_g, T their sum,
Omega_g = D_g + B_g B_g'; for a contrast k, w_g the adjusted weights of a kind of cluster-robust variance, and
c_g = M A_g w_g.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from nestbench.sim.observed.batch import Floats, Ints
from nestbench.sim.theory.rows import Rows
from nestbench.sim.theory.standardised import Standardised, by_row_products

POWERS = {"cr0": 0.0, "cr1s": 0.0, "cr2": -0.5, "cr3": -1.0}


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """What R data sets of S schools in all have by their columns alone, with p columns and k contrasts.

    It is the same for all errors on the same columns, and made once for them.

    Attributes
    ----------
    gram : float64 [S, p, p]
        A_g.
    inverse : float64 [R, p, p]
        M of each data set.
    contrasts : float64 [k, p]
    own : float64 [R, k, p]
        M k.
    values, basis : float64 [S, p], [S, p, p]
        Eigenvalues lam of L'A_g L, M = L L', and the vectors L V.
    offsets : int64 [R + 1]
        First school of each data set.
    students : float64 [R]
        Of each.
    """

    gram: Floats
    inverse: Floats
    contrasts: Floats
    own: Floats
    values: Floats
    basis: Floats
    offsets: Ints
    students: Floats
    _weighted: dict[float, Weighted] = field(default_factory=dict, repr=False)

    @property
    def schools(self) -> Ints:
        """Schools of each data set [R]."""
        return np.diff(self.offsets)

    @property
    def has_cr3(self) -> bool:
        """Whether leaving out any one school leaves every coefficient estimable, in all data sets."""
        return bool((self.values < 1.0 - 1e-9).all())

    def by_school(self, values: Floats) -> Floats:
        """Return values of data sets [R, ...] for each of their schools [S, ...]."""
        return np.asarray(np.repeat(values, self.schools, axis=0))

    def factor(self, kind: str) -> Floats:
        """Return what a kind of variance is multiplied by [R]: G/(G-1) (N-1)/(N-p) for CR1S, else 1."""
        g, n, p = self.schools, self.students, len(self.contrasts)
        with np.errstate(divide="ignore", invalid="ignore"):
            return g / (g - 1) * (n - 1) / (n - p) if kind == "cr1s" else np.ones(len(g))

    def weighted(self, power: float) -> Weighted:
        """Return the weights of schools adjusted by (1 - lam)^`power`; made once."""
        if power not in self._weighted:
            if power == 0.0:
                weights = self.by_school(self.own)
            else:
                weights = _adjusted(self.values, self.basis, self.contrasts, power)
            leverage = weights @ self.gram
            self._weighted[power] = Weighted(weights, leverage, leverage @ self.by_school(self.inverse))
        return self._weighted[power]

    def first(self, few: int) -> Columns:
        """Return those of the first data sets."""
        last = self.offsets[few]
        return Columns(
            gram=self.gram[:last],
            inverse=self.inverse[:few],
            contrasts=self.contrasts,
            own=self.own[:few],
            values=self.values[:last],
            basis=self.basis[:last],
            offsets=self.offsets[: few + 1],
            students=self.students[:few],
            _weighted={power: one.first(last) for power, one in self._weighted.items()},
        )


@dataclass(frozen=True, slots=True, eq=False)
class Weighted:
    """w_g, A_g w_g and c_g = M A_g w_g of every school and contrast, float64 [S, k, p]."""

    weights: Floats
    leverage: Floats
    shared: Floats

    def first(self, last: int) -> Weighted:
        """Return those of the first schools."""
        return Weighted(self.weights[:last], self.leverage[:last], self.shared[:last])


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Cross-products of R data sets of S schools in all with their errors, of q random effects.

    Attributes
    ----------
    columns : Columns
    spread : float64 [S, p, p]
        T_g.
    cross : float64 [S, p, q]
        X_g'B_g.
    total : float64 [R, p, p]
        T of each data set.
    """

    columns: Columns
    spread: Floats
    cross: Floats
    total: Floats

    def first(self, few: int) -> Moments:
        """Return the moments of the first data sets."""
        last = self.columns.offsets[few]
        return Moments(
            columns=self.columns.first(few),
            spread=self.spread[:last],
            cross=self.cross[:last],
            total=self.total[:few],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """w_g, A_g w_g, c_g = M A_g w_g and T_g w_g of every school and contrast, float64 [S, k, p]."""

    weights: Floats
    leverage: Floats
    shared: Floats
    spread: Floats


def columns_of(on: Rows, x: Standardised) -> Columns:
    """Return what draws of X have by themselves."""
    gram = by_row_products(x.rows, x.rows, on.school_offsets)
    values, basis = _leverages(np.repeat(x.inverse, np.diff(on.replication_offsets), axis=0), gram)
    return Columns(
        gram=gram,
        inverse=x.inverse,
        contrasts=x.contrasts,
        own=x.contrasts @ x.inverse,
        values=values,
        basis=basis,
        offsets=on.replication_offsets,
        students=on.students,
    )


def moments_of(
    on: Rows, x: Standardised, factors: Floats, variance: Floats, columns: Columns | None = None
) -> Moments:
    """Return the cross-products of draws of X with Omega = diag(variance) + B B' by school.

    Parameters
    ----------
    on : Rows
    x : Standardised
    factors, variance : float64 [q, N], [N]
        B', the random effects' columns times their SDs, on these rows; the variance of the students that a row stands
        for.
    columns : Columns, optional
        `columns_of` the same draws, where it is at hand.
    """
    schools = on.school_offsets
    cross = by_row_products(x.rows, factors, schools)
    spread = by_row_products(x.rows, x.rows * variance, schools) + cross @ cross.transpose(0, 2, 1)
    total = np.add.reduceat(spread, on.replication_offsets[:-1], axis=0)
    return Moments(columns or columns_of(on, x), spread, cross, total)


def scores_of(moments: Moments, power: float) -> Scores:
    """Return the scores of schools whose weights are adjusted by (1 - lam)^`power`."""
    of = moments.columns.weighted(power)
    return Scores(of.weights, of.leverage, of.shared, of.weights @ moments.spread)


def _leverages(inverse: Floats, gram: Floats) -> tuple[Floats, Floats]:
    """Return the eigenvalues lam [S, p] of L'A_g L, M = L L', and the vectors L V [S, p, p] of each school."""
    root = np.linalg.cholesky(inverse)
    values, vectors = np.linalg.eigh(root.transpose(0, 2, 1) @ gram @ root)
    return values, root @ vectors


def _adjusted(values: Floats, basis: Floats, contrasts: Floats, power: float) -> Floats:
    """Return w_g [S, k, p] = L V (1 - lam)^power V' L' k; directions that a school alone decides are left out."""
    rest = 1.0 - values
    powered = np.where(rest > 1e-10, np.where(rest > 1e-10, rest, 1.0) ** power, 0.0)
    return np.asarray(((contrasts @ basis) * powered[:, None, :]) @ basis.transpose(0, 2, 1))

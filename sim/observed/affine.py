"""Columns of a design on strata: a product of columns, at most one of which varies within strata, is affine there.

``w = slope (v - shift)`` with v one of the varying columns, or w is constant. In a stratum with mean m and factor row
F_v of v its mean is slope (m - shift) and its row of the factor slope F_v. A product of two columns that vary is no
such column: it is left to the students.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nestbench.sim.observed.batch import Batch, Category, Floats
from nestbench.sim.observed.design import Design, Factor, FactorKind, Product
from nestbench.sim.observed.strata import Strata, StrataColumns


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """A column on strata.

    Attributes
    ----------
    mean : float64 [T]
    varying : int
        Which column varies, -1 for none.
    slope : float64 [T], or None
        On the varying column; None is 1.
    """

    mean: Floats
    varying: int = -1
    slope: Floats | None = None

    def factor(self, strata: Strata) -> Floats:
        """Return the column's row of the factor [T, f]."""
        if self.varying < 0:
            return np.zeros((len(self.mean), strata.factor.shape[2]))
        rows = strata.factor[:, self.varying]
        return rows if self.slope is None else np.asarray(self.slope[:, None] * rows)


def strata_of(batch: Batch) -> Strata | None:
    """Return the strata that a batch is given by, or None where it is given by its students."""
    return batch.columns.strata if isinstance(batch.columns, StrataColumns) else None


Part = tuple[Sequence[str], tuple[Product, ...] | None]
"""The names of some columns, and how they are computed; None where formulaic has to."""


def affine_columns(parts: Sequence[Part], strata: Strata) -> list[Affine] | None:
    """Return the columns of some parts of a design, or None where one isn't affine within strata.

    A column that varies in the strata by its own name is that, however it is computed.
    """
    columns: list[Affine] = []
    for names, products in parts:
        for k, name in enumerate(names):
            if name in strata.varying:
                at = strata.varying.index(name)
                columns.append(Affine(strata.mean[:, at], at))
                continue
            product = () if name == "Intercept" else None if products is None else products[k]
            column = None if product is None else affine(product, strata)
            if column is None:
                return None
            columns.append(column)
    return columns


def fixed_columns(batch: Batch, design: Design) -> tuple[Strata, list[Affine]] | None:
    """Return the strata of a batch and the columns of X on them; None where only the students have them."""
    strata = strata_of(batch)
    columns = None if strata is None else affine_columns([(design.terms, design.rhs_products)], strata)
    return None if strata is None or columns is None else (strata, columns)


def affine(product: Product, strata: Strata) -> Affine | None:
    """Return a product as a column on strata; None where two of its factors vary within them."""
    result = None
    for factor in product:
        column = _factor(factor, strata)
        if column is not None and result is not None:
            column = _product(result, column)
        if column is None:
            return None
        result = column
    return result or Affine(np.ones(len(strata.count)))


def _product(a: Affine, b: Affine) -> Affine | None:
    """Return a product of two columns that is affine in one varying column, None where both vary: it would be
    quadratic.
    """
    if a.varying >= 0 and b.varying >= 0:
        return None
    constant, other = (a, b) if a.varying < 0 else (b, a)
    slope = constant.mean if other.slope is None else constant.mean * other.slope
    return Affine(a.mean * b.mean, other.varying, slope if other.varying >= 0 else None)


def school_means(values: Floats, strata: Strata) -> Floats:
    """Return the mean over the students of its school of a column's stratum means, for every stratum [T]."""
    sums = np.add.reduceat(values * strata.count, strata.offsets[:-1])
    return np.repeat(sums / strata.sizes, np.diff(strata.offsets))


def _factor(factor: Factor, strata: Strata) -> Affine | None:
    """Return a factor of a product as an affine function of a varying column, None where it is another function."""
    if factor.column in strata.varying:
        varying = strata.varying.index(factor.column)
        mean = strata.mean[:, varying]
        if factor.kind == FactorKind.VALUE:
            return None
    else:
        if factor.column not in strata.constants:
            return None
        mean, varying = _constant(factor, strata), -1
    if factor.kind == FactorKind.GROUP_MEAN:
        return Affine(school_means(mean, strata))
    if factor.kind == FactorKind.GROUP_CENTRED:
        return Affine(mean - school_means(mean, strata), varying)
    return Affine(mean, varying)


def _constant(factor: Factor, strata: Strata) -> Floats:
    """Return the values of a factor that is constant in strata."""
    column = strata.constants[factor.column]
    if isinstance(column, Category):
        return np.asarray(column.codes == factor.level, dtype=np.float64)
    return np.asarray(column == factor.value, dtype=np.float64) if factor.kind == FactorKind.VALUE else column

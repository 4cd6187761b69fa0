"""School cross-products: the statistic every fast engine works from.

For one model, W = [1, X without its intercept, Z columns not in X, y] of a replication is shifted by a
pivot and scaled, and each school is reduced to its cross-product W_g'W_g. Nothing else of a school enters
OLS, CR0-CR3, the jackknife, the wild bootstrap, within and between estimators or a Gaussian mixed model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nestbench.estimators.moments.crossproducts import reduce_schools
from nestbench.estimators.moments.from_strata import reduce_strata, strata_columns
from nestbench.estimators.moments.refinement import refine_schools
from nestbench.sim.observed.batch import Batch, Category, Floats, Ints
from nestbench.sim.observed.design import Design, Factor, FactorKind, Product, design_of, evaluate
from nestbench.sim.observed.model import Model

Mask = npt.NDArray[np.bool_]

LARGEST = 2.0**100
"""Data whose columns are larger, or smaller than 1 over it, are left to the engines that refuse them in words."""


@dataclass(frozen=True, slots=True, eq=False)
class SchoolMoments:
    """Cross-products of the S schools of a batch, R replications, d columns of W.

    Attributes
    ----------
    cross : float64 [S, d, d]
        W_g'W_g of the pivoted, scaled columns ``(w - pivot) * scale``. Column 0 is the constant 1, so
        ``cross[:, 0, 0]`` are the school sizes and ``cross[:, 0]`` the school sums; the last column is y.
        In nearly collinear replications the columns of X that are not in Z are also made orthogonal to
        the others, and y is replaced by its residual; `contrasts` and `shift` undo that.
    replication_offsets : int64 [R + 1]
        First school of each replication.
    x : int64 [p]
        Which columns of W are X, in the order of the design's terms (0 for the intercept).
    z : int64 [q]
        Which columns of W are Z.
    pivot, scale : float64 [R, d]
        Per replication; pivot 0 and scale 1 for column 0; pivot 0 everywhere when the model has no
        intercept. Scales are powers of two, so that scaling is exact.
    contrasts : float64 [R, p, p]
        beta = contrasts @ beta_pivoted + shift gives the coefficients of the terms as named; so does
        Var(beta) = contrasts Var(beta_pivoted) contrasts'.
    shift : float64 [R, p]
    regular : bool [R]
        Whether all values are finite, X plainly has full rank p < n, and y is neither constant nor fitted
        exactly. Where False, an engine should leave the replication to its reference.
    """

    cross: Floats
    replication_offsets: Ints
    x: Ints
    z: Ints
    pivot: Floats
    scale: Floats
    contrasts: Floats
    shift: Floats
    regular: Mask
    refined: Mask


def moments_of(batch: Batch, model: Model) -> SchoolMoments:
    """Return the school moments of a model (call it as ``batch.once(moments_of, model)``)."""
    design = batch.once(design_of, model)
    names, x, z = _layout(design)
    columns = strata_columns(batch, design, names)
    found = _empty(batch, len(names) + 1, x, z)
    if columns is not None:
        reduce_strata(
            *columns, found.replication_offsets, x, design.intercept, *_written(found), found.refined
        )
        _refine_completed(batch, model, found)
    else:
        _reduce_columns(batch, design, names, found)
    _leave_out_of_range(found)
    return found


def _empty(batch: Batch, d: int, x: Ints, z: Ints) -> SchoolMoments:
    """Return moments to be written to."""
    reps, p = batch.size, len(x)
    return SchoolMoments(
        cross=np.empty((len(batch.school_offsets) - 1, d, d)),
        replication_offsets=batch.replication_offsets,
        x=x,
        z=z,
        pivot=np.empty((reps, d)),
        scale=np.empty((reps, d)),
        contrasts=np.empty((reps, p, p)),
        shift=np.empty((reps, p)),
        regular=np.empty(reps, dtype=np.bool_),
        refined=np.empty(reps, dtype=np.bool_),
    )


def _written(m: SchoolMoments) -> tuple[Floats, Floats, Floats, Floats, Floats, Mask]:
    """Return the arrays that kernels write."""
    return m.cross, m.pivot, m.scale, m.contrasts, m.shift, m.regular


def _reduce_columns(batch: Batch, design: Design, names: Sequence[str], found: SchoolMoments) -> None:
    """Fill the moments from the students' columns."""
    fixed = np.zeros(len(names) + 1, dtype=np.int64)
    fixed[[0, *found.z]] = 1
    program = _program(batch, design, names)
    data = (
        program.starts,
        program.kinds,
        program.addresses,
        program.levels,
        batch.school_offsets,
        batch.replication_offsets,
        found.x,
    )
    scratch = np.empty((len(names) + 2, int(np.diff(batch.row_offsets).max(initial=0))))
    reduce_schools(*data, design.intercept, scratch, *_written(found), found.refined)
    if found.refined.any():
        near = np.flatnonzero(found.refined)
        refine_schools(near, *data, fixed, design.intercept, scratch, *_written(found))


def _refine_completed(batch: Batch, model: Model, found: SchoolMoments) -> None:
    """Fill the moments of nearly dependent columns anew, from their students: digits are lost in cross-products."""
    near = np.flatnonzero(found.refined)
    if not len(near):
        return
    students = batch.take(near)
    # A plain mapping isn't one of strata (`strata_of`): `moments_of` takes the students' path with it.
    students = replace(students, columns=dict(students.columns), _memo={})
    # The batch's own: it may be of some columns of the formula alone (`engines.dependent`).
    students.put(batch.once(design_of, model), design_of, model)
    refined = moments_of(students, model)
    bounds = found.replication_offsets
    schools = np.concatenate([np.arange(*bounds[r : r + 2]) for r in near])
    for whole, part in zip(_written(found), _written(refined), strict=True):
        whole[schools if whole is found.cross else near] = part
    found.refined[near] = refined.refined


def _leave_out_of_range(found: SchoolMoments) -> None:
    """Mark replications whose columns are too large or too small as not regular, all their values NaN."""
    scale, pivot = found.scale, found.pivot
    beyond = ~((scale >= 1.0 / LARGEST) & (scale <= LARGEST) & (np.abs(pivot) <= LARGEST)).all(axis=1)
    # Of regular ones the squares, which bound the products, were finite, and are near n in these scales.
    if not (found.regular | beyond).all():
        with np.errstate(invalid="ignore", over="ignore"):
            squares = np.add.reduceat(np.einsum("sjj->s", found.cross), found.replication_offsets[:-1])
        beyond |= ~np.isfinite(squares)
    for r in np.flatnonzero(beyond):
        found.cross[slice(*found.replication_offsets[r : r + 2])] = np.nan
        pivot[r] = scale[r] = found.shift[r] = np.nan
        found.contrasts[r], found.regular[r], found.refined[r] = np.nan, False, False


def raw_moments(batch: Batch, model: Model) -> SchoolMoments:
    """Return the same statistics by NumPy alone: neither pivoted nor scaled, every replication taken as regular.

    For tame data, where nothing may be compiled.
    """
    design = batch.once(design_of, model)
    names, x, z = _layout(design)
    columns = {"Intercept": np.ones(batch.rows)} | dict(
        zip(design.random_terms, design.random(batch), strict=True)
    )
    columns |= dict(zip(design.terms, design.fixed(batch), strict=True))
    w = np.vstack([*(columns[name] for name in names), design.outcome(batch)])
    slices = zip(batch.school_offsets[:-1], batch.school_offsets[1:], strict=True)
    reps, d, p = batch.size, len(w), len(x)
    return SchoolMoments(
        cross=np.array([w[:, a:b] @ w[:, a:b].T for a, b in slices]),
        replication_offsets=batch.replication_offsets,
        x=x,
        z=z,
        pivot=np.zeros((reps, d)),
        scale=np.ones((reps, d)),
        contrasts=np.tile(np.eye(p), (reps, 1, 1)),
        shift=np.zeros((reps, p)),
        regular=np.ones(reps, dtype=np.bool_),
        refined=np.zeros(reps, dtype=np.bool_),
    )


def _layout(design: Design) -> tuple[list[str], Ints, Ints]:
    """Return the columns of W but y by name, and which of them are X and Z."""
    names = ["Intercept", *[t for t in design.terms if t != "Intercept"]]
    names += [t for t in design.random_terms if t not in names]
    x = np.array([names.index(t) for t in design.terms], dtype=np.int64)
    z = np.array([names.index(t) for t in design.random_terms], dtype=np.int64)
    return names, x, z


@dataclass(frozen=True, slots=True, eq=False)
class _Program:
    """The columns of W as products of factors, for the kernel; `alive` keeps what the addresses point to."""

    starts: Ints
    kinds: Ints
    addresses: Ints
    levels: Ints
    alive: Sequence[npt.NDArray[np.generic]]


def _program(batch: Batch, design: Design, names: Sequence[str]) -> _Program:
    """Return the columns of W as the kernel reads them: [X Z] by name, then y."""
    columns = _products(batch, design)
    factors = [columns[name] for name in names] + [columns["(y)"]]
    flat = [factor for product in factors for factor in product]
    arrays = [_memory(batch, factor) for factor in flat]
    return _Program(
        np.concatenate([[0], np.cumsum([len(product) for product in factors])]).astype(np.int64),
        np.array([kind_of(factor) for factor in flat], dtype=np.int64),
        np.array([array.ctypes.data for array in arrays], dtype=np.int64),
        np.array([factor.level if isinstance(factor, Factor) else 0 for factor in flat], dtype=np.int64),
        arrays,
    )


def _products(batch: Batch, design: Design) -> dict[str, Sequence[Factor | Floats]]:
    """Return each column of W as factors; a column that only formulaic can make is one array of numbers."""
    parts: list[tuple[Sequence[str], tuple[Product, ...] | None, str]] = [
        (design.random_terms, design.random_products, "random"),
        (design.terms, design.rhs_products, "fixed"),
        (["(y)"], design.lhs_products, "outcome"),
    ]
    columns: dict[str, Sequence[Factor | Floats]] = {"Intercept": ()}
    for names, products, method in parts:
        if products is None:
            rows = np.atleast_2d(getattr(design, method)(batch))
            columns |= {name: (row,) for name, row in zip(names, rows, strict=True) if name != "Intercept"}
        else:
            columns |= dict(zip(names, products, strict=True))
    return columns


def _memory(batch: Batch, factor: Factor | Floats) -> npt.NDArray[np.generic]:
    """Return a factor's column as contiguous memory of the type that its kind is read as."""
    if not isinstance(factor, Factor):
        return np.ascontiguousarray(factor, dtype=np.float64)
    column = batch.columns[factor.column]
    if factor.kind == FactorKind.VALUE:
        return evaluate((factor,), batch)
    if isinstance(column, Category):
        return np.ascontiguousarray(column.codes, dtype=np.int32)
    return np.ascontiguousarray(column, dtype=np.float64)


def kind_of(factor: Factor | Floats) -> FactorKind:
    """Return how the kernel reads a factor; an array is numbers, and so is what isn't a column as it is."""
    if isinstance(factor, Factor) and factor.kind != FactorKind.VALUE:
        return factor.kind
    return FactorKind.NUMBER

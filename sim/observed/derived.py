"""What is made of a design's columns: from the students, or from the strata of a batch that is given by them.

From strata no student is completed, as long as the columns are affine within strata; the answers are the same up to
rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
import numpy.typing as npt

from nestbench.sim.observed.affine import Affine, affine_columns, fixed_columns, school_means
from nestbench.sim.observed.batch import Batch, Column, Floats
from nestbench.sim.observed.design import Design
from nestbench.sim.observed.formula import spread_means
from nestbench.sim.observed.strata import Strata, StrataColumns

Mask = npt.NDArray[np.bool_]


def constant_within_schools(batch: Batch, design: Design) -> Mask:
    """Return which columns of X are constant within every school of a replication [R, p]."""
    fixed = fixed_columns(batch, design)
    if fixed is not None and batch.size > 1 and _alike(batch, design, fixed[1]):
        return np.repeat(constant_within_schools(batch.take([0]), design), batch.size, axis=0)
    if fixed is not None:
        return _constant_on_strata(*fixed, batch)
    x = design.fixed(batch)
    first = np.repeat(x[:, batch.school_offsets[:-1]], np.diff(batch.school_offsets), axis=1)
    with np.errstate(invalid="ignore"):
        spread = np.maximum.reduceat(np.abs(x - first), batch.row_offsets[:-1], axis=1)
    largest = np.maximum.reduceat(np.abs(x), batch.row_offsets[:-1], axis=1)
    return np.asarray(spread <= 1e-12 * largest).T


def with_school_means(batch: Batch, design: Design, chosen: Mapping[str, int]) -> Mapping[str, Column]:
    """Return the columns of a batch and the school means of some columns of X, by the name of the new column."""
    fixed = fixed_columns(batch, design) if chosen else None
    if fixed is not None:
        strata, columns = fixed
        means = {name: school_means(columns[k].mean, strata) for name, k in chosen.items()}
        return cast(StrataColumns, batch.columns).with_strata(strata.with_constants(means))
    if not chosen:
        return batch.columns
    x = design.fixed(batch)
    means = {name: spread_means(x[k], batch.school_offsets) for name, k in chosen.items()}
    return {**batch.columns, **means}


def with_outcome_less(batch: Batch, design: Design, values: Floats, name: str) -> Mapping[str, Column]:
    """Return the columns of a batch with y - X b in the column `name`; b is `values` [R, p], where the model has null
    values."""
    named = np.flatnonzero([design.model.null_of(term) for term in design.terms])
    fixed = fixed_columns(batch, design)
    outcome = None if fixed is None else affine_columns([((design.response,), design.lhs_products)], fixed[0])
    if fixed is not None and outcome is not None:
        strata, columns = fixed
        mean, factor = _less(strata, outcome[0], [columns[k] for k in named], values[:, named], batch)
        return cast(StrataColumns, batch.columns).with_strata(strata.with_varying(name, mean, factor))
    of_rows = np.repeat(values[:, named], np.diff(batch.row_offsets), axis=0)
    shifted = design.outcome(batch) - (of_rows.T * design.fixed(batch)[named]).sum(axis=0)
    return {**batch.columns, name: shifted}


def _alike(batch: Batch, design: Design, columns: list[Affine]) -> bool:
    """Whether all data sets of a batch have the same X, as those on one design have."""
    count = cast(StrataColumns, batch.columns).alike
    named = zip(design.terms, columns, strict=True)
    return all(term == "Intercept" or 0 <= column.varying < count for term, column in named)


def _constant_on_strata(strata: Strata, columns: list[Affine], batch: Batch) -> Mask:
    """Return which columns are constant within every school, from the strata alone [R, p]."""
    # A stratum without students (no girls in a school) has statistics of nobody, and no say in what is constant.
    filled = np.flatnonzero(strata.count)
    schools = np.searchsorted(filled, strata.offsets[:-1])
    sizes = np.diff(np.append(schools, len(filled)))
    bounds = schools[batch.replication_offsets[:-1]]
    answers = []
    for column in columns:
        mean, deviation = column.mean[filled], np.abs(column.factor(strata)[filled]).max(axis=1)
        spread = np.maximum(np.abs(mean - np.repeat(mean[schools], sizes)), deviation)
        largest = np.maximum.reduceat(np.abs(mean) + deviation, bounds)
        answers.append(np.maximum.reduceat(spread, bounds) <= 1e-12 * largest)
    return np.stack(answers, axis=1)


def _less(
    strata: Strata, outcome: Affine, columns: list[Affine], values: Floats, batch: Batch
) -> tuple[Floats, Floats]:
    """Return mean and factor row of y - X b."""
    replication = np.repeat(np.arange(batch.size), np.diff(strata.offsets[batch.replication_offsets]))
    mean, factor = outcome.mean.copy(), outcome.factor(strata).copy()
    for column, value in zip(columns, values[replication].T, strict=True):
        mean -= value * column.mean
        factor -= value[:, None] * column.factor(strata)
    return mean, factor

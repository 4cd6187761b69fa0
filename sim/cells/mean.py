"""What a population says of its mean: effects on columns, and what each column is expected to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Batch, Category, Column, Floats
from nestbench.sim.observed.design import Factor, FactorKind, evaluate, product_named
from nestbench.sim.streams import StreamSource


@dataclass(frozen=True, slots=True, eq=False)
class Variable:
    """A column that an effect acts on.

    Attributes
    ----------
    name : str
        The column of the data it is made of.
    values : float64 [N]
    expected : float or None
        Its mean under the population; None where that isn't known.
    """

    name: str
    values: Floats
    expected: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Effect:
    """One part of a population's mean: `value` times the product of its variables (of none: the intercept)."""

    term: str
    value: float
    variables: tuple[Variable, ...] = ()

    def column(self, rows: int) -> Floats:
        """Return the product of the variables, float64 [N]."""
        product = np.ones(rows)
        for variable in self.variables:
            product *= variable.values
        return product


@dataclass(frozen=True, slots=True, eq=False)
class Mean:
    """The mean of the outcome on drawn data sets.

    Attributes
    ----------
    batch : Batch
        The data sets, as an analyst sees them.
    outcome : str or None
        The column the population draws; None where the population doesn't say.
    effects : tuple of Effect
        The mean is their sum, where `complete`; else the part of it that the population states.
    variables : tuple of Variable
        All that effects may act on.
    whole : float64 [N] or None
        The mean itself, where the population has a function for it.
    complete : bool
        Whether an effect that isn't there is 0.
    """

    batch: Batch
    outcome: str | None
    effects: tuple[Effect, ...]
    variables: tuple[Variable, ...]
    whole: Floats | None = None
    complete: bool = True


@runtime_checkable
class KnowsMean(Protocol):
    """A population that gives its mean effect by effect."""

    def mean_of(self, layout: Layout, streams: StreamSource, replications: range) -> Mean:
        """Draw some data sets and return their mean."""


def effects_named(
    batch: Batch, named: Mapping[str, float], given: Mapping[str, Floats], known: bool
) -> tuple[Effect, ...]:
    """Return the effects of terms by their names, as formulaic names columns; names that can't be read are left out.

    Parameters
    ----------
    given : mapping of str to float64 [N]
        Columns of terms that are no products of the data's columns.
    known : bool
        Whether a column's mean over the batch is its mean under the population (a design that stays as it is).
    """
    effects = []
    for term, value in named.items():
        product = product_named(term, batch)
        if product is not None:
            variables = tuple(_variable(factor, batch, known) for factor in product)
            effects.append(Effect(term, float(value), variables))
        elif term in given:
            column = given[term]
            expected = float(column.mean()) if known else None
            effects.append(Effect(term, float(value), (Variable(term, column, expected),)))
    return tuple(effects)


def mean_by_name(law: Any, layout: Layout, streams: StreamSource, replications: range) -> Mean:
    """Return what a population that names true values, and perhaps has a ``mean(layout, data)``, says of its mean.

    Raises
    ------
    InvalidInput
        `mean` doesn't return one number a row.
    """
    batch = law.draw(layout, streams, replications)
    named = {t: v for t, v in law.truth.items() if not t.startswith("(") and np.ndim(v) == 0}
    # What such a population's columns are expected to be nobody says: no average of drawn ones stands in for it.
    effects = effects_named(batch, named, {}, known=False)
    variables = {v.name: v for effect in effects for v in effect.variables}
    function = getattr(law, "mean", None)
    whole = _whole(law, layout, batch) if callable(function) else None
    outcome = getattr(law, "outcome", None)
    return Mean(
        batch,
        outcome if isinstance(outcome, str) else None,
        tuple(effect for effect in effects if effect.value),
        tuple(variables.values()),
        whole,
        complete=False,
    )


def _whole(law: Any, layout: Layout, batch: Batch) -> Floats:
    parts = []
    for i in range(batch.size):
        frame = batch.replication(i).frame()
        part = np.asarray(law.mean(layout, frame), dtype=np.float64)
        if part.shape != (len(frame),) or not np.isfinite(part).all():
            raise InvalidInput(
                f"expected the mean of the population '{law.name}' to be a finite number for each of "
                f"{len(frame)} rows, got an array of shape {part.shape}; return the outcome's mean given the columns"
            )
        parts.append(part)
    return np.concatenate(parts)


def _variable(factor: Factor, batch: Batch, known: bool) -> Variable:
    values = evaluate((factor,), batch)
    return Variable(factor.column, values, float(values.mean()) if known else None)


def numbers(column: Column) -> Floats:
    """Return a column as numbers: a category's codes."""
    values = column.codes if isinstance(column, Category) else column
    return np.asarray(values, dtype=np.float64)


def school_mean(name: str, batch: Batch) -> Floats:
    """Return each row's school mean of a column [N]."""
    return evaluate((Factor(FactorKind.GROUP_MEAN, name),), batch)

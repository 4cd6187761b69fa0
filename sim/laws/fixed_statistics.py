"""What data sets of the fixed-design population are drawn with by statistics, found once in a process.

All rows of the file are gone over for it; nothing of it depends on the replication.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from nestbench.sim.laws import fixed_errors
from nestbench.sim.laws.known_design import KnownDesign, known_design
from nestbench.sim.laws.known_strata import (
    RowStrata,
    StratumErrors,
    errors_of_strata,
    row_strata,
    schools_as_strata,
)
from nestbench.sim.observed.batch import Floats

if TYPE_CHECKING:
    from nestbench.sim.laws.design_file import DesignFile


class Fixed(fixed_errors.Spreads, Protocol):
    """The parameters of the fixed-design population that are read here."""

    @property
    def digest(self) -> str: ...

    @property
    def school(self) -> str: ...

    @property
    def formula(self) -> str: ...

    @property
    def outcome(self) -> str: ...

    @property
    def effects(self) -> Mapping[str, float]: ...


Prepared = tuple[KnownDesign, Floats, StratumErrors]
"""A known design, the strata's means of the outcome's mean [T], and the errors."""

Made = TypeVar("Made")

KEPT = 50
"""Populations whose errors are remembered."""

_KNOWN: dict[tuple[str, ...], KnownDesign] = {}
_STRATA: dict[tuple[str, ...], RowStrata] = {}
_PREPARED: dict[str, Prepared] = {}
_PREPARED_ROWS: dict[str, tuple[Prepared, Floats]] = {}


def row_strata_of(law: Fixed, file: DesignFile, terms: tuple[str, ...], x: Floats) -> RowStrata:
    """Return the strata within which errors have one variance and one class."""
    classes, spread = _dividing(law)
    key = (*_named(law), classes, spread)
    if key not in _STRATA:
        numbers = fixed_errors.classes_of(file.batch, classes) if classes else None
        _STRATA[key] = row_strata(file.batch, numbers, x[terms.index(spread)] if spread else None)
    return _STRATA[key]


def known_by_schools(law: Fixed, file: DesignFile, terms: tuple[str, ...], x: Floats) -> KnownDesign:
    """Return the design school by school."""
    key = _named(law)
    if key not in _KNOWN:
        _KNOWN[key] = known_design(file.batch, terms, x, schools_as_strata(file.batch))
    return _KNOWN[key]


def known_by_strata(law: Fixed, file: DesignFile, terms: tuple[str, ...], x: Floats) -> KnownDesign:
    """Return the design stratum by stratum."""
    strata = row_strata_of(law, file, terms, x)
    if strata.order is None:
        return known_by_schools(law, file, terms, x)
    key = (*_named(law), *_dividing(law))
    if key not in _KNOWN:
        _KNOWN[key] = known_design(file.batch, terms, x, strata)
    return _KNOWN[key]


def prepared(law: Fixed, file: DesignFile, terms: tuple[str, ...], x: Floats) -> Prepared:
    """Return what data sets of a population are drawn with."""

    def made() -> Prepared:
        known = known_by_strata(law, file, terms, x)
        return _on(law, known, fixed_errors.errors_of(law, file.batch, terms, x), terms, x)

    return _remembered(_PREPARED, law, made)


def prepared_rows(law: Fixed, file: DesignFile, terms: tuple[str, ...], x: Floats) -> tuple[Prepared, Floats]:
    """Return the same school by school, for residuals that are drawn row by row, and their SDs [N], or of all [1]."""

    def made() -> tuple[Prepared, Floats]:
        known = known_by_schools(law, file, terms, x)
        rows = fixed_errors.errors_of(law, file.batch, terms, x)
        # Rows have their SDs already when strata see them.
        return _on(law, known, replace(rows, residual=1.0), terms, x), np.atleast_1d(rows.residual)

    return _remembered(_PREPARED_ROWS, law, made)


def _remembered(store: dict[str, Made], law: Fixed, make: Callable[[], Made]) -> Made:
    """Return what was made for a population before, or make it."""
    key = repr((_named(law), sorted(law.effects.items()), fixed_errors.values(law)))
    if key not in store:
        if len(store) >= KEPT:
            store.clear()
        store[key] = make()
    return store[key]


def _on(
    law: Fixed, known: KnownDesign, rows: fixed_errors.Errors, terms: tuple[str, ...], x: Floats
) -> Prepared:
    """Return a known design with the means and errors that a population has there."""
    mean = np.array([law.effects.get(term, 0.0) for term in terms]) @ x
    errors = errors_of_strata(rows, known.strata, _slope_at(law, known), law.slope_sd)
    return known, known.strata.means(mean), errors


def _slope_at(law: Fixed, known: KnownDesign) -> int:
    """Return the position of the random slope's column, -1 for none: a term that is the same in all rows is no column
    of the known design, and its slopes act on nothing."""
    return known.terms.index(law.slope) if law.slope_sd and law.slope in known.terms else -1


def _named(law: Fixed) -> tuple[str, ...]:
    """Return what a design is known by."""
    return law.digest, law.school, law.formula, law.outcome


def _dividing(law: Fixed) -> tuple[str, str]:
    """Return the names of the column of classes and of the term that residual variances go with; empty for none."""
    return law.subgroup if law.class_icc else "", law.spread if law.residual_spread else ""

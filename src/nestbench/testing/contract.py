"""What the checks of a method's contract share: the method with data to test it on, and how a breach is said.

Checks raise `Breach`, never a bare ``assert``: under ``python -O`` every method would keep the contract.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from nestbench.estimators.estimates import ESTIMATE, STD_ERROR, STORED_COLUMNS, Estimates
from nestbench.estimators.estimator import Agreement, Estimator
from nestbench.sim.cells.cell import Cell
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Batch
from nestbench.testing.fits import Fits
from nestbench.testing.given import Method, as_estimator, differences, friendly_cell

DATA_SETS = 6
SEED = 20261122
RTOL = 1e-6
LOOSE_RTOL = 1e-4


class Breach(AssertionError):
    """A part of the contract that a method breaks; its text says how."""


class Skipped(Exception):
    """A check that has nothing to check; its text says why."""


@dataclass(slots=True)
class Case:
    """A method under test: the condition, a few data sets drawn from it, and the method's answers.

    `reference` is a method that it is declared to equal, if any.
    """

    estimator: Estimator
    cell: Cell
    replications: int | None
    batch: Batch
    reference: Estimator | None = None
    fits: Fits = field(default_factory=Fits)
    kept: list[Estimates] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The method's label."""
        return self.estimator.label

    @property
    def rtol(self) -> float:
        """Tolerance of the invariances: looser where an optimiser stops."""
        return tolerance_of(self.estimator)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the data decide: without the draws of a random method."""
        return determined(self.estimator)

    def fit(self, batch: Batch) -> Estimates:
        """Return the method's answers on some data sets."""
        return self.estimator.fit(batch, self.cell.model)

    def answers(self) -> Estimates:
        """Return its answers on the case's own data sets, computed once."""
        if not self.kept:
            self.kept.append(self.fit(self.batch))
        return self.kept[0]


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the contract: its name, its claim, and the test of it."""

    name: str
    claim: str
    test: Callable[[Case], None]


def case_of(
    method: Method, on: Cell | None, replications: int | None = None, reference: Method | None = None
) -> Case:
    """Return a method with data to test it on, beside the method it should equal.

    Raises
    ------
    InvalidInput
        A method isn't known, or the reference has no usable answer on these data.

    Parameters
    ----------
    method : str, mapping, Estimator or function
    on : Cell, optional
        A friendly one by default.
    replications : int, optional
        Data sets of the simulations, instead of what their power needs.
    reference : method, optional
    """
    cell = on or friendly_cell()
    batch = cell.draw(SEED, range(DATA_SETS))
    other = None if reference is None else as_estimator(reference)
    if other is not None:
        fits = other.fit(batch, cell.model)
        if not fits.usable.any(axis=1).all():
            why = "; ".join(sorted({*fits.texts()} - {""})) or "no estimate"
            raise InvalidInput(
                f"expected a reference that answers on these data, got {other.label}: {why}; "
                "name another, or give a condition (--formula) it is made for"
            )
    return Case(as_estimator(method), cell, replications, batch, other)


def tolerance_of(estimator: Estimator) -> float:
    """Return how far numbers may be apart, relatively, that should be equal."""
    return LOOSE_RTOL if estimator.agreement in (None, Agreement.UNDER_STUDY, Agreement.IMPLICIT) else RTOL


def determined(estimator: Estimator) -> tuple[str, ...]:
    """Return the columns that the data decide: without the draws of a random method."""
    random = estimator.agreement is Agreement.RANDOM
    return (ESTIMATE, STD_ERROR) if random else STORED_COLUMNS


def require(holds: object, why: str) -> None:
    """Raise `Breach` with the reason, unless something holds."""
    if not holds:
        raise Breach(why)


def require_same(case: Case, left: Estimates, right: Estimates, what: str) -> None:
    """Raise `Breach` where two answers differ by more than the method's tolerance; `what` made them differ.

    Parameters
    ----------
    case : Case
    left, right : Estimates
    what : str
        In words, for the message.
    """
    difference = first_difference(case, left, right, case.rtol)
    require(not difference, f"{what} the numbers{difference}")
    require(np.array_equal(left.status, right.status), f"{what} the statuses")


def first_difference(case: Case, left: Estimates, right: Estimates, rtol: float) -> str:
    """Return the largest relative difference beyond `rtol` in words, "" if there is none."""
    if set(left.terms) != set(right.terms):
        return f": terms {', '.join(left.terms)} and {', '.join(right.terms)}"
    worst = differences(left, right, left.terms, case.columns, rtol)
    if worst.size <= rtol:
        return ""
    return (
        f": {worst.what} is {worst.left:.10g} and {worst.right:.10g} (relative difference {worst.size:.2g})"
    )

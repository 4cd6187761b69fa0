"""What advice may depend on: the design, the schools, and the residuals of the analyst's model.

Residuals e = M y, M = I - X (X'X)^-1 X', are the same for y and y + X c. Whatever is made of X, schools and e alone
can't know the coefficients: that is how `advise` is kept from looking at the effect it is asked about.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from nestbench.estimators.engines.estimable import estimable
from nestbench.own_data.user_data import UserData, prepare
from nestbench.sim.errors import InvalidInput, unknown_name
from nestbench.sim.laws.fixed_errors import constant_in_schools
from nestbench.sim.observed.batch import Batch, Floats, Ints
from nestbench.sim.observed.design import Design, design_of
from nestbench.sim.observed.model import Model
from nestbench.sim.observed.parsing import parse

EXACT = 1e-9
"""Residual SD, relative to the outcome's, below which the model fits exactly."""

LARGEST = 1e140
"""Of an outcome: sums of squares of larger ones overflow."""


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """An analyst's data and model.

    Attributes
    ----------
    data : UserData
        Complete rows of the columns used, the outcome among them.
    model : Model
        As the analyst states it.
    terms : tuple of str
    x : float64 [p, n]
        Columns of the terms.
    residuals : float64 [n]
        Of least squares.
    offsets : int64 [G + 1]
        First row of each school.
    constant : bool [p]
        Which terms are constant in schools.
    estimable : bool [p]
    """

    data: UserData
    model: Model
    terms: tuple[str, ...]
    x: Floats
    residuals: Floats
    offsets: Ints
    constant: npt.NDArray[np.bool_]
    estimable: npt.NDArray[np.bool_]

    @property
    def schools(self) -> int:
        """Number of schools G."""
        return len(self.offsets) - 1

    @property
    def sizes(self) -> Ints:
        """Students per school [G]."""
        return np.diff(self.offsets)

    @property
    def single(self) -> bool:
        """Whether every school has one student: nothing tells the schools' variance from the students'."""
        return len(self.residuals) == self.schools

    @property
    def labels(self) -> list[str]:
        """Labels of the schools."""
        return self.data.batch.replication(0).labels

    @property
    def right(self) -> str:
        """The formula's right-hand side."""
        return self.model.formula.split("~", 1)[1].strip()

    @property
    def outcome(self) -> str:
        """Name of the outcome in simulated data: the column's own where it stands alone."""
        left = self.model.formula.split("~", 1)[0].strip()
        free = (
            re.search(rf"(?<![\w.]){re.escape(left)}(?![\w.])", f"{self.right} {self.model.random}") is None
        )
        return left if left.isidentifier() and free else "outcome"

    @property
    def simulated(self) -> Model:
        """The model as it is fitted to simulated data: its outcome is a column."""
        # Without null values: the effect planted in what is simulated is 0, and so is what is tested.
        return replace(self.model, formula=f"{self.outcome} ~ {self.right}", null={})

    @property
    def blind(self) -> Batch:
        """The data with the residuals in the place of the outcome."""
        batch = self.data.batch
        own = parse(self.model.formula, tuple(batch.columns), (self.model.group,)).outcome
        kept = {name: column for name, column in batch.columns.items() if name != own}
        # With an empty memo, or moments of the real outcome would be found in it.
        return replace(batch, columns={self.outcome: self.residuals.copy(), **kept}, _memo={})

    def position(self, term: str) -> int:
        """Return the position of a term."""
        return self.terms.index(term)


def analysis_of(frame: pd.DataFrame, model: Model, messages: Mapping[str, str] | None = None) -> Analysis:
    """Return what advice is made of.

    Raises
    ------
    InvalidInput
        The data or the formula can't be used, or the model fits the outcome exactly.
    """
    data = prepare(frame, model, messages)
    batch = data.batch
    design: Design = batch.once(design_of, model)
    x, y = design.fixed(batch), design.outcome(batch)
    require_squares(design.response, y)
    residuals = residuals_of(x, y)
    if not residuals.std() > EXACT * max(float(y.std()), float(np.abs(y).max()) * 1e-6):
        raise InvalidInput(
            f"expected an outcome that varies about the model, got '{design.response}', which it fits "
            "exactly (constant, "
            "or computed from the terms); without residuals nothing is known of their spread"
        )
    offsets = batch.school_offsets
    constant = np.array([constant_in_schools(column, offsets) for column in x])
    answerable, _ = estimable(x.T, design.terms.index("Intercept") if design.intercept else None)
    return Analysis(data, model, design.terms, x, residuals, offsets, constant, answerable)


def require_squares(name: str, y: Floats) -> None:
    """Refuse an outcome whose squares are no numbers.

    Raises
    ------
    InvalidInput
        Names the outcome and its largest value.
    """
    largest = float(np.abs(y).max(initial=0.0))
    if largest and not 1.0 / LARGEST < largest < LARGEST:
        raise InvalidInput(
            f"expected an outcome between 1e-140 and 1e140, got '{name}' with values up to {largest:.3g}; "
            "give it in other units"
        )


def residuals_of(x: Floats, y: Floats) -> Floats:
    """Return least-squares residuals [n] of y on the rows of x [p, n]; projected twice, for the last digits."""
    q = orthonormal(x)
    e = y - q @ (q.T @ y)
    return np.asarray(e - q @ (q.T @ e))


def orthonormal(x: Floats) -> Floats:
    """Return an orthonormal basis [n, r] of the columns given as rows of x [p, n]."""
    size = np.sqrt((x**2).sum(axis=1))
    # Of one length: which directions are rounding mustn't depend on the columns' units.
    used = x[size > 0] / size[size > 0][:, None]
    if not len(used):
        return np.zeros((x.shape[1], 0))
    u, values, _ = np.linalg.svd(used.T, full_matrices=False)
    return np.asarray(u[:, values > 1e-10 * values[0]])


def asked_terms(analysis: Analysis, wanted: Sequence[str]) -> list[str]:
    """Return the terms to advise on: those asked for, by default those constant in schools, else the first.

    Raises
    ------
    InvalidInput
        A term that isn't the model's, that the data don't identify, or no term but the intercept.
    """
    known = [term for term in analysis.terms if term != "Intercept"] or list(analysis.terms)
    for term in wanted:
        if term not in analysis.terms:
            raise unknown_name("term", term, known)
    good = [term for term in known if analysis.estimable[analysis.position(term)]]
    if not wanted and not good:
        raise InvalidInput(
            f"expected a term that the data identify, got {', '.join(known)}, which depend linearly on one another; "
            "leave one of them out"
        )
    constant = [term for term in good if analysis.constant[analysis.position(term)]]
    chosen = list(dict.fromkeys(wanted)) or constant or good[:1]
    for term in chosen:
        if not analysis.estimable[analysis.position(term)]:
            raise InvalidInput(
                f"expected a term that the data identify, got '{term}', which depends linearly on the others; "
                "leave one of them out"
            )
    # Of such a model each simulated data set would take the slow, careful way of every method: hours, not seconds.
    if lost := [term for term in analysis.terms if not analysis.estimable[analysis.position(term)]]:
        raise InvalidInput(
            f"expected a model whose terms the data identify, got {', '.join(lost)}, which depend linearly on one "
            "another; leave one of them out"
        )
    return chosen

"""Tests of a value other than 0, for every method at once: fit the outcome less what the null hypothesis says of it.

With null values b0 of some coefficients, ``y - X b0`` has the coefficients ``b - b0`` and the same errors. Every
method here is equivariant: its estimates and limits of intervals move by b0, while standard errors, degrees of
freedom, variance components and the log-likelihood stay. So the test of ``b = b0`` on y is the test of 0 on
``y - X b0``, for t tests as for bootstraps and permutations, and adding b0 brings estimates and limits back. A
transformed outcome (``np.log(y)``) is shifted as evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from nestbench.estimators.estimates import Estimates
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Batch
from nestbench.sim.observed.derived import with_outcome_less
from nestbench.sim.observed.design import Design, FactorKind, design_of
from nestbench.sim.observed.model import Model

Regressed = Callable[[Batch, Model], npt.NDArray[np.bool_]]
"""Which terms are in a method's regression, bool [R, K]."""

SHIFTED = "outcome_less_null"
"""Column of the shifted outcome where it can't take the outcome's place."""


def under_null(batch: Batch, model: Model, regressed: Regressed | None = None) -> tuple[Batch, Model]:
    """Return batch and model as they are, or where the model states null values, `at_null` of them."""
    return batch.once(at_null, model, regressed) if any(model.null.values()) else (batch, model)


def at_null(batch: Batch, model: Model, regressed: Regressed | None) -> tuple[Batch, Model]:
    """Return batch and model in which the null values are 0 (call it as ``batch.once(at_null, model, regressed)``).

    A term that a method leaves out of its regression (`regressed`) isn't taken off the outcome: other terms would take
    it up.

    Raises
    ------
    InvalidInput
        A null value of something that is no term; a formula that would take the shifted outcome for a covariate.
    """
    design = batch.once(design_of, model)
    values = np.tile([model.null_of(term) for term in design.terms], (batch.size, 1))
    # What a method leaves out stays in the outcome: other terms would take it up with the wrong sign.
    if regressed is not None:
        values *= batch.once(regressed, model)
    name = _own_column(design) or SHIFTED
    # A memo of its own: what was computed of the outcome isn't true of the shifted one.
    moved = replace(batch, columns=with_outcome_less(batch, design, values, name), _memo={})
    right = model.formula.split("~", 1)[1]
    formula = f"{SHIFTED} ~{right}" if name == SHIFTED else model.formula
    tested = replace(model, formula=formula, null={})
    if moved.once(design_of, tested).terms != design.terms:
        raise InvalidInput(
            f"expected a formula with named terms for a null value, got '{model.formula}'; name the columns "
            "instead of '.'"
        )
    return moved, tested


def _own_column(design: Design) -> str | None:
    """Return the column that is the outcome as it stands and nothing else in the model; None where there is none."""
    product = design.lhs_products[0] if design.lhs_products else ()
    if len(product) != 1 or product[0].kind is not FactorKind.NUMBER:
        return None
    name, model = product[0].column, design.model
    elsewhere = f"{model.formula.split('~', 1)[1]} {model.random}"
    return None if re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", elsewhere) else name


def from_null(estimates: Estimates, model: Model) -> Estimates:
    """Return estimates on the outcome of `at_null` as those on the outcome itself: b0 added where it was taken off."""
    shift = np.array([model.null_of(term) for term in estimates.terms])
    return replace(
        estimates,
        estimate=estimates.estimate + shift,
        lower=estimates.lower + shift,
        upper=estimates.upper + shift,
    )


def null_words(models: Sequence[Model]) -> str:
    """Return what tests are of, in words: ``0``, or ``0 (treated: 0.3 or 0.5)`` where models state other values."""
    terms = dict.fromkeys(term for model in models for term, value in model.null.items() if value)
    values = {term: dict.fromkeys(f"{model.null_of(term):.10g}" for model in models) for term in terms}
    listed = "; ".join(f"{term}: {' or '.join(of)}" for term, of in values.items())
    return f"0 ({listed})" if listed else "0"

"""What a fitted model makes of a population's mean: the coefficients it has in the model, and what the model leaves
out.

The mean is a sum of effects times columns. A column that lies in the span of the model's columns X gives them its
effect; one that doesn't is left out, and becomes part of the errors: a school's resources look like school variance,
a student's gender like residual variance. Which is which is read off drawn data, by least squares.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nestbench.sim.cells.mean import Effect
from nestbench.sim.observed.batch import Floats
from nestbench.sim.observed.design import Design
from nestbench.sim.theory.standardised import Standardised


@dataclass(frozen=True, slots=True)
class InModel:
    """A population's mean in a model.

    Attributes
    ----------
    coefficients : mapping of str to float
        Term -> coefficient, of the terms where it is the same in every data set. `center(age)` leaves the slope
        alone, but gives each data set an intercept of its own: that one isn't here.
    left_out : tuple of Effect
        Effects whose columns the model's don't span.
    """

    coefficients: Mapping[str, float]
    left_out: tuple[Effect, ...]

    @property
    def terms_left_out(self) -> frozenset[str]:
        """Terms of the effects that are left out."""
        return frozenset(effect.term for effect in self.left_out)


def in_model(
    effects: Sequence[Effect],
    x: Standardised,
    design: Design,
    known: dict[str, Floats | None] | None = None,
) -> InModel:
    """Return a mean, the sum of effects [N], in a model with the columns `x`.

    Parameters
    ----------
    effects : sequence of Effect
    x : Standardised
        The model's columns on some drawn data sets.
    design : Design
    known : dict, optional
        What was `held` of effects by their terms, for the next means on the same data sets.

    Returns
    -------
    InModel
        Coefficients by term, and the effects outside the model's span, which are part of the errors to whoever fits it.
    """
    beta, left_out, known = np.zeros((len(x.gram), len(x.rows))), [], {} if known is None else known
    for effect in effects:
        if effect.term not in known:
            known[effect.term] = held(effect.column(x.rows.shape[1]), x)
        coefficients = known[effect.term]
        if coefficients is None:
            left_out.append(effect)
        else:
            beta += effect.value * coefficients
    named = beta @ x.contrasts.T
    rounding = 1e-9 * np.abs(beta).max() * np.abs(x.contrasts).sum(axis=1)
    # A coefficient that changes with the data set (of a column centred in each) is no parameter.
    same = np.ptp(named, axis=0) <= rounding
    means = named.mean(axis=0)
    return InModel({t: float(means[j]) for j, t in enumerate(design.terms) if same[j]}, tuple(left_out))


def held(column: Floats, x: Standardised) -> Floats | None:
    """Return the coefficients [R, p] of a column [N] in the span of the model's columns; None where it isn't in it."""
    coefficients = x.regress(column)
    apart = np.abs(column - x.fitted(coefficients)).max()
    return None if apart > 1e-7 * (1e-300 + np.abs(column).max()) else coefficients


def reshapes(mean: InModel, design: Design) -> bool:
    """Whether the model's columns use a column of an effect that is left out: what is left out then depends on X."""
    used = columns_used(design)
    return any(variable.name in used for effect in mean.left_out for variable in effect.variables)


def columns_used(design: Design) -> set[str]:
    """Return the names that occur in a model's terms."""
    return {name for term in design.terms for name in re.findall(r"[A-Za-z_][A-Za-z0-9_]*", term)}

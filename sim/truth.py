"""The truth of a cell: term -> true value, of the terms its model estimates under its law."""

from __future__ import annotations

from collections.abc import Mapping

from nestbench.sim.model import Model
from nestbench.sim.population import Population


def truth_of(population: Population, model: Model) -> Mapping[str, float]:
    """Return the true value of every term of `model` whose truth is known, and of the variance components."""
    return population.truth

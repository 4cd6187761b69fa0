"""What tests and the conformance suite work with: a method however it is given, a condition, and how two fits
differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nestbench.estimators.estimates import ENDS, ESTIMATE, Estimates
from nestbench.estimators.estimator import Estimator, Info
from nestbench.estimators.methods import registry
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.frame_engine import FrameEngine, own_method
from nestbench.experiments.running.resolving import resolve
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept.law import RandomIntercept

Method = str | Mapping[str, Any] | Estimator | Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """The largest relative difference between two methods: where, both numbers, and how many data sets differ."""

    size: float
    what: str
    replication: int
    left: float
    right: float
    count: int


def as_estimator(method: Method) -> Estimator:
    """Return a method as an `Estimator`: from a name, a table of name and options, itself, or a function."""
    if isinstance(method, Estimator):
        return method
    if isinstance(method, (str, Mapping)):
        return registry.get(method)
    if not callable(method):
        raise InvalidInput(
            f"expected the name of a method, an `Estimator` or a function (frame, model), got {type(method).__name__}"
        )
    # A function that was registered is the method of that name, with its version and options.
    for known in registry.known().values():
        if isinstance(known.reference, FrameEngine) and known.reference.function is method:
            return known
    # An object that can be called has no name of its own.
    name = getattr(method, "__name__", type(method).__name__)
    return own_method(name, 1, Info(name, name, "not stated", "as returned", "user"), method)


def friendly_cell() -> Cell:
    """Return a condition where every sensible method does well: 20 schools of 20, ICC .1, ten treated, no effect."""
    effects = {"Intercept": 50.0, "age": 2.0, "gender": 1.0, "resources": 0.0, "treated": 0.0}
    law = RandomIntercept(icc=0.1, effects=effects)
    return Cell(law, Layout(20, 20, 10), Model("grade ~ age + gender + treated"))


def cell_of(on: Any, number: int) -> tuple[Cell, int | None]:
    """Return the condition of an experiment and its seed (None: not stated)."""
    if on is None:
        return friendly_cell(), None
    if isinstance(on, Cell):
        return on, None
    experiment = on if isinstance(on, Experiment) else resolve(on)
    if not 0 <= number < len(experiment.cells):
        raise InvalidInput(f"expected a condition from 0 to {len(experiment.cells) - 1}, got {number}")
    return experiment.cells[number], experiment.seed


def differences(
    first: Estimates, second: Estimates, terms: Sequence[str], columns: Sequence[str], rtol: float
) -> Difference:
    """Return the largest relative difference between two methods' numbers on the same data sets.

    ``|a - b| / max(|a|, |b|, s)`` with s the smaller standard error for estimates and limits, 1e-12 otherwise;
    infinite where only one is missing, 0 where both are. Data sets where it exceeds `rtol` are counted.
    """
    worst = Difference(0.0, "nothing", 0, np.nan, np.nan, 0)
    differing = np.zeros(first.size, dtype=bool)
    for term in terms:
        i, j = first.terms.index(term), second.terms.index(term)
        # `fmin`: where one method has no standard error, that of the other will do.
        errors = np.fmin(first.std_error[:, i], second.std_error[:, j])
        for name in columns:
            a, b = getattr(first, name)[:, i], getattr(second, name)[:, j]
            floor = np.nan_to_num(errors, nan=0.0) if name in (ESTIMATE, *ENDS) else np.zeros(len(a))
            gaps = _relative(a, b, np.maximum(floor, 1e-12))
            differing |= gaps > rtol
            r = int(np.argmax(gaps))
            if gaps[r] > worst.size:
                numbers = float(a[r]), float(b[r])
                worst = Difference(
                    float(gaps[r]), f"{name} of {term}", int(first.replications[r]), *numbers, 0
                )
    return Difference(
        worst.size, worst.what, worst.replication, worst.left, worst.right, int(differing.sum())
    )


def _relative(a: Any, b: Any, floor: Any) -> Any:
    """Return relative differences, 0 where both are missing or equal, infinite where one is missing."""
    with np.errstate(invalid="ignore"):
        gap = np.abs(a - b) / np.maximum(np.maximum(np.abs(a), np.abs(b)), floor)
    # Infinite limits are equal to themselves, and their difference is NaN.
    same = (np.isnan(a) & np.isnan(b)) | (a == b)
    return np.where(same, 0.0, np.where(np.isnan(gap), np.inf, gap))

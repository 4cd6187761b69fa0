"""True values for methods: the oracle `gls` alone is given one, the true ratio of the variance components.

It is the benchmark that no analyst can have: what least squares with the true V would do. All other methods see a
`Batch`, which has no place for a true value.

An option ``theta`` without a value stands for "the condition's truth". Filling it in changes no label: the method is
the same in every condition.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from nestbench.estimators.estimator import Estimator
from nestbench.estimators.honoured import require_honoured
from nestbench.sim.cells.cell import Cell
from nestbench.sim.errors import InvalidInput


def with_truth(estimators: Iterable[Estimator], cell: Cell) -> tuple[Estimator, ...]:
    """Return the methods as they are fitted in a condition: theta = school SD / residual SD where an option asks for
    it.

    Raises
    ------
    InvalidInput
        A method asks for a ratio that the condition's population doesn't have, or can't honour its model.
    """
    estimators = tuple(estimators)
    for estimator in estimators:
        require_honoured(estimator.name, estimator.random, cell.model)
    return tuple(_with_truth(e, cell) if e.options.get("theta", 0) is None else e for e in estimators)


def _with_truth(estimator: Estimator, cell: Cell) -> Estimator:
    """Return a method with the true ratio as its option, or refuse a population that has no such ratio."""
    truth = cell.truth
    school, residual = truth.get("(school_sd)"), truth.get("(residual_sd)")
    if school is None or not residual:
        raise InvalidInput(
            f"expected a population with a school SD and a residual SD for the method '{estimator.name}', got "
            f"'{cell.population.name}' without; leave the method out"
        )
    return replace(estimator, options={**estimator.options, "theta": float(school) / float(residual)})

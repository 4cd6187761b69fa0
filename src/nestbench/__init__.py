"""nestbench: which method to trust on nested data, with known effects and stated Monte Carlo error.

The public names load when first used (PEP 562), so ``import nestbench`` and ``nestbench --help`` stay fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nestbench.advising.advice import Advice as Advice
    from nestbench.advising.asking import advise as advise
    from nestbench.estimators.estimates import Estimates as Estimates
    from nestbench.estimators.estimates import FitStatus as FitStatus
    from nestbench.experiments.experiment import Experiment as Experiment
    from nestbench.experiments.plugins import estimator as estimator
    from nestbench.experiments.plugins import population as population
    from nestbench.experiments.storing.store import Store as Store
    from nestbench.own_data.estimate import estimate as estimate
    from nestbench.own_data.fit import Fit as Fit
    from nestbench.runs import Run as Run
    from nestbench.runs import figure as figure
    from nestbench.runs import load as load
    from nestbench.runs import read_results as read_results
    from nestbench.runs import run as run
    from nestbench.runs import simulate as simulate
    from nestbench.sim.cells.cell import Cell as Cell
    from nestbench.sim.cells.layout import Layout as Layout
    from nestbench.sim.errors import InvalidInput as InvalidInput
    from nestbench.sim.errors import NestbenchError as NestbenchError
    from nestbench.sim.errors import StoreError as StoreError
    from nestbench.sim.laws.fixed_design import FixedDesign as FixedDesign
    from nestbench.sim.observed.model import Model as Model
    from nestbench.sim.random_intercept.law import RandomIntercept as RandomIntercept
    from nestbench.sizing.answer import Sizing as Sizing
    from nestbench.sizing.asking import size as size

__version__ = "0.1.0"

_PUBLIC = {
    "Advice": "nestbench.advising.advice",
    "Cell": "nestbench.sim.cells.cell",
    "Estimates": "nestbench.estimators.estimates",
    "Experiment": "nestbench.experiments.experiment",
    "Fit": "nestbench.own_data.fit",
    "FitStatus": "nestbench.estimators.estimates",
    "FixedDesign": "nestbench.sim.laws.fixed_design",
    "InvalidInput": "nestbench.sim.errors",
    "Layout": "nestbench.sim.cells.layout",
    "Model": "nestbench.sim.observed.model",
    "NestbenchError": "nestbench.sim.errors",
    "RandomIntercept": "nestbench.sim.random_intercept.law",
    "Run": "nestbench.runs",
    "Sizing": "nestbench.sizing.answer",
    "Store": "nestbench.experiments.storing.store",
    "StoreError": "nestbench.sim.errors",
    "advise": "nestbench.advising.asking",
    "estimate": "nestbench.own_data.estimate",
    "estimator": "nestbench.experiments.plugins",
    "figure": "nestbench.runs",
    "load": "nestbench.runs",
    "population": "nestbench.experiments.plugins",
    "read_results": "nestbench.runs",
    "run": "nestbench.runs",
    "simulate": "nestbench.runs",
    "size": "nestbench.sizing.asking",
}

__all__ = ["__version__", *sorted(_PUBLIC)]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'nestbench' has no attribute '{name}'")
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})

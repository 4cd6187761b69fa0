"""nestbench: which method to trust on nested data, with known effects and stated Monte Carlo error.

The public names load when first used (PEP 562), so ``import nestbench`` and ``nestbench --help`` stay fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nestbench.estimating import estimate as estimate
    from nestbench.estimators.estimates import Estimates as Estimates
    from nestbench.estimators.estimates import FitStatus as FitStatus
    from nestbench.experiments.experiment import Experiment as Experiment
    from nestbench.experiments.storing.store import Store as Store
    from nestbench.fit import Fit as Fit
    from nestbench.plugins import estimator as estimator
    from nestbench.plugins import population as population
    from nestbench.runs import Run as Run
    from nestbench.runs import figure as figure
    from nestbench.runs import load as load
    from nestbench.runs import run as run
    from nestbench.runs import simulate as simulate
    from nestbench.sim.cell import Cell as Cell
    from nestbench.sim.errors import InvalidInput as InvalidInput
    from nestbench.sim.errors import NestbenchError as NestbenchError
    from nestbench.sim.errors import StoreError as StoreError
    from nestbench.sim.fixed_design import FixedDesign as FixedDesign
    from nestbench.sim.layout import Layout as Layout
    from nestbench.sim.model import Model as Model
    from nestbench.sim.random_intercept import RandomIntercept as RandomIntercept

__version__ = "0.1.0"

_PUBLIC = {
    "Cell": "nestbench.sim.cell",
    "Estimates": "nestbench.estimators.estimates",
    "Experiment": "nestbench.experiments.experiment",
    "Fit": "nestbench.fit",
    "FitStatus": "nestbench.estimators.estimates",
    "FixedDesign": "nestbench.sim.fixed_design",
    "InvalidInput": "nestbench.sim.errors",
    "Layout": "nestbench.sim.layout",
    "Model": "nestbench.sim.model",
    "NestbenchError": "nestbench.sim.errors",
    "RandomIntercept": "nestbench.sim.random_intercept",
    "Run": "nestbench.runs",
    "Store": "nestbench.experiments.storing.store",
    "StoreError": "nestbench.sim.errors",
    "estimate": "nestbench.estimating",
    "estimator": "nestbench.plugins",
    "figure": "nestbench.runs",
    "load": "nestbench.runs",
    "population": "nestbench.plugins",
    "run": "nestbench.runs",
    "simulate": "nestbench.runs",
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

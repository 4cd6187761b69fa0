"""The outcome of a model as a function of the population's: its mean is known where that function is linear."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from nestbench.sim.cells.mean import Mean
from nestbench.sim.observed.batch import Batch, Floats
from nestbench.sim.observed.design import Design, FactorKind
from nestbench.sim.observed.formula import spread_means

STEP = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """How a model's outcome follows from the population's.

    Attributes
    ----------
    as_drawn : bool
        It is the population's own.
    slope : float
        Its change with the population's outcome: what standard deviations are multiplied by.
    reason : str
        Why its mean isn't known; empty where it is.
    """

    batch: Batch
    design: Design
    name: str
    as_drawn: bool
    slope: float = 1.0
    reason: str = ""

    def of(self, mean: Floats) -> Floats:
        """Return the mean of the model's outcome, given that of the population's [N]."""
        return mean if self.as_drawn else _with(self.batch, self.design, self.name, mean)


def outcome_of(mean: Mean, design: Design) -> Outcome:
    """Compare a model's outcome with the column that the population draws.

    The outcome is taken to be linear if it changes in proportion when random amounts are added to the population's.
    """
    batch, name = mean.batch, mean.outcome or _mentioned(design, mean.batch)
    products = design.lhs_products
    if products and len(products[0]) == 1 and products[0][0].kind == FactorKind.NUMBER:
        column = products[0][0].column
        if column == name:
            return Outcome(batch, design, name, True)
    what = f"the outcome is '{design.response}', "
    if name is None or name not in batch.columns or not _mentions(design, name):
        return Outcome(batch, design, "", True, reason=what + f"not the '{name}' that the population draws")
    # A fixed seed: a condition's truth is the same in every process.
    amount = STEP * np.random.default_rng(1).standard_normal(batch.rows)
    base = np.asarray(batch.columns[name], dtype=np.float64)
    flat, once, twice = (_with(batch, design, name, base + times * amount) for times in (0.0, 1.0, 2.0))
    size = max(float(np.abs(once - flat).max()), 1e-300)
    if not np.isfinite(once).all() or np.abs(twice - 2 * once + flat).max() > 1e-8 * size:
        return Outcome(batch, design, name, False, reason=what + f"which isn't a linear function of '{name}'")
    return Outcome(batch, design, name, False, _slope(once - flat, amount, batch))


def _slope(change: Floats, amount: Floats, batch: Batch) -> float:
    """Return the change of an outcome per unit, up to a shift of each data set (``center``); NaN if there is none."""
    change, amount = (v - spread_means(v, batch.row_offsets) for v in (change, amount))
    slope = float(change @ amount) / float(amount @ amount)
    close = np.abs(change - slope * amount).max() <= 1e-8 * max(float(np.abs(change).max()), 1e-300)
    return float(f"{slope:.10g}") if close else float("nan")


def _with(batch: Batch, design: Design, name: str, values: Floats) -> Floats:
    return design.outcome(replace(batch, columns={**batch.columns, name: values}, _memo={}))


def _left(design: Design) -> str:
    return design.model.formula.split("~")[0]


def _mentioned(design: Design, batch: Batch) -> str | None:
    """Return the one column named before the tilde, where there is just one."""
    names = [name for name in batch.columns if _mentions(design, name)]
    return names[0] if len(names) == 1 else None


def _mentions(design: Design, name: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", _left(design)) is not None

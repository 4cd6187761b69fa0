"""A working model of a term's precision: where the search starts, and how it moves. Never the answer.

v = se^2 M^2(df) of the nearest planned trial, though its formula may not hold for the population, with M(d) =
t_{1 - alpha/2, d} + t_{power, d} (of a half-width the first alone).
"""

from __future__ import annotations

import math
from dataclasses import replace

from nestbench.sim.cells.cell import Cell
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.model import alpha_of
from nestbench.sim.random_intercept.law import RandomIntercept
from nestbench.sim.random_intercept.planned import nearest
from nestbench.sim.theory.planning import t_test


def variance(cell: Cell, held: set[str], level: float, power: float | None) -> float:
    """Return v of a design; `power` None for a half-width.

    Parameters
    ----------
    cell : Cell
    held : set of str
        The model's terms, but for blocks' dummies.
    level : float
        Of the intervals.
    power : float or None
    """
    layout, law = cell.layout, cell.population
    if not 0.0 < layout.treated_part < 1.0:
        layout = replace(layout, treated_share=0.5, treated_schools=0)
    try:
        # Of a user's own population no more is known than that data help: enough for a place to start.
        found = nearest(law, layout, held) if isinstance(law, RandomIntercept) else None
    except InvalidInput:
        found = None
    if found is None:
        return 1.0 / (layout.schools * layout.mean_size)
    return found.trial.variance * found.sd**2 * multiplier(found.trial.df, level, power) ** 2


def multiplier(df: float, level: float, power: float | None) -> float:
    """Return M(df)."""
    df, alpha = max(df, 1.0), alpha_of(level)
    if power is None:
        return float(t_test.critical_value(df, alpha=alpha))
    return float(t_test.bloom_multiplier(df, power=power, alpha=alpha))


def log_variance(cell: Cell, held: set[str], level: float, power: float | None) -> float:
    """Return log v."""
    # Without any noise the variance is 0, and has no logarithm.
    return math.log(max(variance(cell, held, level, power), 1e-300))

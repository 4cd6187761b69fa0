"""A working model of a term's precision: where the search starts, and how it moves. Never the answer.

For a treatment of schools, T of G, with students n a school and classes c a school: ::

    v = (s_school^2 + s_class^2 / c + s^2 / n) (1/T + 1/(G - T)) M^2(G - 2)

and for a treatment of a share P of each school's students ``v = (s_effect^2 + s^2 / (n P (1 - P))) / G M^2(G - 1)``,
with M(d) = t_{1 - alpha/2, d} + t_{power, d} (of a half-width the first alone).
"""

from __future__ import annotations

import math

from scipy import stats

from nestbench.sim.cells.cell import Cell
from nestbench.sim.random_intercept.law import RandomIntercept


def variance(cell: Cell, level: float, power: float | None) -> float:
    """Return v of a design; `power` None for a half-width.

    Parameters
    ----------
    cell : Cell
    level : float
        Of the intervals.
    power : float or None
    """
    layout, law = cell.layout, cell.population
    if not isinstance(law, RandomIntercept):
        # Of a user's own population no more is known than that data help: enough for a place to start.
        return 1.0 / (layout.schools * layout.mean_size)
    n = max(layout.mean_size * (1.0 - law.missing), 1.0)
    schools = max(layout.schools - law.missing_schools, 2)
    residual = law.residual_sd**2
    if layout.assignment == "students":
        share = layout.treated_part
        arms = share * (1.0 - share) or 1.0
        return (
            (law.treatment_sd**2 + residual / (n * arms))
            / schools
            * multiplier(schools - 1, level, power) ** 2
        )
    treated = layout.treated_count * schools / layout.schools
    arms = 1.0 / treated + 1.0 / (schools - treated) if 0 < treated < schools else 1.0 / schools
    shared = law.school_sd**2 + law.class_sd**2 / max(layout.classes, 1) + residual / n
    # A dummy a pair but the first, each of which takes a degree of freedom.
    lost = schools // 2 - 1 if layout.assignment == "pairs" else 0
    return shared * arms * multiplier(schools - 2 - lost, level, power) ** 2


def multiplier(df: float, level: float, power: float | None) -> float:
    """Return M(df)."""
    df = max(df, 1.0)
    reach = float(stats.t.ppf(0.5 + 0.5 * level, df))
    return reach if power is None else reach + float(stats.t.ppf(power, df))


def log_variance(cell: Cell, level: float, power: float | None) -> float:
    """Return log v."""
    # Without any noise the variance is 0, and has no logarithm.
    return math.log(max(variance(cell, level, power), 1e-300))

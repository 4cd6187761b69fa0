"""Coverage, size, width, score and power of each method under each scenario, with grades."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from nestbench.advising.simulating import Answers, Draws
from nestbench.reports.comparing import grades, holm
from nestbench.reports.comparing.grades import Grade
from nestbench.sim.observed.batch import Floats
from nestbench.sim.observed.model import alpha_of, rejected

USABLE = 0.95
"""Share of data sets that a method must answer."""
SILENT = 9
"""Rank of no answer."""
ORDER = {
    Grade.HOLDS: 0,
    Grade.LIKELY: 1,
    Grade.LOOSE: 2,
    Grade.WIDE: 3,
    Grade.DOUBTFUL: 4,
    Grade.FAILS: 5,
}


def table_of(laws: Sequence[str], answers: Sequence[Answers], level: float) -> pd.DataFrame:
    """Return a row a scenario and method: ``n, usable, coverage, size, width, score, power, rmse, grade``, with Monte
    Carlo errors of coverage and power (``coverage_mcse, power_mcse``)."""
    rows = []
    for law, found in zip(laws, answers, strict=True):
        cap = cap_of(found, level)
        for label, draws in found.items():
            rows.append({"scenario": law, "method": label, **measures(draws, level, cap)})
    table = pd.DataFrame(rows)
    below = grades.outside_p(table["coverage"], np.maximum(table["n"], 1), level)
    size = grades.outside_p(1.0 - table["size"], np.maximum(table["n"], 1), level)
    limit = holm.limit(np.concatenate([below, size]))
    table["grade"] = [
        _worse(row["coverage"], 1.0 - row["size"], int(row["n"]), row["usable"], level, limit)
        for _, row in table.iterrows()
    ]
    return table


def _worse(coverage: float, kept: float, n: int, usable: float, level: float, limit: float) -> str:
    if usable < USABLE or not n:
        return "no answer"
    found = [grades.grade(value, n, level, limit) for value in (coverage, kept) if np.isfinite(value)]
    return str(max(found, key=lambda grade: ORDER[grade]))


def measures(draws: Draws, level: float, cap: float) -> dict[str, float]:
    """Return the measures of one method under one scenario whose true value is 0."""
    good = draws.usable
    n = int(good.sum())
    if not n:
        names = ("coverage", "coverage_mcse", "size", "width", "score", "power", "power_mcse", "rmse")
        return {"n": 0, "usable": 0.0, **dict.fromkeys(names, float("nan"))}
    lower, upper, p = draws.lower[good], draws.upper[good], draws.p_value[good]
    coverage = float(((lower <= 0) & (upper >= 0)).mean())
    found = float(np.nanmean(draws.found)) if np.isfinite(draws.found).any() else float("nan")
    return {
        "n": n,
        "usable": n / len(good),
        "coverage": coverage,
        "coverage_mcse": float(np.sqrt(coverage * (1 - coverage) / n)),
        # Some methods have intervals and no tests.
        "size": float(rejected(p, level).mean()) if np.isfinite(p).any() else float("nan"),
        "width": float(np.mean(upper - lower)),
        "score": float(scores(lower, upper, level, cap).mean()),
        "power": found,
        "power_mcse": float(np.sqrt(found * (1 - found) / n)),
        "rmse": float(np.sqrt((draws.estimate[good] ** 2).mean())),
    }


def scores(lower: Floats, upper: Floats, level: float, cap: float) -> Floats:
    """Return capped interval scores against 0: width plus 2 / alpha times the miss (Gneiting & Raftery 2007).

    Parameters
    ----------
    lower, upper : float64 [n]
        Limits less the true value.
    level : float
        Of the intervals.
    cap : float
        See `cap_of`.
    """
    miss = np.maximum(lower, 0.0) + np.maximum(-upper, 0.0)
    return np.asarray(np.minimum(upper - lower + 2.0 / alpha_of(level) * miss, cap))


def cap_of(found: Answers, level: float) -> float:
    """Return what a score counts at most: that of an interval of the usual width that misses by half its width."""
    widths = [np.nanmedian(d.upper - d.lower) for d in found.values() if d.usable.any()]
    return float(np.median(widths)) * (1.0 + 1.0 / alpha_of(level)) if widths else float("inf")

"""Rankings with their uncertainty: which methods can't be told from the best one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import special

from nestbench.estimators.estimates import Estimates
from nestbench.reports.comparing.contrasts import paired
from nestbench.reports.measures import statistics as st
from nestbench.reports.measures.draws import Draws, Truth, draws_of
from nestbench.reports.measures.measure import root_mean_square
from nestbench.sim.errors import unknown_name

LOSSES: dict[str, tuple[st.Values, frozenset[str]]] = {
    "mse": (st.squared_error, frozenset()),
    "interval_score": (st.interval_score, frozenset({"lower", "upper"})),
}
"""Losses to rank by, smaller is better; the interval score rewards short intervals, punishes misses."""


def ranking(
    estimates: Mapping[str, Estimates], term: str, truth: Truth, level: float, by: str = "interval_score"
) -> pd.DataFrame:
    """Rank the estimators of one cell for one term by a mean loss.

    Columns: ``rank, estimator, value, mcse, n, behind, behind_mcse, best``: `behind` is the paired mean
    difference to the first, `best` says whether it lies within Monte Carlo error of it: Bonferroni over the
    estimators compared, 5 %.
    """
    if by not in LOSSES:
        raise unknown_name("loss", by, LOSSES)
    loss, columns = LOSSES[by]
    rows = []
    for label, found in estimates.items():
        draws = _of_term(found, term, truth, level, columns)
        if draws is not None:
            value, mcse = _mean_loss(draws, term, loss)
            rows.append({"estimator": label, "value": value, "mcse": mcse, "n": draws.n})
    table: pd.DataFrame = pd.DataFrame(rows, columns=["estimator", "value", "mcse", "n"])
    table = table[np.isfinite(table["value"])].sort_values("value", kind="stable", ignore_index=True)
    if table.empty:
        return pd.DataFrame(columns=["rank", *table.columns, "behind", "behind_mcse", "best"])
    first = estimates[str(table["estimator"].iloc[0])]
    gaps = [_gap(first, estimates[name], term, truth, level, by) for name in table["estimator"]]
    critical = -special.ndtri(0.025 / max(len(table) - 1, 1))
    table["behind"], table["behind_mcse"] = [g[0] for g in gaps], [g[1] for g in gaps]
    table["best"] = ~(table["behind"] > critical * table["behind_mcse"])
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table


def _of_term(
    found: Estimates, term: str, truth: Truth, level: float, columns: frozenset[str]
) -> Draws | None:
    groups = [d for d in draws_of(found, truth, level, columns) if term in d.terms and d.n]
    return groups[0] if groups else None


def _mean_loss(draws: Draws, term: str, loss: st.Values) -> tuple[float, float]:
    k = draws.terms.index(term)
    with np.errstate(all="ignore"):
        values = np.asarray(draws.once(loss)[k : k + 1], dtype=np.float64)
        return float(values.mean()), float(root_mean_square(values)[0])


def _gap(
    first: Estimates, other: Estimates, term: str, truth: Truth, level: float, by: str
) -> tuple[float, float]:
    loss, columns = LOSSES[by]
    for a, b in paired(first, other, truth, level, columns):
        if term in a.terms:
            k = a.terms.index(term)
            with np.errstate(all="ignore"):
                gap = np.subtract(b.once(loss)[k : k + 1], a.once(loss)[k : k + 1], dtype=np.float64)
                return float(gap.mean()), float(root_mean_square(gap)[0])
    return float("nan"), float("nan")

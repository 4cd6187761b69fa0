"""Rankings with their uncertainty: which methods can't be told from the best one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from nestbench.estimators.estimates import Estimates
from nestbench.reports.comparing.contrasts import centred_difference, mean_difference
from nestbench.reports.measures import statistics as st
from nestbench.reports.measures.cell_rows import CellRows, Whole
from nestbench.reports.measures.draws import Draws, Paired, Truth
from nestbench.reports.measures.measure import mean_square, root
from nestbench.sim.batch import Floats
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
    found = rankings(Whole(estimates, truth, level), by)
    return found.get(term, pd.DataFrame(columns=list(COLUMNS)))


COLUMNS = ("rank", "estimator", "value", "mcse", "n", "behind", "behind_mcse", "best")


def rankings(rows: CellRows, by: str = "interval_score") -> dict[str, pd.DataFrame]:
    """Return `ranking` of every term that has one."""
    if by not in LOSSES:
        raise unknown_name("loss", by, LOSSES)
    loss, columns = LOSSES[by]
    means: dict[str, dict[str, Mean]] = {}
    for label in rows.labels:
        for draws in rows.draws(label, columns):
            if draws.n:
                value, mcse = _mean(draws, st.mean(loss), st.centred(loss))
                for k in np.flatnonzero(np.isfinite(value)):
                    means.setdefault(draws.terms[k], {})[label] = (float(value[k]), float(mcse[k]), draws.n)
    best = {term: min(found, key=lambda label: found[label][0]) for term, found in means.items()}
    same = {(label, label) for label in best.values()}
    behind = dict.fromkeys(best.items(), (0.0, 0.0))
    behind |= {
        (term, label): gap
        for first, label in sorted({(best[t], label) for t, found in means.items() for label in found} - same)
        for term, gap in _behind(rows, first, label, loss, columns).items()
        if best.get(term) == first
    }
    return {
        term: _ranked(found, {label: behind.get((term, label), _UNKNOWN) for label in found})
        for term, found in means.items()
    }


Mean = tuple[float, float, int]
"""Mean loss, its MCSE, n."""
_UNKNOWN = (float("nan"), float("nan"))


def _ranked(means: Mapping[str, Mean], behind: Mapping[str, tuple[float, float]]) -> pd.DataFrame:
    order = sorted(means, key=lambda label: means[label][0])
    critical = -special.ndtri(0.025 / max(len(order) - 1, 1))
    rows = [
        (place + 1, label, *means[label], *behind[label], not behind[label][0] > critical * behind[label][1])
        for place, label in enumerate(order)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _behind(
    rows: CellRows, first: str, label: str, loss: st.Values, columns: frozenset[str]
) -> dict[str, tuple[float, float]]:
    """Return how far a method is behind another, by term: the paired mean difference of losses, and its MCSE."""
    found: dict[str, tuple[float, float]] = {}
    for pair in rows.paired(first, label, columns):
        value, mcse = _mean(pair, mean_difference(loss), centred_difference(loss))
        found |= {term: (float(v), float(m)) for term, v, m in zip(pair.terms, value, mcse, strict=True)}
    return found


def _mean(sample: Draws | Paired, mean: Any, influence: Any) -> tuple[Floats, Floats]:
    with np.errstate(all="ignore"):
        return sample.total(mean), root(sample.total(mean_square(influence)), sample.n)

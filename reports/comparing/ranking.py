"""Rankings with their uncertainty: which methods can't be told from the best one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import special

from nestbench.estimators.estimates import Estimates
from nestbench.reports.measures import statistics as st
from nestbench.reports.measures.draws import Truth, draws_of
from nestbench.reports.measures.measure import root_mean_square
from nestbench.sim.batch import Floats, Ints
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
    return rankings(estimates, truth, level, by).get(term, pd.DataFrame(columns=list(COLUMNS)))


COLUMNS = ("rank", "estimator", "value", "mcse", "n", "behind", "behind_mcse", "best")


def rankings(
    estimates: Mapping[str, Estimates], truth: Truth, level: float, by: str = "interval_score"
) -> dict[str, pd.DataFrame]:
    """Return `ranking` of every term that has one."""
    if by not in LOSSES:
        raise unknown_name("loss", by, LOSSES)
    loss, columns = LOSSES[by]
    losses: dict[str, dict[str, Loss]] = {}
    for label, found in estimates.items():
        for draws in draws_of(found, truth, level, columns):
            with np.errstate(all="ignore"):
                values = np.asarray(draws.once(loss), dtype=np.float64)
            for term, row in zip(draws.terms, values, strict=True):
                if draws.n and np.isfinite(row.mean()):
                    losses.setdefault(term, {})[label] = (draws.replications, row)
    return {term: _ranked(by_label) for term, by_label in losses.items()}


Loss = tuple[Ints, Floats]
"""Numbers of the usable replications [n], their losses [n]."""


def _ranked(losses: Mapping[str, Loss]) -> pd.DataFrame:
    order = sorted(losses, key=lambda label: float(losses[label][1].mean()))
    critical = -special.ndtri(0.025 / max(len(order) - 1, 1))
    rows = []
    for place, label in enumerate(order):
        values = losses[label][1]
        behind, error = _mean(_gap(losses[order[0]], losses[label]))
        best = not behind > critical * error
        rows.append((place + 1, label, *_mean(values), len(values), behind, error, best))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _gap(first: Loss, other: Loss) -> Floats:
    if np.array_equal(first[0], other[0]):
        return other[1] - first[1]
    _, left, right = np.intersect1d(first[0], other[0], assume_unique=True, return_indices=True)
    return np.asarray(other[1][right] - first[1][left])


def _mean(values: Floats) -> tuple[float, float]:
    if not len(values):
        return float("nan"), float("nan")
    return float(values.mean()), float(root_mean_square(values[None, :])[0])

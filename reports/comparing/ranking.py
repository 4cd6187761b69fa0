"""Rankings on equal data with their uncertainty: which methods can't be told from the best one, and by how much."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from nestbench.reports.comparing import holm
from nestbench.reports.comparing.shared import Shared
from nestbench.sim.observed.batch import Floats

COLUMNS = (
    "rank",
    "estimator",
    "value",
    "mean",
    "ratio",
    "ratio_high",
    "behind",
    "behind_mcse",
    "p",
    "n",
    "best",
)
TINY = np.finfo(np.float64).tiny


def multiples(values: npt.ArrayLike, best: float) -> Floats:
    """Return values >= 0 as multiples of the best: where that is 0 (intervals without width), 1 or infinite."""
    numbers = np.asarray(values, dtype=np.float64)
    if best <= TINY:
        return np.where(numbers <= TINY, 1.0, np.inf)
    return np.asarray(numbers / best, dtype=np.float64)


def ranking(shared: Shared, limit: float | None = None) -> pd.DataFrame:
    """Rank the methods of one condition and term by their mean interval score, each score capped (`shared`).

    Columns: `value` the mean; `mean` without the cap, perhaps infinite; `ratio` of `value` to the first's, and
    `ratio_high`, the upper end of its 95 % Monte Carlo interval (delta method on the logarithm); `behind`, the paired
    mean difference to the first, its MCSE, and `p`, two-sided by t over lots; `n` data sets in common; `best`: not
    told from the first, p above `limit` (default: Holm's at 5 % among these methods). No rows where fewer than `LEAST`
    data sets are in common.
    """
    if not shared.enough or not shared.labels:
        return pd.DataFrame(columns=list(COLUMNS))
    value = shared.scores.sum(axis=0) / shared.n
    order = sorted(range(len(value)), key=lambda m: (value[m], shared.labels[m]))
    first = order[0]
    behind, ratio = value - value[first], multiples(value, value[first])
    apart = shared.scores - shared.scores[:, [first]]
    behind_mcse = lot_error(apart, shared.counts)
    relative = shared.scores / np.maximum(value, TINY)
    lots = len(shared.counts)
    high = ratio * np.exp(holm.t_quantile(lots) * lot_error(relative - relative[:, [first]], shared.counts))
    p = holm.t_p_values(behind, behind_mcse, lots)
    cut = holm.limit(np.delete(p, first)) if limit is None else limit
    table = pd.DataFrame(
        {
            "estimator": list(shared.labels),
            "value": value,
            "mean": shared.mean_score,
            "ratio": ratio,
            "ratio_high": high,
            "behind": behind,
            "behind_mcse": behind_mcse,
            "p": p,
            "n": shared.n,
            "best": p > cut,
        }
    ).iloc[order]
    table.loc[table.index[0], "best"] = True
    table.insert(0, "rank", np.arange(1, len(order) + 1))
    return table.reset_index(drop=True)


def lot_error(sums: Floats, counts: Floats) -> Floats:
    """Return the Monte Carlo errors of means [M] from sums by lot [L, M] and the lots' data sets [L].

    ``sqrt(L / (L - 1) sum_l (S_l - mean c_l)^2) / n``, n = sum c: with one data set a lot, sd / sqrt(n).
    """
    n, lots = counts.sum(), len(counts)
    if lots < 2:
        return np.full(sums.shape[1], np.nan)
    rest = sums - counts[:, None] * (sums.sum(axis=0) / n)
    return np.asarray(np.sqrt(lots / (lots - 1.0) * (rest**2).sum(axis=0)) / n)

"""Rankings on equal data with their uncertainty: which methods can't be told from the best one, and by how much."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nestbench.reports.comparing import holm
from nestbench.reports.comparing.shared import Shared
from nestbench.sim.observed.batch import Floats


@dataclass(frozen=True, slots=True)
class Place:
    """A method's place in a `ranking`: a row of it."""

    rank: int
    estimator: str
    value: float
    mean: float
    ratio: float
    ratio_high: float
    behind: float
    behind_mcse: float
    p: float
    n: int
    best: bool


COLUMNS = tuple(each.name for each in fields(Place))
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
    rows = [astuple(place) for place in places(shared, limit)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def places(shared: Shared, limit: float | None = None) -> list[Place]:
    """Return the rows of `ranking`, without the cost of a table: a report has one for each condition and term."""
    if not shared.enough or not shared.labels:
        return []
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
    numbers = np.stack([value, shared.mean_score, ratio, high, behind, behind_mcse, p], axis=1)
    rows: list[tuple[Any, ...]] = [
        (rank, shared.labels[m], *numbers[m].tolist(), shared.n, bool(m == first or p[m] > cut))
        for rank, m in enumerate(order, 1)
    ]
    return [Place(*row) for row in rows]


def lot_error(sums: Floats, counts: Floats) -> Floats:
    """Return the Monte Carlo errors of means [M] from sums by lot [L, M] and the lots' data sets [L].

    ``sqrt(L / (L - 1) sum_l (S_l - mean c_l)^2) / n``, n = sum c: with one data set a lot, sd / sqrt(n).
    """
    n, lots = counts.sum(), len(counts)
    if lots < 2:
        return np.full(sums.shape[1], np.nan)
    rest = sums - counts[:, None] * (sums.sum(axis=0) / n)
    return np.asarray(np.sqrt(lots / (lots - 1.0) * (rest**2).sum(axis=0)) / n)

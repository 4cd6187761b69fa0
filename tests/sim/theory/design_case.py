"""A design with known errors, and the sizes of OLS tests on it as the package finds them."""

from __future__ import annotations

import numpy as np

from nestbench.sim.observed.batch import offsets_of
from nestbench.sim.theory.rows import Rows
from nestbench.sim.theory.scores import Moments, moments_of
from nestbench.sim.theory.sizes import naive_of, robust_sizes
from nestbench.sim.theory.standardised import Standardised, by_row_products


class Case:
    """Moments of two data sets, the second that is asked about, with the parts that they were made of."""

    def __init__(self, x: np.ndarray, factors: np.ndarray, variance: np.ndarray, sizes: np.ndarray) -> None:
        n, p = x.shape
        first = np.concatenate([x[: n - 1 : 2][: n // 2], x])
        self.sizes = np.concatenate([[n // 2 - 3, 3], sizes])
        self.rows, self.offsets = first.T.copy(), offsets_of(self.sizes)
        self.factors = np.concatenate([factors[: n - 1 : 2][: n // 2], factors]).T.copy()
        self.variance = np.concatenate([np.full(n // 2, 0.9), variance])
        self.on = Rows(np.ones(self.rows.shape[1]), self.offsets, np.array([0, 2, 2 + len(sizes)]))
        gram = by_row_products(self.rows, self.rows, self.on.offsets)
        moved = Standardised(self.rows, np.eye(p), gram, np.linalg.inv(gram), self.on.offsets, True)
        self.moments: Moments = moments_of(self.on, moved, self.factors, self.variance)

    def robust(self, term: int, kind: str, reference: str) -> float:
        """Return the size of a cluster-robust test."""
        return float(robust_sizes(self.moments, {"it": (kind, reference)}, 0.95)["it"][1, term])

    def naive(self, term: int) -> float | None:
        """Return the size of the iid test."""
        found = naive_of(self.moments, self.on, self.rows, self.factors, self.variance, 0.95)
        return None if found is None else float(found[1, term])

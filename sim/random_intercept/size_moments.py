"""Averages over the schools' sizes, of one school drawn by a layout."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.batch import Floats
from nestbench.sim.random_intercept.sizes import lognormal_sizes, uniform_range


def mean_over_sizes(layout: Layout, function: Callable[[Floats, Floats], Floats]) -> float:
    """Return E f(n, z) over a school's size n and the standard normal z behind a lognormal size (else 0)."""
    n, z, weights = _sizes(layout)
    return float(weights @ function(n, z))


def size_ratio(layout: Layout) -> float:
    """Return E n^2 / E n: the mean, over students, of the size of their school."""
    return mean_over_sizes(layout, lambda n, _: n * n) / mean_over_sizes(layout, lambda n, _: n)


@lru_cache(maxsize=64)
def _sizes(layout: Layout) -> tuple[Floats, Floats, Floats]:
    """Sizes, normals and probabilities; lognormal sizes on a fine grid of normals (sizes are steps in them)."""
    if layout.size_cv:
        # Not by quadrature, which is for smooth functions: rounded sizes are steps.
        z = np.linspace(-9.0, 9.0, 180_001)
        weights = np.exp(-0.5 * z * z)
        sizes = lognormal_sizes(z, layout.mean_size, layout.size_cv)
        return sizes.astype(np.float64), z, weights / weights.sum()
    if layout.size_range is not None or layout.size_spread:
        low, high = uniform_range(layout)
        sizes = np.arange(low, high + 1)
    elif layout.balanced:
        # Once: a mean of many equal numbers is off in the last digit, and schools of one student had fewer than one.
        sizes = layout.sizes()[:1]
    else:
        sizes = layout.sizes()
    return sizes.astype(np.float64), np.zeros(len(sizes)), np.full(len(sizes), 1.0 / len(sizes))

"""How much of an axis intervals get, where a rare one is thousands of times as long as the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nestbench.sim.observed.batch import Floats

SHARE = 0.9
"""Share of each method's intervals that should lie inside."""
ROOM = 1.25
"""Room left beside them."""
WIDEST = 5.0
"""How many times as wide as the middle method's a method's intervals may make the picture."""
SLACK = 2.0
"""An end up to so many times as far as that is still shown whole."""


def half_width(ends: Sequence[Floats]) -> float:
    """Return how far a picture of intervals reaches on both sides of the truth.

    To the farthest end that isn't more than `SLACK` times ``ROOM min(max_m q_m, WIDEST median_m q_m)`` away, with q_m
    the `SHARE` quantile of method m's farther interval ends. Infinite ends count as far; where most are infinite the
    finite ones decide.

    Parameters
    ----------
    ends : sequence of float64 [n]
        For each method, the distances of its intervals' farther ends from the truth; not NaN, may be infinite.
    """
    finite = np.concatenate([far[np.isfinite(far)] for far in ends]) if ends else np.empty(0)
    if not finite.size:
        return 0.0
    # "lower" takes an end that exists; between a finite and an infinite one NumPy interpolates to NaN.
    middles = [float(np.quantile(far, SHARE, method="lower")) for far in ends if far.size]
    limit = ROOM * min(max(middles), WIDEST * float(np.quantile(middles, 0.5, method="lower")))
    limit = limit if np.isfinite(limit) else ROOM * float(np.quantile(finite, SHARE))
    return float(finite[finite <= SLACK * limit].max(initial=0.0))

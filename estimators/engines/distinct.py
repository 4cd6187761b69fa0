"""Bootstraps of few schools: what cannot be rejected when only few different draws exist.

The p-value of a bootstrap is a share of its draws. Two schools have three pairs draws, (2, 0), (1, 1) and (0, 2), and
four vectors of signs: however often they are repeated, no p-value below one over their number has a meaning.
"""

from __future__ import annotations

import numpy as np

from nestbench.sim.observed.batch import Floats
from nestbench.sim.observed.model import TIE


def limited(
    p_value: Floats, interval: tuple[Floats, Floats], distinct: float, alpha: float
) -> tuple[Floats, tuple[Floats, Floats], str]:
    """Return p-values [K] of at least 1 / `distinct`, the interval that belongs to them, and what to say.

    Where not even the least p-value rejects, no effect is excluded: the interval is infinite.

    Parameters
    ----------
    p_value : float64 [K]
        Shares of the draws.
    interval : (lower, upper), float64 [K] each
    distinct : float
        How many different draws there are, repeated or not.
    alpha : float
        One minus the level of the interval.

    Returns
    -------
    p_value, interval, message
        The message is empty where nothing had to be limited.
    """
    least = 1.0 / distinct
    p_value = np.maximum(p_value, least)
    if least <= alpha * (1.0 + TIE) or np.isnan(p_value).all():
        return p_value, interval, ""
    lower, upper = (
        np.where(np.isnan(side), np.nan, limit)
        for side, limit in zip(interval, (-np.inf, np.inf), strict=True)
    )
    return p_value, (lower, upper), f"only {distinct:g} different draws: nothing can be rejected at {alpha:g}"

"""Intervals for proportions: never Wald, whose width is 0 at 0 and 1."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from nestbench.sim.observed.batch import Floats


def wilson(share: npt.ArrayLike, n: npt.ArrayLike, level: float = 0.95) -> tuple[Floats, Floats]:
    """Return Wilson's score interval (Wilson 1927), for display.

    ``(p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)``. Shapes broadcast.

    Parameters
    ----------
    share : array of float
    n : array of int
        Trials behind each share.
    level : float
    """
    p, size = np.asarray(share, dtype=np.float64), np.asarray(n, dtype=np.float64)
    z2 = special.ndtri(0.5 * (1.0 + level)) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        middle = p + z2 / (2.0 * size)
        half = np.sqrt(z2 * (p * (1.0 - p) / size + z2 / (4.0 * size**2)))
        scale = 1.0 + z2 / size
        # By rounding alone the ends of 0 of n and n of n lie outside of [0, 1].
        return np.maximum((middle - half) / scale, 0.0), np.minimum((middle + half) / scale, 1.0)


def clopper_pearson(successes: npt.ArrayLike, n: npt.ArrayLike, level: float = 0.95) -> tuple[Floats, Floats]:
    """Return the exact interval (Clopper & Pearson 1934), for gates: its level is never below the nominal.

    Parameters
    ----------
    successes, n : array of int
    level : float
    """
    x, size = np.asarray(successes, dtype=np.float64), np.asarray(n, dtype=np.float64)
    tail = 0.5 * (1.0 - level)
    # SciPy gives NaN for a parameter of 0; what is asked there is answered by the last line.
    lower = special.betaincinv(np.maximum(x, 1.0), size - x + 1.0, tail)
    upper = special.betaincinv(x + 1.0, np.maximum(size - x, 1.0), 1.0 - tail)
    return np.where(x > 0, lower, 0.0), np.where(x < size, upper, 1.0)


def shown_error(share: npt.ArrayLike, mcse: npt.ArrayLike, n: npt.ArrayLike) -> Floats:
    """Return the Monte Carlo error of a share as it is printed: never 0.

    Where every replication says the same, ``sqrt(p (1 - p) / n)`` is 0 and says nothing: then half of Wilson's 95 %
    interval over 1.96. Shapes broadcast; NaN without replications.

    Parameters
    ----------
    share, mcse : array of float
    n : array of int
        Replications behind each share.
    """
    low, high = wilson(share, n)
    half = (high - low) / (2.0 * special.ndtri(0.975))
    return np.where(np.asarray(mcse, dtype=np.float64) > 0.0, mcse, half)

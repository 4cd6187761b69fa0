"""Binomial numbers from uniforms, one each: those that NumPy draws where the smaller of n p and n q is at most 30.

NumPy goes through the probabilities of 0, 1, ... until their sum exceeds a uniform, working them out anew for each
number (inversion; Devroye 1986, X.4.3); here they are kept, by n. Larger numbers take NumPy several uniforms each
(Kachitvichyanukul & Schmeiser 1988) and are left to it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nestbench.sim.compiled import kernel
from nestbench.sim.observed.batch import Floats, Ints

MOST = 30.0
"""Mean up to which NumPy inverts."""
WIDEST = 100
"""Above all numbers that it looks at: mean 30, and ten times an SD of sqrt(31)."""


def invertible(most: int, p: float) -> bool:
    """Whether NumPy draws Binomial(n, p) by inversion for all n up to `most`."""
    return most * min(p, 1.0 - p) <= MOST


def binomials(n: Ints, p: float, u: Floats) -> tuple[Ints, Ints]:
    """Return Binomial(n, p), int64 [R, k], by inversion; and for which rows uniforms did not suffice.

    Parameters
    ----------
    n : int64 [R, k]
        Where it is 0, no uniform is used.
    p : float
    u : float64 [R, at least k]
    """
    drawn, short = np.empty_like(n), np.zeros(len(n), dtype=np.bool_)
    invert(np.ascontiguousarray(n), p, u, drawn, short)
    return drawn, np.flatnonzero(short)


@kernel
def invert(n: Any, p: float, u: Any, drawn: Any, short: Any) -> None:
    """Write binomials; a row is `short` where a uniform exceeds the sum of all probabilities and asks for another."""
    rare, most = min(p, 1.0 - p), 0
    for r in range(n.shape[0]):
        for k in range(n.shape[1]):
            most = max(most, n[r, k])
    chance, known = np.empty((most + 1, WIDEST)), np.zeros(most + 1, np.int64)
    for r in range(n.shape[0]):
        at = 0
        for k in range(n.shape[1]):
            size, count = n[r, k], 0
            if size > 0:
                if known[size] == 0:
                    known[size] = probabilities(size, rare, chance[size])
                left = u[r, at]
                at += 1
                while count < known[size] and left > chance[size, count]:
                    left -= chance[size, count]
                    count += 1
                short[r] = short[r] or count == known[size]
            drawn[r, k] = size - count if p > 0.5 else count


@kernel
def probabilities(n: int, p: float, out: Any) -> int:
    """Write the probabilities of 0, 1, ... of Binomial(n, p), p <= 1/2; return how many are looked at."""
    q = 1.0 - p
    out[0] = math.exp(n * math.log1p(-p))
    last = int(min(float(n), n * p + 10.0 * math.sqrt(n * p * q + 1.0)))
    for x in range(1, last + 1):
        out[x] = ((n - x + 1) * p * out[x - 1]) / (x * q)
    return last + 1

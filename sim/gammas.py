"""Chi-squares of many streams at once: those that NumPy draws of them, in one compiled loop (`nestbench.sim.normals`).

With more than 2 degrees of freedom NumPy's are 2 b v of Marsaglia & Tsang (2000): b = df / 2 - 1/3, v = (1 + x / sqrt(9
b))^3 of a normal x, kept where a uniform u is below 1 - .0331 x^4 or log u < x^2 / 2 + b (1 - v + log v). Whether the
loop's are the same is looked at once a process for each df; where they aren't, or df is 2 or less, NumPy draws.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from nestbench.sim.compiled import kernel
from nestbench.sim.normals import (
    BY_8,
    BY_9,
    BY_11,
    FRACTION,
    LAYER,
    ONE,
    UNIT,
    Floats,
    beyond,
    following,
    layers,
)
from nestbench.sim.streams import StreamSource, Words

TRIED = 30_000
"""Chi-squares that are held against NumPy's."""


def chi_squares(streams: StreamSource, states: Words, df: float, out: Floats) -> None:
    """Write the next chi-squares of some streams.

    Parameters
    ----------
    streams : StreamSource
    states : uint64 [R, 4]
        Where the streams are (`StreamSource.states`); on return, too.
    df : float
        Degrees of freedom.
    out : float64 [R, n]
        Written.
    """
    known = layers()
    if known is None or df <= 2.0 or not agrees(df):
        by_numpy(streams, states, df, out)
    else:
        compiled(states, df, known.inside, known.width, known.height, out)


def by_numpy(streams: StreamSource, states: Words, df: float, out: Floats) -> None:
    """Do what `chi_squares` does by NumPy's generator."""
    for i, state in enumerate(states):
        out[i] = streams.resumed(state).chisquare(df, out.shape[1])
        state[:] = streams.state()


@cache
def agrees(df: float) -> bool:
    """Whether the loop gives NumPy's chi-squares, and leaves the stream where NumPy does."""
    source, known = StreamSource(0, "gammas"), layers()
    assert known is not None
    own, theirs = np.empty((1, TRIED)), np.empty((1, TRIED))
    states = source.states(range(1), "agrees")
    ends = states.copy()
    compiled(ends, df, known.inside, known.width, known.height, own)
    by_numpy(source, states, df, theirs)
    return np.array_equal(own, theirs) and np.array_equal(ends, states)


@kernel
def compiled(states: Any, df: float, inside: Any, width: Any, height: Any, out: Any) -> None:
    """Write chi-squares as `chi_squares` does, of more than 2 degrees of freedom."""
    b = df / 2.0 - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * b)
    for r in range(states.shape[0]):
        low, high, add, add_high = states[r, 0], states[r, 1], states[r, 2], states[r, 3]
        for i in range(out.shape[1]):
            while True:
                # A normal as in `normals.fill_compiled`: what is called for each takes twice as long.
                word, low, high = following(low, high, add, add_high)
                layer = np.int64(word & LAYER)
                fraction = (word >> BY_9) & FRACTION
                x = np.int64(fraction) * width[layer]
                if (word >> BY_8) & ONE:
                    x = -x
                if fraction >= inside[layer]:
                    kept, x, low, high = beyond(layer, x, fraction, height, low, high, add, add_high)
                    if not kept:
                        continue
                v = 1.0 + c * x
                if v <= 0.0:
                    continue
                v = v * v * v
                word, low, high = following(low, high, add, add_high)
                u = np.int64(word >> BY_11) * UNIT
                if u < 1.0 - 0.0331 * (x * x) * (x * x) or surely(u, x, v, b):
                    break
            out[r, i] = 2.0 * (b * v)
        states[r, 0], states[r, 1] = low, high


@kernel
def surely(u: float, x: float, v: float, b: float) -> bool:
    """Whether a try is kept; of a uniform of 0 the logarithm is minus infinity, and it is."""
    return u == 0.0 or math.log(u) < 0.5 * x * x + b * (1.0 - v + math.log(v))

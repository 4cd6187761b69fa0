"""Chi-squares of many degrees of freedom each, from lots of numbers drawn before: no call a chi-square."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nestbench.sim.compiled import kernel
from nestbench.sim.observed.batch import Floats, Ints
from nestbench.sim.streams import StreamSource


def tries_for(number: int) -> int:
    """Return how many tries nearly always suffice for a number of chi-squares."""
    # Of tries with 2 degrees of freedom 95 % succeed, with more of them more (Marsaglia & Tsang 2000).
    return number + number // 8 + 16


def chi_squares(df: Ints, z: Floats, u: Floats, streams: StreamSource, replications: range) -> Floats:
    """Return chi-squares [R, m]; where tries don't suffice, further ones come from the stream "gammas".

    Parameters
    ----------
    df : int64 [R, m]
        Degrees of freedom; below 1 the chi-square is 0.
    z, u : float64 [R, tries]
        Standard normals and uniforms: one of each a try.
    """
    chi2, done = np.empty(df.shape), np.zeros(len(df), dtype=np.int64)
    try_chi_squares(df, z, u, chi2, done)
    for short in np.flatnonzero(done < df.shape[1]).tolist():
        generator, part = streams.at(replications[short], "gammas"), slice(short, short + 1)
        while done[short] < df.shape[1]:
            more = generator.standard_normal((1, z.shape[1])), generator.random((1, z.shape[1]))
            try_chi_squares(df[part], *more, chi2[part], done[part])
    return chi2


@kernel
def try_chi_squares(df: Any, z: Any, u: Any, chi2: Any, done: Any) -> None:
    """Write chi-squares, as many as the numbers suffice for.

    With 1 degree of freedom it is a squared normal; with more, 2 d v of Marsaglia & Tsang (2000): d = df / 2 - 1/3,
    v = (1 + x / sqrt(9 d))^3 of a normal x, kept where log u < x^2 / 2 + d (1 - v + log v), u uniform.

    Parameters
    ----------
    df : int64 [R, m]
    z, u : float64 [R, tries]
    chi2 : float64 [R, m]
        Written.
    done : int64 [R]
        How many have been written; on return, too.
    """
    for r in range(len(done)):
        at = 0
        while done[r] < chi2.shape[1] and at < z.shape[1]:
            value = _tried(df[r, done[r]], z[r, at], u[r, at])
            at += 1
            if value >= 0.0:
                chi2[r, done[r]] = value
                done[r] += 1


@kernel
def _tried(df: int, x: float, u: float) -> float:
    """Return a chi-square, or -1 where the try fails."""
    if df <= 1:
        return x * x if df == 1 else 0.0
    d = 0.5 * df - 1.0 / 3.0
    root = 1.0 + x / (3.0 * math.sqrt(d))
    v = root * root * root
    if v <= 0.0:
        return -1.0
    # Their squeeze, which saves nine logarithms in ten and keeps nothing that these would refuse.
    # A uniform may be 0, and has no logarithm then.
    if u < 1.0 - 0.0331 * x * x * x * x or u == 0.0:
        return 2.0 * d * v
    return 2.0 * d * v if math.log(u) < 0.5 * x * x + d * (1.0 - v + math.log(v)) else -1.0

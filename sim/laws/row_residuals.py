"""Residuals that have to be drawn student by student, and of each school the statistics that methods go by.

The numbers are those of the rows (`FixedDesign._drawn_rows`): the streams "data" and "residual_shape", in their order.
A school's are drawn, given their shape and reduced before the next one's, so that none leaves the processor's cache;
nobody keeps the rows, which are drawn anew where they are asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nestbench.sim import gammas
from nestbench.sim.compiled import kernel
from nestbench.sim.laws.known_design import Drawn, KnownDesign, outcome_of, school_effects, with_rows
from nestbench.sim.laws.known_rows import centre, length, take_off
from nestbench.sim.normals import fill_compiled, layers
from nestbench.sim.observed.batch import Batch, Floats, Ints
from nestbench.sim.random_intercept.shocks import Shock
from nestbench.sim.streams import StreamSource

KINDS = {"normal": 0, "t": 1, "chi2": 2}
"""Shapes that are made here."""


def drawn_here(shape: Shock) -> bool:
    """Whether residuals of a shape are made here: from numbers that a compiled loop draws."""
    if shape.shape not in KINDS or layers() is None:
        return False
    return shape.normal or (shape.parameter > 2.0 and gammas.agrees(shape.parameter))


@dataclass(frozen=True, slots=True, eq=False)
class Residuals:
    """Residuals that are drawn row by row.

    Attributes
    ----------
    shape : Shock
        One for which they are `drawn_here`.
    sd : float64 [N] or [1]
        What each of them, or all, are multiplied by.
    rows : function
        Replications -> the outcome of their rows [R, N], drawn anew.
    """

    shape: Shock
    sd: Floats
    rows: Callable[[range], Floats]


def draw_reduced(
    known: KnownDesign,
    intercepts: Floats,
    drawn: Drawn,
    residuals: Residuals,
    streams: StreamSource,
    replications: range,
) -> Batch:
    """Draw the outcome of some replications row by row, and keep its statistics.

    Parameters
    ----------
    known : KnownDesign
        School by school.
    intercepts : float64 [G]
        Schools' means of the outcome's mean.
    """
    z, middle, factor = residual_statistics(known, residuals, streams, replications)
    effects = school_effects(drawn.school_errors, z, streams, replications)
    random = drawn.errors.drawn(effects, known.strata.school_of, streams, replications)
    sd = np.broadcast_to(random.residual_sd, z.shape)
    scaled = sd * middle, sd[..., None] * factor[..., :-1], sd * factor[..., -1]
    statistics = outcome_of(known, intercepts, drawn, random, scaled)

    def rows(numbers: Ints) -> Floats:
        return np.concatenate([residuals.rows(range(n, n + 1)) for n in numbers.tolist()])

    return with_rows(known, drawn.outcome, statistics, rows, streams, replications)


def residual_statistics(
    known: KnownDesign, residuals: Residuals, streams: StreamSource, replications: range
) -> tuple[Floats, Floats, Floats]:
    """Return standard normals of the schools [R, G], and mean [R, G] and row of the factor [R, G, p + 1] of residuals
    with the variances that rows have."""
    found, (times, schools, p) = layers(), (len(replications), len(known.rank), len(known.terms))
    assert found is not None
    z, mean, factor = (
        np.empty((times, schools)),
        np.empty((times, schools)),
        np.empty((times, schools, p + 1)),
    )
    _draw(
        streams.states(replications, "data"),
        streams.states(replications, "residual_shape"),
        KINDS[residuals.shape.shape],
        residuals.shape.parameter,
        (found.inside, found.width, found.height),
        residuals.sd,
        known.q,
        known.strata.starts,
        known.rank,
        (z, mean, factor),
    )
    return z, mean, factor


@kernel
def _draw(
    states: Any,
    shaping: Any,
    kind: int,
    df: float,
    ziggurat: Any,
    sd: Floats,
    q: Floats,
    starts: Any,
    rank: Any,
    out: Any,
) -> None:
    """Write normals of schools, means and factors to `out`.

    Parameters
    ----------
    states, shaping : uint64 [R, 4]
        Where the streams "data" and "residual_shape" are.
    kind, df
        Of the shape.
    ziggurat
        Of `normals.Layers`.
    sd, q, starts, rank
        As in `Residuals` and `KnownDesign`.
    out : float64 [R, G], [R, G], [R, G, p + 1]
        Written.
    """
    inside, width, height = ziggurat
    schools, means, factors = out
    p, count, longest = len(q), len(rank), 0
    for g in range(count):
        longest = max(longest, starts[g + 1] - starts[g])
    row, chi2 = np.empty(longest), np.empty(longest)
    bounds, none = np.zeros(2, np.int64), np.empty((1, 0))
    for r in range(len(states)):
        own, other = states[r : r + 1], shaping[r : r + 1]
        for g in range(count):
            start, stop = starts[g], starts[g + 1]
            n = stop - start
            bounds[1] = n
            fill_compiled(own, inside, width, height, row, bounds, none)
            if kind > 0:
                gammas.compiled(other, df, inside, width, height, chi2[:n].reshape(1, n))
            part = row[:n]
            _shape(part, chi2[:n], kind, df)
            if len(sd) > 1:
                for i in range(n):
                    part[i] *= sd[start + i]
            elif sd[0] != 1.0:
                for i in range(n):
                    part[i] *= sd[0]
            means[r, g] = centre(part)
            factors[r, g] = 0.0
            for k in range(rank[g]):
                factors[r, g, k] = take_off(part, q[k, start:stop])
            if n - 1 > rank[g]:
                factors[r, g, p] = length(part)
        bounds[1] = count
        fill_compiled(own, inside, width, height, schools[r], bounds, none)


@kernel
def _shape(row: Floats, chi2: Floats, kind: int, df: float) -> None:
    """Make residuals [n] of a shape, in place, from standard normals and chi-squares: as in `shocks`."""
    if kind == 1:
        for i in range(len(row)):
            row[i] *= math.sqrt((df - 2.0) / chi2[i])
    elif kind == 2:
        root = math.sqrt(2.0 * df)
        for i in range(len(row)):
            row[i] = (chi2[i] - df) / root

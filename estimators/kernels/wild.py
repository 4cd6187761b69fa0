"""The wild cluster bootstrap from school scores alone (MacKinnon, Nielsen & Webb 2023).

With M = (X'X)^-1, C_g = X_g'X_g, scores s_g and a term c'beta of variance m = c'Mc (per sigma^2):
imposing c'beta = b moves the estimate along M c, so with kappa = (c'beta_hat - b) / m the restricted
scores are s_g + kappa h_g, h_g = C_g M c. A bootstrap sample multiplies each school's residuals by v_g.
With S = sum_g v_g M (s_g + kappa h_g) its estimate is off by c'S, and the influence of its school g is

    psi_g = v_g c'M (s_g + kappa h_g) - h_g'S,      t*^2 = (c'S)^2 / sum_g psi_g^2,

up to the factor G/(G-1) of CR1 that t^2 = (kappa m)^2 / V, V = sum_g (c'M s_g)^2, has too. Everything is
linear in kappa, so five numbers a draw give t* under every null at once:

    c'S = n0 + kappa n1,    sum psi^2 = q0 + kappa q1 + kappa^2 q2.

With a_g = c'M s_g + kappa c'M h_g and T = sum_g v_g a_g h_g, ``sum psi^2 = sum (v_g a_g)^2 - 2 S'T +
S'(sum h_g h_g')S``: all that a draw needs are weighted sums of the v_g, 3p a term and p shared by all.

Restricted (null imposed) draws use kappa of the null that is tested, unrestricted ones kappa = 0. ``|t*|
>= |t|`` is judged as ``(c'S)^2 V >= (kappa m)^2 sum psi^2``, which no division can spoil, with a
tolerance for ties.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nestbench.estimators.kernels.linalg import inverse
from nestbench.sim.compiled import accumulate, kernel
from nestbench.sim.observed.batch import Floats, Ints

BLOCK = 64
"""Draws at a time: G rows of this width stay in the cache."""
TIE = 1e-9
"""|t*| and |t| closer than this, relatively, are tied."""
DOUBLINGS = 10
"""An interval that reaches beyond 2^9 standard errors is called infinite; far out, rounding would decide about ties."""
BISECTIONS = 60
"""Halvings of an interval's end, to the last digit of a double."""
COARSE = 12
"""Bisections over all draws, before only those that still matter are looked at."""


@kernel
def draw_statistics(
    cross: Floats,
    x: Ints,
    contrasts: Floats,
    lower: Floats,
    scores: Floats,
    codes: Any,
    table: Floats,
    asked: Ints,
    numbers: Floats,
    sizes: Floats,
) -> None:
    """Write n0, n1, q0, q1, q2 of every term and draw, and (m, V) of every term: all that `p_value` and `bound` need.

    Parameters
    ----------
    cross : float64 [G, d, d]
        Of one replication.
    x : int64 [p]
    contrasts : float64 [p, p]
    lower : float64 [p, p]
        Cholesky factor of X'X.
    scores : float64 [G, p]
    codes : uint8 [G, B]
        Which entry of `table` multiplies school g in draw b: ``v[g, b] = table[codes[g, b]]``. A byte a weight, where a
        double each would be eight.
    table : float64 [w]
        The values of the auxiliary distribution (Rademacher: -1 and 1).
    asked : int64 [k]
        The terms that are asked for; nothing is written of the others.
    numbers : float64 [p, 5, B]
        Written.
    sizes : float64 [p, 2]
        Written.
    """
    g, draws = codes.shape
    p = len(x)
    m, mc, h, a = np.empty((p, p)), np.empty(p), np.empty((g, p)), np.empty((2, g))
    inverse(lower, m)
    # Rows of weight 0 fill up the last four, which are summed together.
    padded = 4 * ((g + 3) // 4)
    v, r = np.zeros((padded, BLOCK)), np.zeros((4, p, padded))
    s, outer = np.empty((4, p, BLOCK)), np.empty((p, p))
    for k in range(g):
        for i in range(p):
            for j in range(p):
                r[0, i, k] += m[i, j] * scores[k, j]
    for term in asked:
        _prepare(cross, x, contrasts[term], m, mc, r, h, a, outer, sizes[term])
        for start in range(0, draws, BLOCK):
            width = min(BLOCK, draws - start)
            for k in range(g):
                for b in range(width):
                    v[k, b] = table[codes[k, start + b]]
            for part in range(4):
                for i in range(p):
                    _weighted_sum(r[part, i], v, s[part, i])
            _squares(v, a, s, outer, contrasts[term], start, width, numbers[term])


@kernel
def _prepare(
    cross: Floats,
    x: Ints,
    c: Floats,
    m: Floats,
    mc: Floats,
    r: Floats,
    h: Floats,
    a: Floats,
    outer: Floats,
    sizes: Floats,
) -> None:
    """Write the parts of one term: M c, h_g, a_g, sum h_g h_g', and the weights `r` of S (free, bound) and T (both)."""
    p = len(x)
    sizes[0] = sizes[1] = 0.0
    for i in range(p):
        mc[i] = 0.0
        for j in range(p):
            mc[i] += m[i, j] * c[j]
            outer[i, j] = 0.0
        sizes[0] += c[i] * mc[i]
    for k in range(len(h)):
        a[0, k] = a[1, k] = 0.0
        for i in range(p):
            h[k, i] = 0.0
            for j in range(p):
                h[k, i] += cross[k, x[i], x[j]] * mc[j]
        for i in range(p):
            value = 0.0
            for j in range(p):
                value += m[i, j] * h[k, j]
                outer[i, j] += h[k, i] * h[k, j]
            r[1, i, k] = value
            a[0, k] += c[i] * r[0, i, k]
            a[1, k] += c[i] * value
        for i in range(p):
            r[2, i, k] = a[0, k] * h[k, i]
            r[3, i, k] = a[1, k] * h[k, i]
        sizes[1] += a[0, k] * a[0, k]


@accumulate
def _weighted_sum(r: Floats, v: Floats, s: Floats) -> None:
    """Write ``sum_g r_g v_g`` for a block of draws, four schools at a time."""
    for b in range(BLOCK):
        s[b] = 0.0
    for k in range(0, len(r), 4):
        one, two, three, four = r[k], r[k + 1], r[k + 2], r[k + 3]
        v1, v2, v3, v4 = v[k], v[k + 1], v[k + 2], v[k + 3]
        for b in range(BLOCK):
            s[b] += one * v1[b] + two * v2[b] + three * v3[b] + four * v4[b]


@kernel
def _squares(
    v: Floats, a: Floats, s: Floats, outer: Floats, c: Floats, start: int, width: int, out: Floats
) -> None:
    """Write n0, n1 and the three parts of ``sum_g psi_g^2`` for a block of draws."""
    p = len(c)
    q = np.zeros((5, BLOCK))
    for k in range(a.shape[1]):
        free, mixed, bound = a[0, k] * a[0, k], 2.0 * a[0, k] * a[1, k], a[1, k] * a[1, k]
        for b in range(BLOCK):
            square = v[k, b] * v[k, b]
            q[2, b] += square * free
            q[3, b] += square * mixed
            q[4, b] += square * bound
    for i in range(p):
        for b in range(BLOCK):
            q[0, b] += c[i] * s[0, i, b]
            q[1, b] += c[i] * s[1, i, b]
            q[2, b] -= 2.0 * s[0, i, b] * s[2, i, b]
            q[3, b] -= 2.0 * (s[0, i, b] * s[3, i, b] + s[1, i, b] * s[2, i, b])
            q[4, b] -= 2.0 * s[1, i, b] * s[3, i, b]
        for j in range(p):
            for b in range(BLOCK):
                q[2, b] += outer[i, j] * s[0, i, b] * s[0, j, b]
                q[3, b] += 2.0 * outer[i, j] * s[0, i, b] * s[1, j, b]
                q[4, b] += outer[i, j] * s[1, i, b] * s[1, j, b]
    for part in range(5):
        for b in range(width):
            out[part, start + b] = q[part, b]


@accumulate
def count(numbers: Floats, kappa: float, imposed: float, m: float, v: float, tie: float) -> float:
    """Return how many draws have ``|t*| >= (1 + tie) |t|`` at the null of `kappa`; `imposed` is kappa, or 0.

    Parameters
    ----------
    numbers : float64 [5, B]
    kappa : float
        (c'beta_hat - b) / m of the null b.
    imposed : float
        kappa where the null is imposed on the draws, 0 where it is not.
    m, v : float
        The term's c'Mc and V.
    tie : float
        Relative tolerance; negative, so that ties count as at least as extreme.
    """
    n0, n1, q0, q1, q2 = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
    # Squares on both sides: no root, no division, and no NaN where a draw has no variance.
    bar = (kappa * m * (1.0 + tie)) ** 2
    total = 0.0
    for b in range(len(n0)):
        top = n0[b] + imposed * n1[b]
        bottom = q0[b] + imposed * (q1[b] + imposed * q2[b])
        total += 1.0 if top * top * v >= bar * bottom else 0.0
    return total


@kernel
def p_value(numbers: Floats, kappa: float, restricted: bool, exact: bool, m: float, v: float) -> float:
    """Return the bootstrap p-value of the null of `kappa`, ties counted as at least as extreme.

    Over all sign vectors (`exact`): their share, which has the data's own vector in it. Over random draws: the data are
    one draw more, (1 + count)/(1 + B), so that a p-value is never 0 and the test is of its level.
    """
    extreme = count(numbers, kappa, kappa if restricted else 0.0, m, v, -TIE)
    draws = numbers.shape[1]
    p: float = extreme / draws if exact else (1.0 + extreme) / (1.0 + draws)
    return p


@kernel
def bound(
    numbers: Floats, side: float, restricted: bool, exact: bool, m: float, v: float, alpha: float
) -> float:
    """Return how far from the estimate the interval of nulls with p > alpha reaches on one side.

    The first null that is rejected is bracketed by doubling from one standard error, then bisected; infinite if none
    is. p as a function of the null needn't be monotone: the end is where it first falls to alpha, as seen from the
    estimate.

    Parameters
    ----------
    numbers : float64 [5, B]
    side : float
        1 or -1: which end.
    restricted, exact : bool
        Whether the null is imposed; whether the draws are all sign vectors.
    m, v : float
        The term's c'Mc and V.
    alpha : float
        One minus the level.
    """
    unit = side * math.sqrt(v) / m
    inside, outside = 0.0, 1.0
    for _ in range(DOUBLINGS):
        if p_value(numbers, outside * unit, restricted, exact, m, v) <= alpha:
            break
        inside, outside = outside, 2.0 * outside
    else:
        return math.inf
    # After a few halvings most draws are extreme at both ends or at neither, and p can change by the others alone.
    kept, constant = numbers, 0.0
    for step in range(BISECTIONS):
        if step == COARSE:
            kept, constant = _undecided(numbers, inside * unit, outside * unit, restricted, m, v)
        middle = 0.5 * (inside + outside)
        kappa = middle * unit
        extreme = constant + count(kept, kappa, kappa if restricted else 0.0, m, v, -TIE)
        draws = numbers.shape[1]
        # All draws count, also those that are no longer looked at.
        p = extreme / draws if exact else (1.0 + extreme) / (1.0 + draws)
        if p <= alpha:
            outside = middle
        else:
            inside = middle
    return inside * math.sqrt(v)


@kernel
def _undecided(
    numbers: Floats, first: float, second: float, restricted: bool, m: float, v: float
) -> tuple[Floats, float]:
    """Return the draws whose verdict differs between two nulls, and how many are extreme at both."""
    draws = numbers.shape[1]
    open_draws = np.empty((5, draws))
    undecided, extreme = 0, 0.0
    one = np.empty((5, 1))
    for b in range(draws):
        for part in range(5):
            one[part, 0] = numbers[part, b]
        at_first = count(one, first, first if restricted else 0.0, m, v, -TIE)
        at_second = count(one, second, second if restricted else 0.0, m, v, -TIE)
        if at_first != at_second:
            for part in range(5):
                open_draws[part, undecided] = one[part, 0]
            undecided += 1
        else:
            extreme += at_first
    kept = np.empty((5, undecided))
    for part in range(5):
        for b in range(undecided):
            kept[part, b] = open_draws[part, b]
    return kept, extreme


@kernel
def infer(
    numbers: Floats,
    sizes: Floats,
    estimate: Floats,
    restricted: bool,
    exact: bool,
    alpha: float,
    asked: Ints,
    lower: Floats,
    upper: Floats,
    p_values: Floats,
) -> None:
    """Write intervals and p-values of zero of the terms asked for.

    Parameters
    ----------
    numbers : float64 [p, 5, B]
    sizes : float64 [p, 2]
        From `draw_statistics`.
    estimate : float64 [p]
    restricted, exact : bool
    alpha : float
    asked : int64 [k]
    lower, upper, p_values : float64 [p]
        Written; infinite limits where no null on that side is rejected.
    """
    for j in asked:
        m, v = sizes[j, 0], sizes[j, 1]
        p_values[j] = p_value(numbers[j], estimate[j] / m, restricted, exact, m, v)
        lower[j] = estimate[j] - bound(numbers[j], 1.0, restricted, exact, m, v, alpha)
        upper[j] = estimate[j] + bound(numbers[j], -1.0, restricted, exact, m, v, alpha)

"""Student's t: two-sided tail probabilities and their quantiles, scalar by scalar, for any df > 0 and df = inf.

With a = df/2, b = 1/2 and y = t^2 / (df + t^2), ``P(|T| > t) = I_{1-y}(a, b) = 1 - I_y(b, a)``. With the front

    y^b (1-y)^a Gamma(a + 1/2) / (Gamma(a) sqrt(pi)) = t f(t),   f the density of t(df),

I_{1-y}(a, b) is the front over a continued fraction of the incomplete beta function (DLMF 8.17.22), I_y(b, a) the front
over that with a and b exchanged, or the front times a sum of positive terms (DLMF 8.17.7 with 15.8.1),

    I_y(b, a) = 2 t f(t) (1 + (a + 1/2) / (3/2) y + (a + 1/2) (a + 3/2) / (3/2 5/2) y^2 + ...),

whichever takes the fewest steps where it loses no digits. ``Gamma(a + 1/2) / Gamma(a)`` comes from its own asymptotic
series rather than from a difference of two log-gammas. Relative error, measured against 40 digits: below 1e-13 to
df = 1000, 3e-12 at df = 1e5.

Written here because SciPy's functions can't be called from compiled loops, and each
interval of a run has a quantile of its own, at a df of its own (Satterthwaite).
"""

from __future__ import annotations

import math

from nestbench.sim.compiled import kernel

ROOT_PI = math.sqrt(math.pi)
CLOSE = 1e-4
"""A step below this share of the quantile is the last."""
NEAR, SURE = 2.5, 0.7
"""The sum is for t up to NEAR, where P is above .012 whatever df is and 1 less the sum keeps its digits, y up to SURE,
beyond which it needs too many terms."""


@kernel
def two_sided(t: float, df: float) -> float:
    """Return P(|T| > |t|) for T ~ t(df); NaN unless df > 0.

    Relative accuracy holds in the far tail too, where 1 minus a distribution function would return 0.
    """
    if math.isnan(t) or not df > 0.0:
        return math.nan
    return tail_and_density(abs(t), df, gamma_ratio(0.5 * df))[0]


@kernel
def tail_and_density(t: float, df: float, ratio: float) -> tuple[float, float]:
    """Return P(|T| > t) and the density at t, t >= 0, df > 0, with the `gamma_ratio` of df / 2."""
    if math.isinf(df):
        return math.erfc(t * math.sqrt(0.5)), math.exp(-0.5 * t * t) / math.sqrt(2.0 * math.pi)
    if math.isinf(t):
        return 0.0, 0.0
    a, odds = 0.5 * df, t * (t / df)
    density = ratio / (ROOT_PI * math.sqrt(df)) * math.exp(-(a + 0.5) * math.log1p(odds))
    x, y, front = 1.0 / (1.0 + odds), odds / (1.0 + odds), t * density
    if t <= NEAR and y <= SURE:
        return 1.0 - 2.0 * front * _sum(a, y), density
    # On this side of the mean of Beta(a, b) the fraction converges fast, on the other that of 1 - I does.
    if x < (a + 1.0) / (a + 2.5):
        return front / _fraction(a, 0.5, x), density
    return 1.0 - front / _fraction(0.5, a, y), density


@kernel
def gamma_ratio(a: float) -> float:
    """Return Gamma(a + 1/2) / Gamma(a), a > 0.

    Below 16 the recurrence ``f(a) = f(a + 1) a / (a + 1/2)`` climbs to where five terms of the asymptotic series in 1/a
    suffice.
    """
    down = 1.0
    while a < 16.0:
        down *= a / (a + 0.5)
        a += 1.0
    # DLMF 5.11.8 at h = 1/2 less the same at h = 0.
    r = 1.0 / a
    s = r * r
    series = r * (-1 / 8 + s * (1 / 192 + s * (-1 / 640 + s * (17 / 14336 - s * (31 / 18432)))))
    return down * math.sqrt(a) * math.exp(series)


@kernel
def _sum(a: float, y: float) -> float:
    """Return the sum of (a + 1/2)_k / (3/2)_k y^k over k: I_y(1/2, a) is twice the front times it."""
    total, term, k = 1.0, 1.0, 0.0
    while term > 1e-17 * total:
        term *= y * ((a + 0.5 + k) / (1.5 + k))
        total += term
        k += 1.0
    return total


@kernel
def _fraction(a: float, b: float, x: float) -> float:
    """Return the continued fraction f with I_x(a, b) = x^a (1-x)^b / B(a, b) / f.

    Its partial denominators are a, a + 1, ..., its numerators m (b - m) x and -(a + m) (a + b + m) x: no divisions.
    """
    # Lentz's method: a denominator of 0 would stay 0. Sums of differences (Steed's) would lose three digits.
    tiny = 1e-300
    c, d, value = a, 0.0, a
    for m in range(100_000):
        before = value
        # Even steps, of which the first is the beginning itself, and odd ones.
        for numerator, denominator in (
            (m * (b - m) * x, a + 2 * m),
            (-(a + m) * (a + b + m) * x, a + 2 * m + 1.0),
        ):
            if numerator != 0.0:
                d = denominator + numerator * d
                c = denominator + numerator / c
                d = 1.0 / (d if d != 0.0 else tiny)
                c = c if c != 0.0 else tiny
                value *= c * d
        if abs(value - before) < 1e-15 * abs(value):
            break
    return value


@kernel
def quantile(tail: float, df: float) -> float:
    """Return q with P(|T| > q) = `tail`; NaN unless df > 0 and 0 < tail < 1.

    Newton's method on log P against log q, which is concave: it converges from any start. The last step is that of the
    inverse function's Taylor series to the third power.
    """
    if not (df > 0.0 and 0.0 < tail < 1.0):
        return math.nan
    ratio, q = gamma_ratio(0.5 * df), _start(tail, df)
    for _ in range(100):
        p, density = tail_and_density(q, df, ratio)
        # Too far out: the tail has underflowed, and its logarithm would be no guide.
        if not p > 0.0:
            q *= math.exp(-1.0)
            continue
        step = 0.5 * (p - tail) / density
        # What the series leaves out is of the fourth power.
        if abs(step) < CLOSE * q:
            return q + step * (1.0 + step * _bend(step, q, df))
        # A first step from a poor start may be huge where df is near 0.
        q *= math.exp(min(max(0.5 * p * math.log(p / tail) / (q * density), -50.0), 50.0))
        if q > 1e304:
            return math.inf
    return q


@kernel
def _bend(step: float, q: float, df: float) -> float:
    """Return g/2 + (2 g^2 + g') step / 6, g = -f'/f of the density f."""
    if math.isinf(df):
        return 0.5 * q + (2.0 * q * q + 1.0) * step / 6.0
    square = df + q * q
    g = (df + 1.0) * q / square
    return 0.5 * g + (2.0 * g * g + (df + 1.0) * (df - q * q) / (square * square)) * step / 6.0


@kernel
def _start(tail: float, df: float) -> float:
    """Return a rough quantile: the normal one (Abramowitz & Stegun 26.2.23), Cornish & Fisher's for df > 3."""
    if tail > 0.9:
        # Near 0 the density hardly changes: 1 - tail = 2 q phi(0).
        return 1.25 * (1.0 - tail)
    r = math.sqrt(-2.0 * math.log(0.5 * tail))
    z = r - (2.515517 + r * (0.802853 + r * 0.010328)) / (
        1.0 + r * (1.432788 + r * (0.189269 + r * 0.001308))
    )
    z = max(z, 0.1)
    p, density = tail_and_density(z, math.inf, math.nan)
    z += 0.5 * (p - tail) / density
    if math.isinf(df) or df <= 3.0:
        return z
    # Abramowitz & Stegun 26.7.5.
    q, r = z * z, 1.0 / df
    g1 = (q + 1.0) / 4.0
    g2 = ((5.0 * q + 16.0) * q + 3.0) / 96.0
    g3 = (((3.0 * q + 19.0) * q + 17.0) * q - 15.0) / 384.0
    g4 = ((((79.0 * q + 776.0) * q + 1482.0) * q - 1920.0) * q - 945.0) / 92160.0
    return z * (1.0 + r * (g1 + r * (g2 + r * (g3 + r * g4))))

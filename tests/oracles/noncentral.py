"""Power of a t-test in 30 digits: by numerical integration of its definition (slow), and by a finite sum.

P(T > c) for T = (Z + shift) / S, S^2 ~ chi2_df / df, is the integral over s of the density of S times Phi(shift - c s).
"""

from __future__ import annotations

from typing import Any

import mpmath as mp

mp.mp.dps = 30


def above(c: Any, df: float, shift: Any) -> Any:
    """P(T > c), noncentral t with `df` degrees of freedom."""
    half = mp.mpf(df) / 2
    constant = half * mp.log(half) + mp.log(2) - mp.loggamma(half)

    def integrand(s: Any) -> Any:
        return mp.exp(constant + (df - 1) * mp.log(s) - half * s * s) * mp.ncdf(shift - c * s)

    spread = 1 / mp.sqrt(2 * mp.mpf(df))
    knots = {mp.mpf(0), *(1 + k * spread for k in range(-12, 13, 3) if 1 + k * spread > 0), 1 + 40 * spread}
    # where Phi rises
    knots |= {s for s in ((shift - k) / c for k in (-8, -3, 0, 3, 8)) if 0 < s < 1 + 40 * spread}
    return mp.quad(integrand, sorted(knots))


def above_owen(c: Any, df: int, shift: Any) -> Any:
    """The same for whole df, a finite sum (Owen 1968, Technometrics 10:445); fast."""
    a, b = mp.mpf(c) / mp.sqrt(df), mp.mpf(df) / (df + mp.mpf(c) ** 2)
    root = shift * mp.sqrt(b)
    m = [a * mp.sqrt(b) * mp.npdf(root) * mp.ncdf(a * root)]
    m.append(b * (shift * a * m[0] + a / mp.sqrt(2 * mp.pi) * mp.npdf(shift)))
    factor = mp.mpf(1)
    for k in range(2, df - 1):
        factor = factor if k == 2 else 1 / ((k - 2) * factor)
        m.append((mp.mpf(k) - 1) / k * b * (factor * shift * a * m[k - 1] + m[k - 2]))
    if df % 2 == 0:
        return 1 - mp.ncdf(-shift) - mp.sqrt(2 * mp.pi) * mp.fsum(m[0 : df - 1 : 2])
    return 1 - mp.ncdf(-root) - 2 * _owens_t(root, a) - 2 * mp.fsum(m[1 : df - 1 : 2])


def _owens_t(h: Any, a: Any) -> Any:
    """Owen's T, by integration."""
    return mp.quad(lambda x: mp.exp(-h * h * (1 + x * x) / 2) / (1 + x * x), [0, a]) / (2 * mp.pi)


def quantile(p: float, df: float) -> Any:
    """The central t quantile, from the incomplete beta function."""

    def beyond(t: Any) -> Any:
        return mp.betainc(mp.mpf(df) / 2, mp.mpf(1) / 2, 0, df / (df + t * t), regularized=True) / 2 - (
            1 - mp.mpf(p)
        )

    return mp.findroot(beyond, (mp.mpf(1), mp.mpf(4)), solver="anderson", tol=1e-22)


def power(effect: float, se: float, df: float, alpha: float = 0.05, sides: int = 2) -> float:
    """P(significant), in either direction for two sides."""
    c, shift = quantile(1 - mp.mpf(alpha) / sides, df), mp.mpf(effect) / mp.mpf(se)
    beyond = above_owen if df == int(df) else above
    count = int(df) if df == int(df) else df
    return float(beyond(c, count, shift) + (beyond(c, count, -shift) if sides == 2 else 0))

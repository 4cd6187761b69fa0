"""The distribution of a quadratic form in normals at zero: Imhof's integral (Biometrika 1961, 48:419)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nestbench.sim.batch import Floats

STEP = 0.2
"""Largest step of the trapezoidal rule in log u, where the integrand is analytic: it converges geometrically."""

NEGLIGIBLE = 1e-10
"""Modulus of the integrand below which its oscillation need not be resolved."""


def positive_probability(weights: npt.ArrayLike, multiplicities: npt.ArrayLike | None = None) -> float:
    """Return P(sum_i w_i chi2_{h_i} > 0) for independent chi-squares.

    P = 1/2 + (1/pi) Int sin(sum_i h_i atan(w_i u) / 2) / (u prod_i (1 + w_i^2 u^2)^(h_i/4)) du, with u = e^s.

    Parameters
    ----------
    weights : float [k]
        Weights w_i; zeros don't matter.
    multiplicities : float [k], optional
        Degrees of freedom h_i, 1 each by default.

    Returns
    -------
    float
        Absolute error below 1e-9 (checked against F and chi-square laws and a 2-D quadrature in the tests).
    """
    w = np.asarray(weights, dtype=np.float64)
    h = np.ones_like(w) if multiplicities is None else np.asarray(multiplicities, dtype=np.float64)
    kept = (np.abs(w) > 1e-14 * np.max(np.abs(w), initial=0.0)) & (h > 0)
    w, h = w[kept], h[kept]
    if not (w > 0).any():
        return 0.0
    if not (w < 0).any():
        return 1.0
    w = w / np.abs(w).max()
    log_u, step = _grid(w, h)
    return float(np.clip(0.5 + step / np.pi * _integrand(log_u, w, h).sum(), 0.0, 1.0))


def _integrand(log_u: Floats, w: Floats, h: Floats) -> Floats:
    wu = w[:, None] * np.exp(log_u)
    angle = 0.5 * (h @ np.arctan(wu))
    log_size = 0.25 * (h @ np.log1p(wu**2))
    return np.asarray(np.sin(angle) * np.exp(-log_size), dtype=np.float64)


def _grid(w: Floats, h: Floats) -> tuple[Floats, float]:
    """Log u from where the phase is negligible to where the modulus is, in steps that resolve the oscillation."""
    low = float(np.log(1e-11 / max((h * np.abs(w)).sum(), 1.0)))
    coarse = np.arange(low, low + 200.0, 1.0)
    wu2 = (w[:, None] * np.exp(coarse)) ** 2
    modulus = np.exp(-0.25 * (h @ np.log1p(wu2)))
    rate = 0.5 * np.abs((h * np.sign(w)) @ (np.sqrt(wu2) / (1.0 + wu2)))
    high = coarse[min(int((modulus > 1e-12).sum()), len(coarse) - 1)]
    fastest = float(rate[modulus > NEGLIGIBLE].max())
    step = float(np.clip(0.7 / max(fastest, 1.0), 0.002, STEP))
    return np.arange(low, high, step), step

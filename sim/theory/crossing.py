"""P(t^2 > c^2) for a ratio of quadratic forms in normals, one of which is the square of a single normal.

With t^2 > c^2 the event that a form Q in normals is positive, P(Q > 0) = (1/2 pi i) Int M(z) / z dz, M(z) =
Delta(z)^(-1/2) = E exp(z Q / 2), along a curve to the right of 0 through the saddle point of M(z) / z, where the
integrand is real and from where it falls (Rice 1980, SIAM J. Sci. Stat. Comput. 1:438). Q has one positive weight, and

    Delta(z) = alpha^m det(alpha I + z kappa T) (1 - z (s + eta (g0 + g1 z) r)),  alpha = 1 + z kappa sigma2,

with T positive semidefinite and tridiagonal, and r the first diagonal entry of (alpha I + z kappa T)^-1: both by one
continued fraction, without eigenvalues. Its pivots have arguments in [0, pi/2) and the last factor in (-pi, 0] for z in
the upper right quadrant, so that the square root's branch is known by counting turns.
"""

from __future__ import annotations

import math

import numpy as np

from nestbench.sim.compiled import kernel
from nestbench.sim.observed.batch import Floats

STEP = 0.2
"""Of the trapezoidal rule in v: the integrand is analytic within pi / 4 of the axis."""

BEND = 1.0
"""z = c + tau (BEND (cosh v - 1) + i sinh v) goes to the right, where M falls exponentially: straight upwards it would
turn round and round where the variance estimate has many degrees of freedom."""

NEGLIGIBLE = 1e-13
"""Where the integrand ends, beside its value at the saddle point."""


@kernel
def tridiagonal(a: Floats, diagonal: Floats, beside: Floats) -> None:
    """Make a symmetric matrix [n, n] tridiagonal by reflections that leave the first coordinate alone (`a` is lost).

    Writes the diagonal [n] and the entries beside it [n - 1].
    """
    n = len(a)
    v, p = np.empty(n), np.empty(n)
    for k in range(n - 2):
        tail = 0.0
        for i in range(k + 2, n):
            tail += a[i, k] * a[i, k]
        beside[k] = a[k + 1, k]
        if tail == 0.0:
            continue
        norm = math.sqrt(tail + a[k + 1, k] * a[k + 1, k])
        beside[k] = -math.copysign(norm, a[k + 1, k])
        for i in range(k + 1, n):
            v[i] = a[i, k]
        v[k + 1] -= beside[k]
        scale = 1.0 / (norm * (norm + abs(a[k + 1, k])))
        _reflect(a, v, p, k + 1, scale)
    for i in range(n):
        diagonal[i] = a[i, i]
    if n > 1:
        beside[n - 2] = a[n - 1, n - 2]


@kernel
def _reflect(a: Floats, v: Floats, p: Floats, first: int, scale: float) -> None:
    """Replace the lower triangle of A[first:, first:] by H A H, H = I - scale v v'."""
    n = len(a)
    for i in range(first, n):
        p[i] = 0.0
    for i in range(first, n):
        s = a[i, i] * v[i]
        for j in range(first, i):
            s += a[i, j] * v[j]
            p[j] += a[i, j] * v[i]
        p[i] += s
    dot = 0.0
    for i in range(first, n):
        p[i] *= scale
        dot += p[i] * v[i]
    for i in range(first, n):
        p[i] -= 0.5 * scale * dot * v[i]
    for i in range(first, n):
        for j in range(first, i + 1):
            a[i, j] -= v[i] * p[j] + p[i] * v[j]


@kernel
def positive_probability(
    diagonal: Floats,
    beside: Floats,
    kappa: float,
    sigma2: float,
    power: float,
    own: float,
    eta: float,
    flat: float,
    slope: float,
) -> float:
    """Return P(Q > 0) from the tridiagonal T, kappa, sigma2, m, and s, eta, g0, g1 of the module's formula.

    Absolute error below 1e-10 (against eigenvalues and Imhof's integral in the tests).
    """
    form = (kappa, sigma2, power, own, eta, flat, slope)
    high = _root(diagonal, beside, form)
    if not math.isfinite(high):
        return 0.0
    c, tau = _saddle(diagonal, beside, form, high)
    size, angle, _ = _at(diagonal, beside, c, 0.0, form)
    top = tau * math.exp(-0.5 * size) / c
    total, k = 0.5 * top, 1
    while k < 400:
        up, along = math.sinh(k * STEP), math.cosh(k * STEP)
        x, y = c + tau * BEND * (along - 1.0), tau * up
        size, angle, _ = _at(diagonal, beside, x, y, form)
        modulus = math.exp(-0.5 * size) / math.hypot(x, y) * tau * math.hypot(BEND * up, along)
        total += modulus * math.sin(math.atan2(along, BEND * up) - 0.5 * angle - math.atan2(y, x))
        if modulus < NEGLIGIBLE * top:
            break
        k += 1
    return min(max(total * STEP / math.pi, 0.0), 1.0)


@kernel
def _at(
    diagonal: Floats, beside: Floats, x: float, y: float, form: tuple[float, ...]
) -> tuple[float, float, bool]:
    """Return log|Delta| and arg Delta at z = x + iy, and whether its last factor is negative there (of a real z)."""
    kappa, sigma2, power, own, eta, flat, slope = form
    z = complex(x, y)
    beta = kappa * z
    alpha = 1.0 + sigma2 * beta
    square = beta * beta
    product, pivot = complex(1.0, 0.0), complex(1.0, 0.0)
    size, turns = 0.0, 0
    for j in range(len(diagonal) - 1, -1, -1):
        new = alpha + beta * diagonal[j]
        if j < len(diagonal) - 1:
            new -= square * (beside[j] * beside[j]) * pivot
        norm = 1.0 / (new.real * new.real + new.imag * new.imag)
        pivot = complex(new.real * norm, -new.imag * norm)
        before = product.imag
        product *= new
        # the cut of atan2; back over it by rounding alone
        if product.real < 0.0 and (before < 0.0) != (product.imag < 0.0):
            turns += 1 if product.imag < 0.0 else -1
        if abs(product.real) + abs(product.imag) > 1e100:
            product *= 1e-100
            size += 100.0 * math.log(10.0)
    first = pivot if len(diagonal) else complex(0.0, 0.0)
    last = 1.0 - z * (own + eta * (flat + slope * z) * first)
    angle = 2.0 * math.pi * turns + math.atan2(product.imag, product.real)
    angle += power * math.atan2(alpha.imag, alpha.real) + math.atan2(last.imag, last.real)
    size += 0.5 * math.log(product.real**2 + product.imag**2) + power * 0.5 * math.log(
        alpha.real**2 + alpha.imag**2
    )
    return size + 0.5 * math.log(last.real**2 + last.imag**2 + 1e-300), angle, last.real <= 0.0


@kernel
def _root(diagonal: Floats, beside: Floats, form: tuple[float, ...]) -> float:
    """Return the smallest z > 0 with Delta(z) = 0, from above, to 3 %; inf where there is none: Q is never positive."""
    low, high = 0.0, 1.0 / form[3]
    while not _at(diagonal, beside, high, 0.0, form)[2]:
        low, high = high, 4.0 * high
        if high > 1e14 / form[3]:
            return math.inf
    while high - low > 0.03 * high:
        middle = 0.5 * (low + high)
        if _at(diagonal, beside, middle, 0.0, form)[2]:
            high = middle
        else:
            low = middle
    return low


@kernel
def _saddle(diagonal: Floats, beside: Floats, form: tuple[float, ...], high: float) -> tuple[float, float]:
    """Return about where M(z) / z is smallest between 0 and `high`, and the length over which it falls from there."""
    low, top = 0.0, high
    while top - low > 0.05 * top:
        a, b = low + 0.45 * (top - low), low + 0.55 * (top - low)
        if _height(diagonal, beside, a, form) < _height(diagonal, beside, b, form):
            top = b
        else:
            low = a
    c = 0.5 * (low + top)
    step = 0.1 * min(c, high - c) if high > c else 0.1 * c
    middle = _height(diagonal, beside, c, form)
    curve = (
        _height(diagonal, beside, c - step, form) + _height(diagonal, beside, c + step, form) - 2.0 * middle
    )
    return c, 0.7 * step / math.sqrt(curve)


@kernel
def _height(diagonal: Floats, beside: Floats, z: float, form: tuple[float, ...]) -> float:
    """Return log(M(z) / z) of a real z."""
    return -0.5 * _at(diagonal, beside, z, 0.0, form)[0] - math.log(z)

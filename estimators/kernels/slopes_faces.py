r"""A coarse look at the faces of the parameter space of a pair of random effects, where Psi has rank one.

There an SD is 0 or the correlation is 1 or -1: Psi = r^2 v v', one weight per school, so that

    B = A - sum_g w_g (C_g v)(C_g v)',   w_g = r^2/(1 + r^2 v'Z_g'Z_g v),   log|V| = sum_g log(1 + r^2 v'Z_g'Z_g v),

and the products of a direction v are made once for all r. A maximum on a face may be too narrow for points beside the
face to lead to it. v turns by equal angles in the coordinates of Lambda; of a diagonal Lambda it is one of the axes.
"""

from __future__ import annotations

import math

import numpy as np

from nestbench.estimators.kernels.linalg import cholesky, unpack
from nestbench.estimators.kernels.slopes_survey import subtract
from nestbench.estimators.kernels.trust_region import VANISHED
from nestbench.sim.compiled import kernel
from nestbench.sim.observed.batch import Floats

ANGLES = 6
"""Directions of a pair whose correlation is free, from 0 to pi."""
FEW = 20
"""With fewer schools there may be several maxima close together: directions are twice as dense, radii four times."""
ROUNDS = 6
"""Of a descent on a face."""


@kernel
def directions(parameters: int, schools: int) -> Floats:
    """Return the directions v [K, 2] in the coordinates of Lambda: the axes of a diagonal one, else equal angles."""
    if parameters == 2:
        return np.eye(2)
    count = ANGLES if schools >= FEW else 2 * ANGLES
    found = np.empty((count, 2))
    for k in range(count):
        found[k, 0], found[k, 1] = math.cos(math.pi * k / count), math.sin(math.pi * k / count)
    return found


@kernel
def radii(levels: Floats, schools: int) -> Floats:
    """Return the r that are looked at: every second level of the survey; with few schools all, and those halfway."""
    if schools >= FEW:
        return levels[::2].copy()
    found = np.empty(2 * len(levels) - 1)
    for i in range(len(levels)):
        found[2 * i] = levels[i]
        if i > 0:
            found[2 * i - 1] = math.sqrt(levels[i - 1] * levels[i])
    return found


@kernel
def survey_faces(
    around: Floats, levels: Floats, shear: Floats, schools: int, a: Floats, cz: Floats, zz: Floats, nu: float,
    restricted: bool, b: Floats,
) -> Floats:  # fmt: skip
    """Return -2l, but for the constant that `survey` leaves out, at r = `levels` along the directions [K, L]."""
    d = a.shape[0]
    size = d * (d + 1) // 2
    values = np.empty((len(around), len(levels)))
    products, left, weight, packed = (
        np.empty((schools, size)),
        np.empty(schools),
        np.empty(schools),
        np.empty(size),
    )
    for k in range(len(around)):
        first = shear[0, 0] * around[k, 0] + shear[0, 1] * around[k, 1]
        last = shear[1, 0] * around[k, 0] + shear[1, 1] * around[k, 1]
        project(schools, first, last, cz, zz, products, left)
        for h in range(len(levels)):
            square, log_v, product = levels[h] ** 2, 0.0, 1.0
            for g in range(schools):
                det = 1.0 + square * left[g]
                weight[g] = square / det
                product *= det
                if product > 1e200:
                    log_v += math.log(product)
                    product = 1.0
            log_v += math.log(product)
            at = 0
            for i in range(d):
                for j in range(i + 1):
                    packed[at] = a[i, j]
                    at += 1
            subtract(weight, products, packed)
            unpack(packed, b)
            values[k, h] = profile(b, nu, restricted, log_v)
    return values


@kernel
def project(
    schools: int, first: float, last: float, cz: Floats, zz: Floats, products: Floats, left: Floats
) -> None:  # fmt: skip
    """Write (C_g v)(C_g v)' [G, T], packed, and v'Z_g'Z_g v [G] for v = (first, last)."""
    d = cz.shape[1]
    along = np.empty(d)
    for g in range(schools):
        left[g] = first * first * zz[g, 0, 0] + 2.0 * first * last * zz[g, 0, 1] + last * last * zz[g, 1, 1]
        at = 0
        for i in range(d):
            along[i] = first * cz[g, i, 0] + last * cz[g, i, 1]
            for j in range(i + 1):
                products[g, at] = along[i] * along[j]
                at += 1


@kernel
def profile(b: Floats, nu: float, restricted: bool, log_v: float) -> float:
    """Return nu log(RSS) + log|V| [+ log|B_xx|], B lost; inf where B is not positive definite."""
    d = len(b)
    if not (math.isfinite(log_v) and cholesky(b)):
        return math.inf
    value: float = 2.0 * nu * math.log(b[d - 1, d - 1]) + log_v
    for i in range(d - 1 if restricted else 0):
        value += 2.0 * math.log(b[i, i])
    return value


@kernel
def floor_near(values: Floats, k: int, h: int, turning: bool) -> float:
    """Return how low a minimum near the point at the k-th direction's h-th radius may be; inf if a neighbour is lower.

    A parabola through c and its neighbours l, r ends (l - r)^2/(8 (l - 2c + r)) below c; twice that is allowed for
    and a share of the bend. At an end of the radii the neighbour that isn't there is taken to be as low as c.
    """
    n, most = values.shape
    here: float = values[k, h]
    floor: float = here
    for axis in range(2 if turning else 1):
        if axis == 0:
            left = values[k, h - 1] if h > 0 else here
            right = values[k, h + 1] if h < most - 1 else here
        else:
            left, right = values[(k - 1) % n, h], values[(k + 1) % n, h]
        if left < here or right < here:
            return math.inf
        bend = left + right - 2.0 * here
        if bend > 0.0:
            floor -= 0.25 * (left - right) ** 2 / bend + 0.06 * bend
    return floor if math.isfinite(floor) else here


@kernel
def value_at(
    first: float, last: float, schools: int, a: Floats, cz: Floats, zz: Floats, nu: float, restricted: bool, b: Floats,
    along: Floats,
) -> float:  # fmt: skip
    """Return -2l, but for the constant, at T Lambda of the one column (first, last); `along` [d] is scratch."""
    d, log_v, product = a.shape[0], 0.0, 1.0
    for i in range(d):
        for j in range(i + 1):
            b[i, j] = a[i, j]
    for g in range(schools):
        det = 1.0 + first * first * zz[g, 0, 0] + 2.0 * first * last * zz[g, 0, 1] + last * last * zz[g, 1, 1]
        product *= det
        if product > 1e200:
            log_v += math.log(product)
            product = 1.0
        for i in range(d):
            along[i] = first * cz[g, i, 0] + last * cz[g, i, 1]
        for i in range(d):
            share = along[i] / det
            for j in range(i + 1):
                b[i, j] -= share * along[j]
    return profile(b, nu, restricted, log_v + math.log(product))


@kernel
def promise(slope: Floats, bend: Floats, cross: float, step: Floats) -> tuple[float, float, float]:
    """Return the step to the bottom of a quadratic, in units of `step`, and the depth there; inf where it has none.

    A step longer than 1 is cut; an axis whose first step is 0 stays.
    """
    if step[0] == 0.0:
        if not bend[1] > 0.0:
            return 0.0, -math.copysign(1.0, slope[1]), math.inf
        move = -slope[1] / bend[1]
        return 0.0, min(max(move, -1.0), 1.0), 0.5 * slope[1] ** 2 / bend[1]
    det = bend[0] * bend[1] - cross * cross
    if bend[0] > 0.0 and bend[1] > 0.0 and det > 0.01 * bend[0] * bend[1]:
        first, last = (
            (cross * slope[1] - bend[1] * slope[0]) / det,
            (cross * slope[0] - bend[0] * slope[1]) / det,
        )
        depth = -0.5 * (slope[0] * first + slope[1] * last)
    else:
        first, last, depth = -slope[0], -slope[1], math.inf
    longest = max(abs(first), abs(last))
    if longest > 1.0 or (depth == math.inf and longest > 0.0):
        first, last = first / longest, last / longest
    return first, last, depth


@kernel
def descend(
    angle: float, radius: float, turn: float, stretch: float, bar: float, shear: Floats, schools: int, a: Floats,
    cz: Floats, zz: Floats, nu: float, restricted: bool, b: Floats, found: Floats,
) -> float:  # fmt: skip
    """Go down on the face from a low point by quadratics in the angle and log r, whose spacing shrinks.

    `turn` and `stretch` are the first spacing; a `turn` of 0 leaves the angle. Writes the column of Lambda to `found`
    [2], returns -2l; gives up where twice the depth that is promised does not reach below `bar`.
    """
    along, at, step, best_at = np.empty(len(a)), np.empty(2), np.empty(2), np.empty(2)
    at[0], at[1], step[0], step[1] = angle, math.log(radius), turn, stretch
    slope, bend, cross, best = np.zeros(2), np.zeros(2), 0.0, math.inf
    for count in range(ROUNDS):
        now = on_circle(at[0], at[1], found, shear, schools, a, cz, zz, nu, restricted, b, along)
        if now < best:
            best = now
            best_at[:] = at
        if count == ROUNDS - 1:
            break
        right = now
        for i in range(2):
            if step[i] > 0.0:
                here = at[i]
                at[i] = here - step[i]
                left = on_circle(at[0], at[1], found, shear, schools, a, cz, zz, nu, restricted, b, along)
                at[i] = here + step[i]
                up = on_circle(at[0], at[1], found, shear, schools, a, cz, zz, nu, restricted, b, along)
                at[i] = here
                slope[i], bend[i] = 0.5 * (up - left), up + left - 2.0 * now
                right += up - now
        if step[0] > 0.0:
            corner = on_circle(
                at[0] + step[0], at[1] + step[1], found, shear, schools, a, cz, zz, nu, restricted, b, along
            )  # fmt: skip
            cross = corner - right
        first, last, depth = promise(slope, bend, cross, step)
        if now - 2.0 * depth > bar:
            break
        at[0] += first * step[0]
        at[1] += last * step[1]
        if max(abs(first), abs(last)) < 0.8:
            step *= 0.4
    return on_circle(best_at[0], best_at[1], found, shear, schools, a, cz, zz, nu, restricted, b, along)


@kernel
def on_circle(
    angle: float, log_r: float, v: Floats, shear: Floats, schools: int, a: Floats, cz: Floats, zz: Floats, nu: float,
    restricted: bool, b: Floats, along: Floats,
) -> float:  # fmt: skip
    """Return `value_at` of Lambda's one column v = r (cos, sin), which is written."""
    r = math.exp(log_r)
    v[0], v[1] = r * math.cos(angle), r * math.sin(angle)
    first, last = shear[0, 0] * v[0] + shear[0, 1] * v[1], shear[1, 0] * v[0] + shear[1, 1] * v[1]
    return value_at(first, last, schools, a, cz, zz, nu, restricted, b, along)


@kernel
def on_face(theta: Floats, v: Floats) -> bool:
    """Whether Psi at `theta` has rank one or less, and then write the column v [2] with Psi = v v'."""
    m = len(theta)
    v[0], v[1] = theta[0], theta[1]
    if m == 2:
        return bool(min(abs(v[0]), abs(v[1])) < VANISHED)
    if abs(v[0]) < VANISHED:
        v[0], v[1] = 0.0, math.hypot(theta[1], theta[2])
        return True
    return bool(abs(theta[2]) < VANISHED)


@kernel
def apart(v: Floats, w: Floats, share: float) -> bool:
    """Whether two columns, whose signs mean nothing, differ by more than a share of the longer."""
    same, turned = math.hypot(v[0] - w[0], v[1] - w[1]), math.hypot(v[0] + w[0], v[1] + w[1])
    return min(same, turned) > share * max(math.hypot(v[0], v[1]), math.hypot(w[0], w[1]))

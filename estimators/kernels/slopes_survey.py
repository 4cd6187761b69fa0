r"""A coarse look at the whole likelihood of random intercepts and slopes: where climbs to its maxima should start.

The grid has an axis for each random effect's relative SD and, for a correlated pair, one for the correlation; more than
two effects are surveyed uncorrelated. B = A - sum_g C_g K_g C_g' of `slopes_likelihood` is linear in the entries of the
K_g, so that the products C_gi C_gj' are made once and each point costs a weighted sum. Of a pair, with S = Z_g'Z_g,
K = (Psi + |Psi| adj S)/|I + S Psi|. Values are good enough to compare points by; the climb evaluates them again.
"""

from __future__ import annotations

import math

import numpy as np

from nestbench.estimators.kernels.linalg import cholesky, unpack
from nestbench.estimators.kernels.slopes_likelihood import fill_sheared, shrinkage
from nestbench.sim.compiled import accumulate, kernel
from nestbench.sim.observed.batch import Floats, Ints

LOWEST, RATIO, HIGHEST = 0.05, 3.0, 30.0
"""Relative SDs from LOWEST by factors of at most RATIO to HIGHEST, for columns of Z of unit spread."""
CORRELATED = 0.9
"""Size of the two correlations that are looked at beside 0."""
MANY = 4096
"""The grid is coarser if it would have more points."""


@kernel
def ladder(unit: Floats) -> Floats:
    """Return the levels of a survey: wider where a column of Z varies little beside its mean, `unit` [q] being small.

    Such a column is nearly an intercept; its SD matters on the scale of its mean, and on that of its variation.
    """
    least = 1.0
    for j in range(len(unit)):
        least = min(least, unit[j])
    span = math.log(HIGHEST / (LOWEST * least))
    count = 1 + math.ceil(span / math.log(RATIO))
    while count ** len(unit) > MANY:
        count -= 1
    levels = np.empty(count)
    for i in range(count):
        levels[i] = LOWEST * math.exp(span * i / (count - 1))
    return levels


@kernel
def axes(levels: Floats, parameters: int, q: int) -> Ints:
    """Return the number of points along each axis of the grid [q + 1]: SDs, then the correlation of a pair."""
    sizes = np.full(q + 1, len(levels))
    sizes[q] = 3 if q == 2 and parameters == 3 else 1
    return sizes


@kernel
def place(k: int, sizes: Ints, rows: Ints, cols: Ints, levels: Floats, theta: Floats) -> None:
    """Write theta of the k-th point of the grid, the first axis moving fastest."""
    rest = k
    for i in range(len(theta)):
        theta[i] = 0.0
        if rows[i] == cols[i]:
            theta[i] = levels[rest % len(levels)]
            rest //= len(levels)
    if sizes[len(sizes) - 1] == 3:
        correlation = CORRELATED * (rest - 1)
        theta[1] = correlation * theta[2]
        theta[2] *= math.sqrt(1.0 - correlation * correlation)


@kernel
def multiply(schools: int, cz: Floats, products: Floats) -> None:
    """Write (c_i c_j' + c_j c_i')/2, i >= j, of the columns of each C_g to `products` [G q(q + 1)/2, T], packed."""
    d, q, row = cz.shape[1], cz.shape[2], 0
    for g in range(schools):
        for i in range(q):
            for j in range(i + 1):
                at = 0
                for h in range(d):
                    for k in range(h + 1):
                        products[row, at] = 0.5 * (cz[g, h, i] * cz[g, k, j] + cz[g, h, j] * cz[g, k, i])
                        at += 1
                row += 1


@kernel
def weigh(schools: int, lam: Floats, zz: Floats, work: Floats, out: Floats) -> float:
    """Write the entries i >= j of the K_g, off the diagonal doubled, to `out` [G q(q + 1)/2]; return log|V|."""
    q, at, log_v, product = len(lam), 0, 0.0, 1.0
    if q == 2:
        a, b = lam[0, 0] ** 2 + lam[0, 1] ** 2, lam[1, 0] ** 2 + lam[1, 1] ** 2
        c = lam[0, 0] * lam[1, 0] + lam[0, 1] * lam[1, 1]
        size = (lam[0, 0] * lam[1, 1] - lam[0, 1] * lam[1, 0]) ** 2
        for g in range(schools):
            first, last, both = zz[g, 0, 0], zz[g, 1, 1], zz[g, 0, 1]
            det = 1.0 + a * first + 2.0 * c * both + b * last + size * (first * last - both * both)
            # One logarithm for as many schools as a double holds: it would cost as much as the rest of a point.
            product *= det
            if product > 1e200:
                log_v += math.log(product)
                product = 1.0
            out[at] = (a + size * last) / det
            out[at + 1] = 2.0 * (c - size * both) / det
            out[at + 2] = (b + size * first) / det
            at += 3
        return log_v + math.log(product)
    for g in range(schools):
        log_v += shrinkage(lam, zz[g], work[0], work[1], work[2])
        for i in range(q):
            for j in range(i + 1):
                out[at] = work[2, i, j] if i == j else 2.0 * work[2, i, j]
                at += 1
    return log_v


@accumulate
def subtract(weight: Floats, products: Floats, out: Floats) -> None:
    """Subtract the weighted sum of `products` [K, T] from `out` [T]."""
    for k in range(products.shape[0]):
        w = weight[k]
        for i in range(products.shape[1]):
            out[i] -= w * products[k, i]


@kernel
def survey(
    sizes: Ints, rows: Ints, cols: Ints, shear: Floats, schools: int, a: Floats, cz: Floats, zz: Floats, nu: float,
    restricted: bool, levels: Floats, theta: Floats, lam: Floats, b: Floats,
) -> Floats:  # fmt: skip
    """Return -2l, but for a constant, at every point of the grid; `theta`, `lam` and `b` are scratch."""
    d, q = a.shape[0], cz.shape[2]
    size, pairs = d * (d + 1) // 2, schools * (q * (q + 1) // 2)
    products, packed = np.empty((pairs, size)), np.empty(size)
    weight, work = np.empty(pairs), np.empty((3, q, q))
    values = np.empty(len(levels) ** q * sizes[q])
    multiply(schools, cz, products)
    for k in range(len(values)):
        place(k, sizes, rows, cols, levels, theta)
        fill_sheared(theta, rows, cols, shear, lam)
        at = 0
        for i in range(d):
            for j in range(i + 1):
                packed[at] = a[i, j]
                at += 1
        log_v = weigh(schools, lam, zz, work, weight)
        subtract(weight, products, packed)
        unpack(packed, b)
        values[k] = math.inf
        if math.isfinite(log_v) and cholesky(b):
            values[k] = 2.0 * nu * math.log(b[d - 1, d - 1]) + log_v
            for i in range(d - 1 if restricted else 0):
                values[k] += 2.0 * math.log(b[i, i])
    return values


@kernel
def least_around(values: Floats, sizes: Ints) -> Floats:
    """Return the least value of each point of the grid and its neighbours, those at a corner included."""
    least, before = values.copy(), np.empty_like(values)
    stride = 1
    for size in sizes:
        for k in range(len(values)):
            before[k] = least[k]
        for k in range(len(values)):
            i = (k // stride) % size
            if i > 0:
                least[k] = min(least[k], before[k - stride])
            if i < size - 1:
                least[k] = min(least[k], before[k + stride])
        stride *= size
    return least

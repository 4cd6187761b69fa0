"""An exact interval for a variance ratio in an unbalanced mixed model, at the boundary too.

In ``y = X b + Z u + e`` with one column of Z a school, u ~ N(0, gamma s^2 I), e ~ N(0, s^2 I), let t be the part of
y in the space that Z adds to X, and SSE the rest. Then ::

    F(gamma) = [w' A^- (I + gamma A)^-1 w / r] / [SSE / v]  ~  F(r, v),    A = Z'MZ,  w = Z'My,  M = I - X(X'X)^-1X'

at the true gamma, r = rank(A), v = n - rank[X Z]. F falls in gamma, so {gamma: F quantiles contain F(gamma)} is an
exact interval, closed at 0 where F(0) lies below the upper quantile (Wald 1947; Seely & El-Bassiouni 1983; Harville
& Fenech 1985).

A is a diagonal less a matrix of rank p, so that F costs G p^2 whatever the number of students. Any solution u0 of
A u0 = w serves for A^- w; the coefficients of y on [X Z] give one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from nestbench.sim.observed.batch import Floats, Ints

LARGEST = 1e6
"""A ratio beyond which the interval is open above."""


@dataclass(frozen=True, slots=True, eq=False)
class Pivot:
    """F(gamma) of one data set.

    Attributes
    ----------
    d, w, u0 : float64 [G]
        Diagonal of Z'Z, w, and a solution of A u0 = w.
    b : float64 [G, q]
        Z'Q, Q an orthonormal basis of X: A = diag(d) - b b'.
    mean_square : float
        SSE / v.
    r, v : int
        Degrees of freedom.
    """

    d: Floats
    w: Floats
    u0: Floats
    b: Floats
    mean_square: float
    r: int
    v: int

    def f(self, gamma: float) -> float:
        """Return F(gamma)."""
        k = 1.0 + gamma * self.d
        s = self.w / k
        # Woodbury, with A = diag(d) - b b'; at 0 there is nothing to invert.
        if gamma > 0 and self.b.shape[1]:
            inner = np.eye(self.b.shape[1]) / gamma - self.b.T @ (self.b / k[:, None])
            s = s + (self.b @ np.linalg.solve(inner, self.b.T @ s)) / k
        return float(self.u0 @ s) / self.r / self.mean_square

    @property
    def p_value(self) -> float:
        """Of the exact test of gamma = 0."""
        return float(stats.f.sf(self.f(0.0), self.r, self.v))

    def limit(self, below: float) -> float:
        """Return the gamma that an exact one-sided interval with probability `below` says gamma is under."""
        wanted = float(stats.f.ppf(1.0 - below, self.r, self.v))
        # F falls in gamma: where it starts below, no gamma reaches it.
        if self.f(0.0) <= wanted:
            return 0.0
        high = 1.0
        while self.f(high) > wanted:
            high *= 4.0
            if high > LARGEST:
                return float("inf")
        return float(optimize.brentq(lambda gamma: self.f(gamma) - wanted, 0.0, high, xtol=1e-14, rtol=1e-12))


def pivot(z: Floats, q: Floats, e: Floats, offsets: Ints, used: int = 0) -> Pivot | None:
    """Return the pivot of a random coefficient of z [n] over schools, or None where the data leave no df for it.

    Parameters
    ----------
    q : float64 [n, r]
        Orthonormal basis of the fixed columns.
    e : float64 [n]
        Residuals of the outcome on them.
    used : int
        Degrees of freedom that were taken off the rows before: school means, where all columns are deviations from
        them.
    """
    d, w = np.add.reduceat(z * z, offsets[:-1]), np.add.reduceat(z * e, offsets[:-1])
    b = np.add.reduceat(q * z[:, None], offsets[:-1], axis=0)
    sizes = np.diff(offsets)
    kept = d > 1e-12 * max(float(d.max(initial=0.0)), 1e-300)
    inverse = np.where(kept, 1.0 / np.where(kept, d, 1.0), 0.0)
    rest = q - z[:, None] * np.repeat(b * inverse[:, None], sizes, axis=0)
    left = e - z * np.repeat(w * inverse, sizes)
    u, values, vt = np.linalg.svd(rest, full_matrices=False)
    # Columns of q have length 1: what is left of one that Z explains is rounding errors.
    rank = int((values > 1e-8).sum())
    coefficients = vt[:rank].T @ ((u[:, :rank].T @ left) / values[:rank])
    r = int(kept.sum()) + rank - q.shape[1]
    v = len(e) - used - int(kept.sum()) - rank
    sse = float(((left - rest @ coefficients) ** 2).sum())
    # Schools and columns that explain every row leave an SSE of rounding errors, and F without a meaning.
    if r < 1 or v < 1 or not sse > 1e-20 * float(e @ e):
        return None
    u0 = (w - b @ coefficients) * inverse
    return Pivot(d[kept], w[kept], u0[kept], b[kept], sse / v, r, v)

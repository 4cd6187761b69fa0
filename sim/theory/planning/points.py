"""Gauss quadrature for averages over a beta distribution: points and weights that sum to 1.

Points are the eigenvalues of the tridiagonal matrix of the recurrence of the distribution's orthogonal polynomials,
weights the squared first components of its eigenvectors (Golub & Welsch 1969, Mathematics of Computation 23:221).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Floats

POINTS = 60


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """A distribution by points [k] and their weights [k], which sum to 1."""

    values: Floats
    weights: Floats


def certain(value: float) -> Points:
    """Return the distribution of a value that is known."""
    return Points(np.array([float(value)]), np.ones(1))


def beta_points(a: float, b: float, count: int = POINTS) -> Points:
    """Return Beta(a, b) on [0, 1] by Gauss-Jacobi points.

    Parameters
    ----------
    a, b : float
        Both above 0; the mean is a / (a + b).
    count : int
        Points: the average of any polynomial of degree 2 count - 1 is exact.
    """
    # recurrence of Jacobi polynomials on [-1, 1] with weight (1 - x)^p (1 + x)^q
    p, q, k = b - 1.0, a - 1.0, np.arange(count, dtype=np.float64)
    total = 2.0 * k + p + q
    diagonal = np.empty(count)
    diagonal[0] = (q - p) / (p + q + 2.0)
    diagonal[1:] = (q - p) * (q + p) / (total[1:] * (total[1:] + 2.0))
    n, s = k[1:], total[1:]
    squared = (
        4.0 * n * (n + p) * (n + q) * (n + p + q) / (s**2 * (s + 1.0) * np.where(s == 1.0, 1.0, s - 1.0))
    )
    # the first is 0 / 0 where p + q = -1
    squared[0] = 4.0 * (1.0 + p) * (1.0 + q) / ((2.0 + p + q) ** 2 * (3.0 + p + q))
    values, weights = _golub_welsch(diagonal, squared)
    return Points(np.clip(0.5 * (1.0 + values), 0.0, 1.0), weights)


def icc_points(mean: float, sd: float, count: int = POINTS) -> Points:
    """Return the beta distribution with this mean and SD, as it is used for intraclass correlations.

    Parameters
    ----------
    mean, sd : float
        Of the ICC; with an SD of 0 it is known.
    count : int

    Raises
    ------
    InvalidInput
        A mean outside (0, 1), or an SD that no distribution on [0, 1] has.
    """
    return beta_points(*beta_of(mean, sd), count) if sd else certain(mean)


def equally_likely(mean: float, sd: float, count: int) -> Floats:
    """Return ICCs [count] that stand for the same distribution: its means in equally likely parts of [0, 1].

    Of Beta(a, b) the mean below x is a / (a + b) times the probability of Beta(a + 1, b) below x.

    Parameters
    ----------
    mean, sd : float
    count : int
    """
    from scipy import special

    a, b = beta_of(mean, sd)
    ends = special.betaincinv(a, b, np.linspace(0.0, 1.0, count + 1))
    return np.asarray(count * mean * np.diff(special.betainc(a + 1.0, b, ends)))


def beta_of(mean: float, sd: float) -> tuple[float, float]:
    """Return (a, b) of the beta distribution with this mean and SD.

    Raises
    ------
    InvalidInput
        No distribution on [0, 1] has them.
    """
    check_spread(mean, sd)
    size = mean * (1.0 - mean) / sd**2 - 1.0
    return mean * size, (1.0 - mean) * size


def check_spread(mean: float, sd: float) -> None:
    """Refuse an SD that no distribution of ICCs with this mean has."""
    most = mean * (1.0 - mean)
    if not 0.0 < sd < np.sqrt(most):
        limit = f"above 0 and below {np.sqrt(most):.3g}" if most > 0.0 else "0"
        raise InvalidInput(f"expected an SD of ICCs about {mean:g} {limit}, got {sd:g}; the ICC is in [0, 1]")


def _golub_welsch(diagonal: Floats, squared: Floats) -> tuple[Floats, Floats]:
    from scipy.linalg import eigh_tridiagonal

    values, vectors = eigh_tridiagonal(diagonal, np.sqrt(squared))
    weights = vectors[0] ** 2
    return np.asarray(values, dtype=np.float64), weights / weights.sum()

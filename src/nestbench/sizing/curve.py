"""A response known with error at a few designs, between them: a working model times a factor that varies slowly.

With v(x) the variance that a working model gives a design x (1/G for schools, s^2 + t^2/n for students), the response's
log square near a design x0 is ::

    log v + a + b (log v - log v0),      b ~ N(0, SLOPE^2),

a without a prior: local linear regression, in which a simulated design counts by its Monte Carlo error and, further
away, by BEND times its squared distance (what a line can't follow). So one design suffices to predict by the working
model's shape, two show where it is off, and what isn't known widens the interval.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nestbench.sim.observed.batch import Floats

SLOPE = 0.3
"""Prior SD of b: fewer degrees of freedom make up to that of a working model that doesn't know them."""
BEND = 0.3
NORMAL = 1.959963984540054


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """What is known of one method's response.

    Attributes
    ----------
    where : float64 [k]
        log v of the designs.
    ratio : float64 [k]
        Their log squared response less log v.
    variance : float64 [k]
        Monte Carlo variance of that.
    """

    where: Floats
    ratio: Floats
    variance: Floats

    def at(self, where: float) -> tuple[float, float]:
        """Return the log squared response at a log v, and its standard error."""
        away = self.where - where
        weight = 1.0 / (self.variance + (BEND * away * away) ** 2)
        total, first, second = weight.sum(), (weight * away).sum(), (weight * away * away).sum()
        # Also what keeps the two equations apart where there is one design.
        second += 1.0 / SLOPE**2
        determinant = total * second - first * first
        level = (
            second * (weight * self.ratio).sum() - first * (weight * away * self.ratio).sum()
        ) / determinant
        return float(level) + where, float(np.sqrt(second / determinant))


def curve_of(where: Floats, response: Floats, error: Floats) -> Curve | None:
    """Return the curve of responses [k] with their errors at designs of log v [k]; None where none is finite.

    Parameters
    ----------
    where : float64 [k]
        log v of the designs.
    response : float64 [k]
        Effects found with the power wanted, or half-widths; NaN where a method has no answer.
    error : float64 [k]
        Their Monte Carlo errors.
    """
    good = np.isfinite(response) & (response > 0.0) & np.isfinite(error)
    if not good.any():
        return None
    # Where all data sets agree the error is 0, and the design would have infinite weight.
    relative = np.maximum(error[good] / response[good], 1e-9)
    # The delta method: the log of a square has twice the relative error, so four times its variance.
    return Curve(where[good], 2.0 * np.log(response[good]) - where[good], 4.0 * relative**2)


@dataclass(frozen=True, slots=True)
class Root:
    """Where a response reaches its goal: on a grid of whole steps, with a 95 % interval.

    Attributes
    ----------
    value, low, high : int
        Steps; where the goal isn't reached within the grid, its last.
    reached : bool
        Whether it is.
    """

    value: int
    low: int
    high: int
    reached: bool


def root_of(curve: Curve, where: Callable[[int], float], goal: float, steps: range) -> Root:
    """Return the first step at which a response is at most its goal.

    Parameters
    ----------
    curve : Curve
    where : callable
        Step -> log v, falling along the steps.
    goal : float
        The response wanted.
    steps : range
        From the largest response to the smallest.
    """
    wanted = 2.0 * np.log(goal)

    def good(index: int, shift: float) -> bool:
        found, error = curve.at(where(steps[index]))
        return bool(found + shift * error <= wanted)

    last = len(steps) - 1
    middle = _first(lambda i: good(i, 0.0), 0, last)
    # Outwards from the answer: far from what was simulated the interval's ends needn't be monotone.
    low, high = middle, middle
    reach = 1
    while low > 0 and good(low, -NORMAL):
        low, reach = max(middle - reach, 0), 2 * reach
    low = _first(lambda i: good(i, -NORMAL), low, middle)
    reach = 1
    while high < last and not good(high, NORMAL):
        high, reach = min(middle + reach, last), 2 * reach
    high = _first(lambda i: good(i, NORMAL), middle, high)
    # Steps run to more precise designs: most unknowns rise on the way, an ICC falls.
    ends = sorted((steps[low], steps[high]))
    return Root(steps[middle], ends[0], ends[1], good(middle, 0.0))


def _first(good: Callable[[int], bool], low: int, high: int) -> int:
    """Return the first good index by bisection; the last where none is good."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if good(middle) else (middle + 1, high)
    return low

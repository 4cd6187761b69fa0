"""Maximising the textbook likelihood of a mixed model: no speed, no shortcuts, all local maxima in reach compared."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from nestbench.estimators.engines.identified import EXACT, NO_WITHIN
from nestbench.estimators.engines.mixed_textbook import Textbook, TextbookFit, criterion_at, fit_at
from nestbench.estimators.engines.reference import CannotFit
from nestbench.sim.observed.batch import Floats

GRID = tuple(10.0 ** (0.5 * k) for k in range(-4, 7))
"""Where the score of a single theta is looked at, in units of 1/(root mean square of Z, sqrt of the school size)."""
LEVELS = tuple(10.0 ** (0.5 * k) for k in range(-3, 4))
"""Entries of Lambda where a search over several thetas looks first, for columns of Z of unit root mean square."""
CORRELATIONS = (-0.8, 0.0, 0.8)
"""Of a pair of random effects, where the search looks first."""
ANGLES = 12
"""Directions of the one column of Lambda on the faces of a pair, from 0 to pi."""
SLACK = 1e-9
"""Minima of -2l on a face that are lower by less are the same minimum."""
VANISHED = 1e-5
"""A diagonal entry of Lambda below this, for columns of Z of unit root mean square, may be a zero."""


def single(model: Textbook) -> TextbookFit:
    """Search one theta >= 0: the sign of the score on a grid, Brent's method in each bracket, the best of the maxima.

    At theta = 0 the score is 0 by symmetry; whether it is a maximum is for the second derivative to say.
    """
    from scipy import optimize

    rows = sum(s.y.size for s in model.stacks)
    unit = float(
        np.sqrt(sum(len(s.y) for s in model.stacks) / sum(float(np.sum(s.z**2)) for s in model.stacks))
    )

    def slope(theta: float) -> float:
        return float(fit_at(model, np.array([theta]), False).score[0])

    points = [0.0, *(unit * g for g in GRID)]
    signs = [float(fit_at(model, np.zeros(1)).hessian[0, 0]), *(slope(t) for t in points[1:])]
    # The likelihood still rises: exactly fitted within schools, or a very large theta.
    while signs[-1] < 0 and points[-1] < 1e8:
        points.append(10.0 * points[-1])
        signs.append(slope(points[-1]))
    maxima = [0.0] if signs[0] >= 0 else []
    for k in range(len(points) - 1):
        if signs[k] < 0 <= signs[k + 1]:
            low = points[k] or _left_of_root(slope, points[k + 1])
            maxima.append(float(optimize.brentq(slope, low, points[k + 1], xtol=1e-15 * unit, rtol=1e-14)))
    fits = [fit_at(model, np.array([theta])) for theta in maxima]
    fits = [
        fit for fit in fits if fit.sigma2 > 1e-20 * float(np.mean([np.var(s.y) for s in model.stacks]) * rows)
    ]
    if not fits:
        raise CannotFit(NO_WITHIN)
    return min(fits, key=lambda fit: fit.criterion)


def _left_of_root(slope: Callable[[float], float], right: float) -> float:
    """Return a point below `right` where the slope is negative, as it is just right of 0."""
    low = 0.5 * right
    while slope(low) >= 0 and low > 1e-12 * right:
        low *= 0.5
    return low


def several(model: Textbook, free: list[tuple[int, int]]) -> TextbookFit:
    """Minimise over several thetas by a trust region with exact derivatives, from every low point of a coarse grid.

    A likelihood of random slopes can have several maxima, on the boundary and inside. Nothing here is taken from the
    fast engine, neither its grid nor its steps, so that the two can't miss the same maximum for the same reason.

    Parameters
    ----------
    model : Textbook
    free : list of (row, column)
        Which entry of Lambda each theta is, for columns of Z of unit root mean square.

    Raises
    ------
    CannotFit
        No point of the grid has a finite criterion.
    """
    from scipy import optimize

    def evaluate(theta: Floats) -> tuple[float, Floats]:
        fit = fit_at(model, theta, False)
        return fit.criterion, fit.score

    def hessian(theta: Floats) -> Floats:
        return fit_at(model, theta).hessian

    ends = []
    for first in low_points(model, free):
        end = optimize.minimize(
            evaluate, first, jac=True, hess=hessian, method="trust-exact", options={"gtol": 1e-7}
        )
        ends.append(end.x)
    if not ends:
        raise CannotFit(EXACT)
    best = min(ends, key=lambda theta: evaluate(theta)[0])
    for column in _on_faces(model, free, evaluate):
        if evaluate(column)[0] < evaluate(best)[0] - SLACK:
            found = optimize.minimize(
                evaluate, column, jac=True, hess=hessian, method="trust-exact", options={"gtol": 1e-7}
            )
            best = min(best, found.x, key=lambda theta: evaluate(theta)[0])
    return fit_at(model, _finish(best, evaluate, hessian, free))


def low_points(model: Textbook, free: list[tuple[int, int]]) -> list[Floats]:
    """Return the points of a grid of SDs (of a pair, correlations too) that have no lower neighbour.

    Where a column of Z varies little beside its mean the grid is wider: its SD matters on both scales.
    """
    from scipy import ndimage

    levels = [*LEVELS]
    while levels[-1] < LEVELS[-1] / least_variation(model):
        levels.append(10.0**0.5 * levels[-1])
    diagonal = [a for a, (i, j) in enumerate(free) if i == j]
    correlations = CORRELATIONS if free == [(0, 0), (1, 0), (1, 1)] else (0.0,)
    axes = [*(levels for _ in diagonal), correlations]
    points = []
    for point in itertools.product(*axes):
        theta = np.zeros(len(free))
        theta[diagonal] = point[:-1]
        if len(correlations) > 1:
            theta[1:] = theta[2] * np.array([point[-1], np.sqrt(1.0 - point[-1] ** 2)])
        points.append(theta)
    values = np.array([criterion_at(model, theta) for theta in points]).reshape([len(a) for a in axes])
    lowest = (values == ndimage.minimum_filter(values, size=3, mode="nearest")) & np.isfinite(values)
    return [points[k] for k in np.flatnonzero(lowest)]


def _on_faces(
    model: Textbook, free: list[tuple[int, int]], evaluate: Callable[[Floats], tuple[float, Floats]]
) -> list[Floats]:
    """Return the minima within the faces of a pair of random effects, where Psi has rank one.

    There an SD is 0 or the correlation is 1 or -1: theta = (r cos, r sin, 0), or an entry of a diagonal Lambda alone.
    """
    from scipy import ndimage, optimize

    if len({row for row, _ in free}) != 2:
        return []
    span = LEVELS[-1] / least_variation(model)
    radii = np.geomspace(LEVELS[0], span, 1 + round(4 * np.log10(span / LEVELS[0])))
    turning = len(free) == 3
    angles = np.arange(ANGLES) * np.pi / ANGLES if turning else np.array([0.0, 0.5 * np.pi])
    columns = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    values = np.array([[criterion_at(model, _column(r * c, free)) for r in radii] for c in columns])
    shape = (3, 3) if turning else (1, 3)
    lowest = values == ndimage.minimum_filter(values, size=shape, mode=["wrap", "nearest"])
    found = []
    for k, h in np.argwhere(lowest & np.isfinite(values)):
        moves = slice(0, 2) if turning else slice(k, k + 1)

        def on_face(v: Floats, k: int = k, moves: slice = moves) -> tuple[float, Floats]:
            theta = np.zeros(len(free))
            theta[moves] = v
            value, score = evaluate(theta)
            return value, score[moves]

        start = (radii[h] * columns[k])[moves]
        end = optimize.minimize(on_face, start, jac=True, method="BFGS", options={"gtol": 1e-5}).x
        theta = np.zeros(len(free))
        theta[moves] = end
        found.append(theta)
    return found


def _column(v: Floats, free: list[tuple[int, int]]) -> Floats:
    """Return theta of a Lambda of one column v [2], or of a diagonal v."""
    theta = np.zeros(len(free))
    theta[:2] = v
    return theta


def least_variation(model: Textbook) -> float:
    """Return the least ratio of a column's SD to its root mean square, among columns of Z that vary."""
    z = np.concatenate([s.z.reshape(-1, model.q) for s in model.stacks])
    ratios = z.std(axis=0) / np.sqrt((z**2).mean(axis=0))
    return float(ratios[ratios > 1e-6].min(initial=1.0))


def _finish(
    theta: Floats,
    evaluate: Callable[[Floats], tuple[float, Floats]],
    hessian: Callable[[Floats], Floats],
    free: list[tuple[int, int]],
) -> Floats:
    """Take last Newton steps, put diagonal entries that have vanished to 0, make the others positive."""
    for _ in range(4):
        step = np.linalg.pinv(hessian(theta), rcond=1e-10, hermitian=True) @ evaluate(theta)[1]
        # A longer step isn't a last correction but another place.
        if np.abs(step).max() < 1e-2:
            theta = theta - step
    theta = theta.copy()
    for a, (i, j) in enumerate(free):
        if i == j and abs(theta[a]) < VANISHED:
            theta[a] = 0.0
        elif i == j and theta[a] < 0:
            theta[[b for b, (_, h) in enumerate(free) if h == j]] *= -1.0
    return theta

"""Resampling methods by refitting every draw on the students: wild and pairs bootstrap, permutation.

Arguments as in `least_squares`; the draws themselves (weights v [G, B], counts [B, G]) are given, since two engines
agree only on the same draws.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt

from tests.oracles.least_squares import coefficients, sandwich

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TIE = 1e-9
"""Statistics this close, relatively, are the same number."""


def wild_p_value(
    y: Floats,
    x: Floats,
    schools: Ints,
    contrast: Floats,
    null: float,
    v: Floats,
    restricted: bool,
    exact: bool,
) -> float:
    """Share of draws with |t*| >= |t|, t the CR1 statistic of contrast'beta = null (its constant cancels).

    Outcomes are X b + v_g e, b and e of the regression under the null (restricted) or free; every draw is refitted.
    """
    free = coefficients(y, x)
    centre = _restricted(y, x, contrast, null) if restricted else free
    target = null if restricted else float(contrast @ free)
    t = abs(_statistic(y, x, schools, contrast, null))
    residual = y - x @ centre
    drawn = [_statistic(x @ centre + w[schools] * residual, x, schools, contrast, target) for w in v.T]
    extreme = sum(abs(value) >= t * (1 - TIE) for value in drawn)
    return extreme / len(drawn) if exact else (1 + extreme) / (1 + len(drawn))


def _statistic(y: Floats, x: Floats, schools: Ints, contrast: Floats, null: float) -> float:
    fit = sandwich("CR0", y, x, schools, contrast[None, :])
    with np.errstate(divide="ignore", invalid="ignore"):
        return float((fit.estimate[0] - null) / fit.std_error[0])


def _restricted(y: Floats, x: Floats, contrast: Floats, null: float) -> Floats:
    """Least squares under contrast'beta = null: b0 + N a, N a basis of the contrast's orthogonal complement."""
    start = contrast * null / (contrast @ contrast)
    basis = np.linalg.svd(contrast[None, :], full_matrices=True)[2][1:].T
    if not basis.size:
        return start
    return np.asarray(start + basis @ coefficients(y - x @ start, x @ basis))


def pairs(y: Floats, x: Floats, schools: Ints, contrasts: Floats, counts: Floats) -> Floats:
    """Estimates [B, K] from schools drawn with replacement, their students repeated; NaN where X loses rank."""
    out = np.full((len(counts), len(contrasts)), np.nan)
    for b, times in enumerate(counts.astype(int)):
        rows = np.repeat(np.arange(len(y)), times[schools])
        if len(rows) and np.linalg.matrix_rank(x[rows], tol=1e-7 * np.sqrt(len(y))) == x.shape[1]:
            out[b] = contrasts @ coefficients(y[rows], x[rows])
    return out


def permutation(y: Floats, others: Floats, treated: Floats, schools: Ints) -> tuple[float, float]:
    """Coefficient of a 0/1 school-level treatment [G] beside `others` [n, k], and p over all its assignments."""

    def coefficient(assigned: Floats) -> float:
        x = np.column_stack([others, assigned[schools]])
        rank = np.linalg.matrix_rank(x, tol=1e-7 * np.sqrt(len(y)))
        return float(coefficients(y, x)[-1]) if rank == x.shape[1] else np.nan

    own, g = coefficient(treated), len(treated)
    every = []
    for chosen in combinations(range(g), int(treated.sum())):
        assigned = np.zeros(g)
        assigned[list(chosen)] = 1.0
        every.append(coefficient(assigned))
    found = np.array([b for b in every if np.isfinite(b)])
    return own, float(np.mean(np.abs(found) >= abs(own) * (1 - TIE)))

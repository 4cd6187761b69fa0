"""Which coefficients a design matrix can answer for.

Term j is estimable if and only if its unit vector is in the row space of X, that is if every vector of X's null space
is zero at j. With an intercept this is decided on centred columns of unit length, so that neither units nor a large
mean hide or feign a dependence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nestbench.sim.observed.batch import Floats, Ints

Mask = npt.NDArray[np.bool_]
EPS = float(np.finfo(np.float64).eps)
DEPENDENT = 1e-10
"""Columns of unit length with a smaller singular value are dependent: six digits of the direction left are rounding."""
PLAINLY_NONE, PLAINLY_THERE = 1e-12, 1e-4
"""Singular values of unit columns between these are in doubt where rows stand for others."""


def full_rank(x: Floats, intercept: int | None) -> bool:
    """Whether X [n, p] clearly has full column rank.

    True is certain; False means: look closer with `estimable`. Most data sets end here, at the price of one p x p
    eigenvalue problem, where a singular value decomposition of X would be needed otherwise.
    """
    if len(x) < x.shape[1]:
        return False
    unit, _ = _unit_columns(x, intercept)
    gram = unit.T @ unit
    # Eigenvalues of a Gram matrix are squared singular values with an error of some 1e-16: small ones can't be
    # told from 0 here, so the bound is a cautious one.
    return bool(np.linalg.eigvalsh(gram)[0] > 1e-9) if gram.size else True


def estimable(x: Floats, intercept: int | None) -> tuple[Mask, Ints]:
    """Return which terms are estimable [p], and the columns of a full-rank part of X with the same column space.

    Parameters
    ----------
    x : float64 [n, p]
    intercept : int or None
        Which column is the constant 1, if one is.
    """
    p = x.shape[1]
    if full_rank(x, intercept):
        return np.ones(p, dtype=bool), np.arange(p)
    return _decided(x, intercept, _decomposed(x, intercept))


def plainly_estimable(x: Floats, intercept: int | None) -> tuple[Mask, Ints] | None:
    """Return what `estimable` does where nobody can doubt it: each direction is plainly there, or but rounding.

    `x` may be other rows than a data set's that span the same: what is plain of these is plain of those. None in doubt.
    """
    parts = _decomposed(x, intercept)
    doubtful = (parts.values > PLAINLY_NONE) & (parts.values < PLAINLY_THERE)
    if doubtful.any() or parts.tolerance > PLAINLY_THERE:
        return None
    return _decided(x, intercept, parts)


@dataclass(frozen=True, slots=True, eq=False)
class _Decomposed:
    """The columns of X but the intercept: which they are [s], of unit length [n, s], their lengths [s], singular values
    [s] and right singular vectors as rows [s, s], and the value below which they are rounding."""

    slopes: Ints
    unit: Floats
    norms: Floats
    values: Floats
    vectors: Floats
    tolerance: float


def _decomposed(x: Floats, intercept: int | None) -> _Decomposed:
    """Return the decomposition that a decision rests on."""
    unit, norms = _unit_columns(x, intercept)
    slopes = np.array([j for j in range(x.shape[1]) if j != intercept], dtype=np.int64)
    # Whole only where rows are fewer than columns and null vectors were lost: else it makes a matrix of rows by rows.
    _, found, vectors = np.linalg.svd(unit, full_matrices=len(unit) < unit.shape[1])
    values = np.zeros(len(slopes))
    values[: len(found)] = found
    return _Decomposed(slopes, unit, norms, values, vectors, _tolerance(x, slopes, norms))


def _decided(x: Floats, intercept: int | None, parts: _Decomposed) -> tuple[Mask, Ints]:
    """Return what `estimable` does."""
    null = parts.vectors[parts.values <= parts.tolerance]
    answer = np.ones(x.shape[1], dtype=bool)
    answer[parts.slopes] = ~(np.abs(null) > 1e-6).any(axis=0)
    if intercept is not None:
        # A dependence among centred columns that the raw ones don't have makes the constant one of their combinations.
        pull = null * (x[:, parts.slopes].mean(axis=0) / parts.norms)
        noise = parts.tolerance * np.abs(pull).sum(axis=1) + 1e-8
        answer[intercept] = not (np.abs(pull.sum(axis=1)) > noise).any()
    rank = len(parts.slopes) - len(null)
    return answer, _independent(parts.unit, parts.slopes, answer, intercept, rank)


def _unit_columns(x: Floats, intercept: int | None) -> tuple[Floats, Floats]:
    """Return the columns other than the intercept, centred when there is one, of length 1 (or 0), and their lengths."""
    rest = x if intercept is None else np.delete(x, intercept, axis=1)
    size = np.abs(rest).max(axis=0, initial=0.0)
    centred = rest / np.where(size > 0, size, 1.0)
    if intercept is not None:
        centred = centred - centred.mean(axis=0)
    norms = np.sqrt((centred**2).sum(axis=0))
    # A column that is constant but for rounding; its direction would be noise.
    gone = norms <= 8 * EPS * np.sqrt(len(x))
    norms = np.where(gone, 1.0, norms)
    return np.where(gone, 0.0, centred / norms), norms * np.where(size > 0, size, 1.0)


def _tolerance(x: Floats, slopes: Ints, norms: Floats) -> float:
    """Singular values below this are rounding: the columns' own rounding error relative to their spread."""
    spread = np.sqrt((x[:, slopes] ** 2).sum(axis=0)) / norms
    return max(DEPENDENT, 8.0 * EPS * float(np.sqrt(max(x.shape))) * float(spread.max(initial=1.0)))


def _independent(unit: Floats, slopes: Ints, answer: Mask, intercept: int | None, rank: int) -> Ints:
    """Return the intercept, the estimable columns, and of the others as many as the rank needs: the longest first."""
    basis = np.zeros((len(unit), 0))
    kept = [] if intercept is None else [intercept]
    left = sorted(range(len(slopes)), key=lambda k: not answer[slopes[k]])
    while basis.shape[1] < rank:
        rest = unit[:, left] - basis @ (basis.T @ unit[:, left])
        # Twice is enough (Kahan): one pass leaves rounding in the direction of nearly dependent columns.
        rest = rest - basis @ (basis.T @ rest)
        length = np.sqrt((rest**2).sum(axis=0))
        sure = [at for at, k in enumerate(left) if answer[slopes[k]]]
        longest = sure[0] if sure else int(np.argmax(length))
        basis = np.column_stack([basis, rest[:, longest] / length[longest]])
        kept.append(int(slopes[left.pop(longest)]))
    return np.sort(np.array(kept, dtype=np.int64))

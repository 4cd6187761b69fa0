"""What cluster-robust methods share: a school's hold on a term, iid beside robust errors, and answers without an error.

Where a term is not estimable without some school (I - H_gg is singular) it has no standard error: status SINGULAR.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nestbench.estimators.engines import ols_batched
from nestbench.estimators.engines.estimable import estimable
from nestbench.estimators.engines.reference import Answer, CannotFit, DataSet, names_of
from nestbench.estimators.estimates import FitStatus
from nestbench.sim.observed.batch import Floats

SINGULAR = 1e-9
"""Eigenvalues of I - H_gg below this are zeros, as in `kernels.sandwich`."""


NEEDED = 1e-6
"""A term with a larger share than this in a direction that only one school identifies needs that school."""


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """K_g = Q_g'Q_g of X = Q R, with which I - H_gg shares the eigenvalues that can vanish.

    The hat matrix of a school is n_g x n_g, but it has at most p eigenvalues that aren't 0, and they are those of K_g:
    whether I - H_gg is singular is decided in p dimensions, for orthonormal columns, so that no unit of a covariate
    matters.

    Attributes
    ----------
    q : float64 [n, p]
    r : float64 [p, p]
    left : float64 [G, p]
        Eigenvalues of I - K_g; zero where school g alone identifies a direction of X.
    vectors : float64 [G, p, p]
        Eigenvectors of K_g, as columns.
    """

    q: Floats
    r: Floats
    left: Floats
    vectors: Floats

    @property
    def needs_a_school(self) -> npt.NDArray[np.bool_]:
        """Whether X loses rank without a school [G]."""
        return np.asarray((self.left <= SINGULAR).any(axis=1))

    def needed_by(self, back: Floats) -> npt.NDArray[np.bool_]:
        """Return which contrasts [K, p] of the coefficients are not estimable without some school [K]."""
        rows = back @ np.linalg.inv(self.r)
        # Contrasts in the coordinates of Q, so that no unit of a column decides.
        share = np.abs(np.einsum("jk,gki->gji", rows, self.vectors)) * (self.left <= SINGULAR)[:, None, :]
        return np.asarray(share.max(axis=(0, 2)) > NEEDED * np.sqrt((rows**2).sum(axis=1)))


def blocks_of(data: DataSet) -> Blocks:
    """Return the schools' shares of X, whatever the units of its columns."""
    q, r = np.linalg.qr(data.x)
    k = np.add.reduceat(q[:, :, None] * q[:, None, :], data.starts, axis=0)
    values, vectors = np.linalg.eigh(k)
    return Blocks(q, r, 1.0 - values, vectors)


def dwarfed(data: DataSet, blocks: Blocks) -> bool:
    """Whether a school makes the others' numbers look lost beside its own: without it X has a higher rank after all."""
    left = (blocks.left > SINGULAR).sum(axis=1)
    schools = np.flatnonzero(blocks.needs_a_school)
    return any(
        len(estimable(data.x[data.groups != school], data.intercept)[1]) > left[school] for school in schools
    )


def unidentified(answer: Answer, terms: Sequence[str], needed: npt.NDArray[np.bool_]) -> Answer:
    """Return the answer without standard errors of the terms that one of the schools alone identifies: SINGULAR.

    Nor have these terms degrees of freedom, where each term has its own.
    """
    missing = f"no standard error, not estimable without one of the schools: {names_of(terms, needed)}"
    return replace(
        answer,
        std_error=np.where(needed, np.nan, answer.std_error),
        df=np.where(needed, np.nan, answer.df) if isinstance(answer.df, np.ndarray) else answer.df,
        status=FitStatus.SINGULAR,
        message="; ".join(part for part in (missing, answer.message) if part),
    )


def require_schools(data: DataSet) -> None:
    """Raise `CannotFit` unless there are at least two schools: of one the scores sum to 0, and so does the variance."""
    if data.schools < 2:
        raise CannotFit("cluster-robust standard errors need at least two schools, got 1")


def coefficients(result: Any, back: Floats) -> tuple[Floats, Floats, Floats]:
    """Return (beta, robust SE, iid SE) of a statsmodels result, each [p], mapped by beta = back b.

    The iid errors come along because a robust error is judged beside them: one that vanishes is a rounding error.
    """

    def errors(covariance: Floats) -> Floats:
        return np.asarray(np.sqrt(np.diag(back @ covariance @ back.T)))

    iid = result.normalized_cov_params * result.scale
    return back @ result.params, errors(result.cov_params()), errors(iid)


def sandwich_answer(
    terms: Sequence[str],
    estimate: Floats,
    std_error: Floats,
    naive: Floats,
    df: float | Floats,
    **quantities: float,
) -> Answer:
    """Return an answer in which standard errors that vanish beside the iid ones are missing.

    Where a term is fitted to the school totals exactly (as many school-level terms as schools) the scores are rounding
    errors, and so would be the standard error.

    Parameters
    ----------
    terms : sequence of str
    estimate, std_error, naive : float64 [p]
        `naive` are the iid standard errors that the robust ones are judged beside.
    df : float or float64 [p]
    quantities : float
        Fit-level numbers by name, without parentheses.
    """
    named = {f"({name})": value for name, value in quantities.items()}
    # "not >": a missing robust error vanishes, too.
    vanishes = ~(std_error > ols_batched.VANISHES * naive)
    if not vanishes.any():
        return Answer(estimate, std_error, df, quantities=named)
    message = f"no standard error, the school scores vanish: {names_of(terms, vanishes)}"
    return Answer(estimate, np.where(vanishes, np.nan, std_error), df, quantities=named, message=message)


MEAT = r"M \left[\sum_g s_g s_g^\top\right] M, \quad s_g = X_g^\top e_g"

_WITHOUT = r"\quad b_{(g)} \text{ the estimate without school } g"
FORMULAS = {
    "CR0": (rf"\operatorname{{Var}}(\hat\beta) = {MEAT}",),
    "CR1": (rf"\operatorname{{Var}}(\hat\beta) = \frac{{G}}{{G - 1}}\, {MEAT}",),
    "CR1S": (rf"\operatorname{{Var}}(\hat\beta) = \frac{{G}}{{G - 1}}\, \frac{{N - 1}}{{N - p}}\, {MEAT}",),
    "CR3": (
        r"\operatorname{Var}(\hat\beta) = M \left[\sum_g X_g^\top A_g e_g e_g^\top A_g X_g\right] M, "
        r"\quad A_g = (I - H_{gg})^{-1}",
        r"\operatorname{Var}(\hat\beta) = \sum_g (b_{(g)} - \hat\beta)(b_{(g)} - \hat\beta)^\top, "
        + _WITHOUT,
    ),
    "jackknife": (
        r"\operatorname{Var}(\hat\beta) = \frac{G - 1}{G} \sum_g (b_{(g)} - \bar b)(b_{(g)} - \bar b)^\top, "
        + _WITHOUT,
    ),
}

"""Whether the two engines of a method agree: one function for the tests, for ``nestbench verify`` and for every audit.

- **direct**: every number of every term and fit, to `DIRECT`.
- **implicit** (an optimum that both search for): (a) same function: the batched formulas at the reference's own theta
  give its coefficients, standard errors, residual SD and log-likelihood, to `FORMULAS`; (b) dominance: the batched
  log-likelihood is not below the reference's; (c) stationarity: the batched score is zero, or theta is zero with a
  score that points there; (d) the numbers themselves agree to `OUTPUTS` where the reference is at the maximum too.
- **random**: same stream, same draws, hence as direct.
- **under study** (statsmodels' own optimiser): how often and by how much it missed the REML maximum.

Differences are relative to the number or to its standard error, whichever is larger: an estimate that happens to be
near zero has no relative precision. A p-value p of statistic t moves by (1 + t^2) p times the relative change of t. On
data sets whose columns are nearly collinear (`SchoolMoments.refined`) the references, which square the condition
number, are themselves only good to `COLLINEAR`. Tests of other values than 0 are compared where they are tests of 0
(`nestbench.estimators.null`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nestbench.estimators.engines.mixed_fit import fit_of
from nestbench.estimators.estimates import ESTIMATE, STD_ERROR, Estimates, FitStatus
from nestbench.estimators.estimator import Agreement, Estimator
from nestbench.estimators.moments.school_moments import moments_of
from nestbench.estimators.null import under_null
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Batch, Floats
from nestbench.sim.observed.model import Model

Mask = npt.NDArray[np.bool_]

DIRECT = 1e-9
FORMULAS = 1e-8
OUTPUTS = 1e-4
COLLINEAR = 1e-5
SHORT = 1e-6
"""A reference whose log-likelihood is lower by more than this stopped short of the maximum."""
NONE_BELOW: Mapping[str, Any] = {"below_grid": 0, "worst_below_grid": 0.0}
"""What an audit says of a method whose likelihood no point of the grid exceeds, or that has none."""
SCORE = 1e-6
"""Largest score (derivative of the log-likelihood by the variance ratio) that counts as zero, per student."""


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """How two engines compare on R data sets.

    Attributes
    ----------
    difference : float64 [R]
        Largest relative difference of a fit.
    disagrees : bool [R]
    shortfall : float64 [R]
        By how much the reference's log-likelihood is below the batched one; 0 where there is none to compare.
    """

    difference: Floats
    disagrees: Mask
    shortfall: Floats


def compare(estimator: Estimator, batch: Batch, model: Model) -> dict[str, Any]:
    """Fit a batch with both engines and return how they agree.

    Returns
    -------
    dict
        ``agreement`` (the class), ``fits`` (compared), ``worst`` (largest relative difference), ``disagreements``
        (fits), ``stopped_short`` (fits in which the reference missed the maximum or gave no answer where there is
        one), ``worst_shortfall`` (in units of the log-likelihood, of those that gave one), ``below_grid`` (fits whose
        log-likelihood is below another point of a coarse grid of variance parameters: no maximum, whatever the
        engines agree on) and ``worst_below_grid`` (by how much at most).

    Raises
    ------
    InvalidInput
        The method has only one engine.
    """
    batch, model = under_null(batch, model, estimator.regressed)
    if estimator.agreement is Agreement.UNDER_STUDY:
        return reached(estimator.fit(batch, model, "reference"), batch, model)
    return _row(str(estimator.agreement), judge(estimator, batch, model)) | below_grid(
        estimator, batch, model
    )


def below_grid(estimator: Estimator, batch: Batch, model: Model) -> dict[str, Any]:
    """Return how many fits a point of `Estimator.on_grid` is better than by more than `SHORT`, and by how much.

    An optimum that some point of a coarse grid beats is no optimum. The grid shares nothing with the search, so that
    a maximum that both engines miss is seen all the same.

    Parameters
    ----------
    estimator : Estimator
        One that maximises a likelihood.
    batch : Batch
    model : Model

    Returns
    -------
    dict
        ``below_grid``, how many fits; ``worst_below_grid``, by how much at most.
    """
    if estimator.on_grid is None:
        return dict(NONE_BELOW)
    best = estimator.on_grid(batch, model, estimator.options)
    if not np.isfinite(best).any():
        return dict(NONE_BELOW)
    fits = estimator.fit(batch, model, "batched")
    loglik = np.where(_answers(fits), fits.quantities["(loglik)"], np.inf)
    by = np.where(np.isfinite(best), best, -np.inf) - loglik
    below = by > SHORT + 1e-10 * np.abs(np.nan_to_num(best, neginf=0.0))
    return {"below_grid": int(below.sum()), "worst_below_grid": float(by[below].max(initial=0.0))}


def _row(agreement: str, verdict: Verdict) -> dict[str, Any]:
    return {
        "agreement": agreement,
        "fits": len(verdict.difference),
        "worst": float(verdict.difference.max(initial=0.0)),
        "disagreements": int(verdict.disagrees.sum()),
        "stopped_short": int((verdict.shortfall > SHORT).sum()),
        "worst_shortfall": float(verdict.shortfall[np.isfinite(verdict.shortfall)].max(initial=0.0)),
        **NONE_BELOW,
    }


def judge(estimator: Estimator, batch: Batch, model: Model) -> Verdict:
    """Return the comparison fit by fit; see `compare`."""
    if estimator.agreement is None or estimator.reference is None or estimator.batched is None:
        raise InvalidInput(
            f"expected a method with two engines, got '{estimator.name}', which has one: nothing to compare"
        )
    batch, model = under_null(batch, model, estimator.regressed)
    reference = estimator.fit(batch, model, "reference")
    batched = estimator.fit(batch, model, "batched")
    if estimator.agreement == Agreement.IMPLICIT:
        return _implicit(estimator, batch, model, reference, batched)
    loose = batch.once(moments_of, model).refined
    difference = differences(reference, batched)
    allowed = np.where(loose, COLLINEAR, DIRECT)
    disagrees = ~(difference <= allowed) | (reference.status != batched.status)
    return Verdict(difference, disagrees, np.zeros(batch.size))


def differences(a: Estimates, b: Estimates) -> Floats:
    """Return the largest relative difference of each fit [R]; inf where a number is missing on one side only."""
    size = np.fmax(np.fmax(a.std_error, b.std_error), 0.0)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        # Beyond it the p-value is 0 in doubles; its square must not overflow beside one.
        t = np.fmin(np.abs(a.estimate / a.std_error), 1e8)
    parts = [
        _relative(a.estimate, b.estimate, size),
        _relative(a.std_error, b.std_error, 0.0),
        _relative(a.df, b.df, 0.0),
        _relative(a.lower, b.lower, size),
        _relative(a.upper, b.upper, size),
        _relative(a.p_value, b.p_value, np.fmax(a.p_value, 1e-300) * (1.0 + np.nan_to_num(t) ** 2)),
    ]
    return np.asarray(np.max([part.max(axis=1, initial=0.0) for part in parts], axis=0))


def _relative(a: Floats, b: Floats, size: Floats | float) -> Floats:
    """Return |a - b| / max(|a|, |b|, size), 0 where equal or both NaN, inf where one is missing."""
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        scale = np.fmax(np.fmax(np.abs(a), np.abs(b)), size)
        value = np.abs(a - b) / scale
    return np.where(same, 0.0, np.where(np.isnan(value), np.inf, value))


def audited(estimator: Estimator) -> bool:
    """Whether an audit has something to compare: two engines, or an optimiser under study and the maximum to reach."""
    return estimator.agreement is Agreement.UNDER_STUDY or None not in (
        estimator.agreement,
        estimator.batched,
        estimator.reference,
    )


def reached(estimates: Estimates, batch: Batch, model: Model) -> dict[str, Any]:
    """Return, as `compare` does, how often and by how much fits of a method under study missed the REML maximum.

    A log-likelihood above the maximum by more than rounding is a disagreement; none at all, where there is a maximum,
    is a fit that stopped short.
    """
    optimum = batch.once(fit_of, model, True).quantities["(loglik)"]
    none = np.full(batch.size, np.nan)  # where every fit was lost
    loglik = estimates.quantities.get("(loglik)", none)
    shortfall = np.where(np.isfinite(optimum), optimum - loglik, 0.0)
    level = 1.0 + np.abs(np.nan_to_num(optimum))
    missed = np.where(np.isfinite(shortfall), np.maximum(shortfall, 0.0), np.inf)
    return _row(
        str(Agreement.UNDER_STUDY), Verdict(np.zeros(batch.size), shortfall < -FORMULAS * level, missed)
    )


def _implicit(
    estimator: Estimator, batch: Batch, model: Model, reference: Estimates, batched: Estimates
) -> Verdict:
    both = _answers(reference) & _answers(batched)
    shortfall = np.where(both, batched.quantities["(loglik)"] - reference.quantities["(loglik)"], 0.0)
    formulas = None
    if estimator.at_theta is not None:
        covariance = str(estimator.options.get("covariance", "full"))
        formulas = _formulas(estimator.at_theta(batch, model, reference, covariance), reference)
    level = 1.0 + np.abs(np.nan_to_num(reference.quantities["(loglik)"]))
    near = both & (shortfall < FORMULAS * level)
    outputs = np.where(near, differences(reference, batched), 0.0)
    loose = batch.once(moments_of, model).refined
    disagrees = np.zeros(batch.size, dtype=np.bool_)
    if formulas is not None:
        disagrees |= both & ~(formulas <= np.where(loose, COLLINEAR, FORMULAS))
    disagrees |= both & ~(shortfall >= -FORMULAS * level)
    disagrees |= _answers(batched) & ~_stationary(batch, batched)
    disagrees |= outputs > OUTPUTS
    disagrees |= _answers(reference) & ~_answers(batched)
    missing = _answers(batched) & ~_answers(reference)
    difference = outputs if formulas is None else np.where(both, formulas, 0.0)
    return Verdict(difference, disagrees, np.where(missing, np.inf, np.maximum(shortfall, 0.0)))


def _answers(estimates: Estimates) -> Mask:
    return np.asarray(estimates.status <= FitStatus.BOUNDARY)


def _formulas(ours: Mapping[str, Floats], reference: Estimates) -> Floats:
    """Return the largest difference between our formulas and the reference's numbers at the same theta [R]."""
    size = np.fmax(reference.std_error, 0.0)
    parts = [
        _relative(ours[ESTIMATE], reference.estimate, size).max(axis=1, initial=0.0),
        _relative(ours[STD_ERROR], reference.std_error, 0.0).max(axis=1, initial=0.0),
        _relative(ours["(residual_sd)"], reference.quantities["(residual_sd)"], 0.0),
        _relative(ours["(loglik)"], reference.quantities["(loglik)"], 1.0),
    ]
    return np.asarray(np.max(parts, axis=0))


def _stationary(batch: Batch, batched: Estimates) -> Mask:
    """Whether the score is zero, or theta is zero with a score that is not positive."""
    score = batched.quantities["(score)"]
    students = np.diff(batch.row_offsets)
    boundary = batched.status == FitStatus.BOUNDARY
    return np.asarray((np.abs(score) <= SCORE * students) | (boundary & (score <= 0.0)))

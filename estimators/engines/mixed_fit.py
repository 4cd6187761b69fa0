"""The exact mixed-model fit of a batch, made once and shared by every method that rests on it."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nestbench.estimators.components import sd_name
from nestbench.estimators.engines import identified
from nestbench.estimators.engines.finished import finished
from nestbench.estimators.engines.random_part import RandomPart, random_part_of
from nestbench.estimators.engines.reference import without
from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.estimators.kernels import mixed, random_intercept, random_slopes
from nestbench.estimators.kernels.mixed import MixedFits, as_named, empty_fits
from nestbench.estimators.moments.school_moments import SchoolMoments, moments_of
from nestbench.sim.errors import InvalidInput, did_you_mean
from nestbench.sim.observed.batch import Batch, Floats, Ints
from nestbench.sim.observed.derived import constant_within_schools
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model

OUTCOMES: Mapping[int, tuple[FitStatus, str]] = {
    mixed.OK: (FitStatus.OK, ""),
    mixed.BOUNDARY: (FitStatus.BOUNDARY, ""),
    mixed.NOT_CONVERGED: (FitStatus.NOT_CONVERGED, "the likelihood was not maximised"),
    mixed.NOT_FINITE: (FitStatus.FAILED, "the data hold values that are not finite"),
    mixed.NO_VARIATION: (FitStatus.FAILED, identified.EXACT),
    mixed.NO_SCHOOL_DF: (FitStatus.FAILED, identified.NO_SCHOOL_DF),
    mixed.ONE_STUDENT: (FitStatus.FAILED, identified.ONE_STUDENT),
    mixed.MANY_EFFECTS: (FitStatus.FAILED, identified.MANY_EFFECTS),
    mixed.CONFOUNDED: (FitStatus.FAILED, identified.CONFOUNDED),
    mixed.NO_WITHIN: (FitStatus.FAILED, identified.NO_WITHIN),
    mixed.TOO_FEW: (FitStatus.FAILED, "no residual degrees of freedom"),
}
"""What a kernel's code means; the same words as the reference engine's."""

COVARIANCES = ("full", "diagonal")


@dataclass(frozen=True, slots=True, eq=False)
class BatchFit:
    """The fits of a batch in the coordinates of the terms as named.

    Attributes
    ----------
    moments : SchoolMoments
    fits : MixedFits
        In pivoted, scaled coordinates.
    estimate, unscaled : float64 [R, K]
        Coefficients; their variances / sigma^2, in the units of `fits`.
    quantities : mapping of str to float64 [R]
    part : RandomPart
    """

    batch: Batch
    model: Model
    moments: SchoolMoments
    fits: MixedFits
    estimate: Floats
    unscaled: Floats
    quantities: Mapping[str, Floats]
    part: RandomPart

    def __post_init__(self) -> None:
        """Refer to the batch weakly: it remembers this fit, and a cycle would keep its data in memory."""
        if type(self.batch) is Batch:
            object.__setattr__(self, "batch", weakref.proxy(self.batch))

    @property
    def intercept_only(self) -> bool:
        """Whether the random part is a random intercept."""
        return self.batch.once(design_of, self.model).random_terms == ("Intercept",)


def fit_of(batch: Batch, model: Model, restricted: bool, covariance: str = "full") -> BatchFit:
    """Return the REML or ML fit of every replication (call it as ``batch.once(fit_of, model, True)``).

    One fit serves z, Satterthwaite, Kenward-Roger and CR2 alike: they differ in what they make of the same optimum.
    """
    return _completed(batch, model, restricted, None, covariance)


def fit_given(
    batch: Batch, model: Model, restricted: bool, theta: Floats, covariance: str = "full"
) -> BatchFit:
    """Return the generalised least squares fit at a given covariance of the random effects.

    Parameters
    ----------
    theta : float64 [R] or [R, q, q]
        Of a random intercept its SD relative to the residual SD; of random slopes Var(u)/sigma^2 of the effects as
        named. Where it is NaN, theta is estimated.
    """
    return _completed(batch, model, restricted, theta, covariance)


def _completed(
    batch: Batch, model: Model, restricted: bool, theta: Floats | None, covariance: str
) -> BatchFit:
    if covariance not in COVARIANCES:
        raise InvalidInput(
            f'expected covariance = "full" or "diagonal", got \'{covariance}\'.'
            f"{did_you_mean(covariance, COVARIANCES)} It is the covariance of random intercept and slopes"
        )
    moments = batch.once(moments_of, model)
    design = batch.once(design_of, model)
    part = random_part_of(moments, covariance == "diagonal")
    if design.random_terms == ("Intercept",):
        alone = np.full(batch.size, np.nan) if theta is None else theta
        fits = intercept_fits(moments, restricted, alone)
        quantities = intercept_quantities(moments, fits)
    else:
        fits = slope_fits(moments, part, restricted, None if theta is None else part.factor_of(theta))
        quantities = slope_quantities(moments, part, fits, design.random_terms)
    estimate, unscaled = np.empty_like(moments.shift), np.empty_like(moments.shift)
    as_named(moments.contrasts, moments.shift, fits.beta, fits.unscaled, estimate, unscaled)
    quantities |= evidence(moments, fits, restricted)
    return BatchFit(batch, model, moments, fits, estimate, unscaled, quantities, part)


def intercept_fits(moments: SchoolMoments, restricted: bool, theta: Floats) -> MixedFits:
    """Return random-intercept fits; theta is estimated where it is NaN."""
    fits = empty_fits(len(moments.shift), len(moments.x), 1)
    random_intercept.fit(
        moments.cross, moments.replication_offsets, columns_of(moments), restricted, theta, fits
    )
    return fits


def slope_fits(
    moments: SchoolMoments, part: RandomPart, restricted: bool, theta: Floats | None = None
) -> MixedFits:
    """Return fits with random slopes; theta [R, m] is estimated where it is NaN or not given."""
    reps, m = len(moments.shift), len(part.rows)
    fits = empty_fits(reps, len(moments.x), m)
    random_slopes.fit(
        moments.cross,
        moments.replication_offsets,
        columns_of(moments),
        moments.z,
        *part.arrays,
        int(np.flatnonzero(moments.z == 0)[0]) if part.raw and 0 in moments.z else -1,
        restricted,
        np.full((reps, m), np.nan) if theta is None else theta,
        fits,
    )
    return fits


def slope_quantities(
    moments: SchoolMoments, part: RandomPart, fits: MixedFits, terms: tuple[str, ...]
) -> dict[str, Floats]:
    """Return the random effects' SDs and correlations, and the residual SD."""
    residual = np.sqrt(fits.sigma2) / moments.scale[:, -1]
    relative = part.relative(fits.theta)
    q = len(terms)
    sd = [np.sqrt(np.maximum(relative[:, i, i], 0.0)) for i in range(q)]
    values = {sd_name(term): sd[i] * residual for i, term in enumerate(terms)}
    for j in range(q):
        for i in range(j):
            both = sd[i] * sd[j]
            values[f"(corr[{terms[i]},{terms[j]}])"] = np.divide(
                relative[:, i, j], both, out=np.full_like(both, np.nan), where=both > 0
            )
    return values | {"(residual_sd)": residual}


def columns_of(moments: SchoolMoments) -> Ints:
    """Return the columns of W that are [X y]."""
    return np.append(moments.x, moments.cross.shape[1] - 1)


def intercept_quantities(moments: SchoolMoments, fits: MixedFits) -> dict[str, Floats]:
    """Return school and residual SD and ICC."""
    residual = np.sqrt(fits.sigma2) / moments.scale[:, -1]
    theta = fits.theta[:, 0]
    return {
        "(school_sd)": theta * residual,
        "(residual_sd)": residual,
        "(icc)": theta**2 / (1.0 + theta**2),
    }


def evidence(moments: SchoolMoments, fits: MixedFits, restricted: bool) -> dict[str, Floats]:
    """Return the log-likelihood in the units of the data, its score and the number of evaluations."""
    return {
        "(loglik)": loglik(moments, fits, restricted),
        "(score)": fits.score,
        "(iterations)": np.where(np.isfinite(fits.criterion), fits.steps, np.nan),
    }


def loglik(moments: SchoolMoments, fits: MixedFits, restricted: bool) -> Floats:
    """Return the log-likelihood [R] with all constants, as lme4 has them.

    The columns of X were multiplied by powers of two and y by another: with |det| of the scaling of X = prod s_j,
    l = -criterion/2 + nu log s_y [+ sum_j log s_j for REML].
    """
    value = -0.5 * fits.criterion + fits.nu * np.log(moments.scale[:, -1])
    if restricted:
        for column in moments.x:
            value = value + np.log(moments.scale[:, column])
    return np.asarray(value)


def estimates_of(
    batch: Batch, model: Model, fit: BatchFit, std_error: Floats, df: Floats, started: float
) -> Estimates:
    """Return finished estimates: t tests, statuses and messages; NaN wherever there is no fit.

    Parameters
    ----------
    std_error, df : float64 [R, K]
    started : float
        `perf_counter` at the start of the work.
    """
    code = fit.fits.code
    none = np.isnan(fit.fits.sigma2)[:, None]
    no_error, no_df = ~(std_error > 0), ~(df > 0)
    estimate, std_error = np.where(none, np.nan, fit.estimate), np.where(none | no_error, np.nan, std_error)
    df = np.where(none | no_df, np.nan, df)
    terms = batch.once(design_of, model).terms
    order = {"": 0}
    status, message = np.zeros(len(code), dtype=np.int8), np.zeros(len(code), dtype=np.int32)
    for c in np.unique(code):
        status[code == c] = OUTCOMES[int(c)][0]
        message[code == c] = order.setdefault(OUTCOMES[int(c)][1], len(order))
    for r in np.flatnonzero(((no_error | no_df) & ~none).any(axis=1)):
        text = without(terms, no_error[r], no_df[r] & ~no_error[r])
        message[r] = order.setdefault(text, len(order))
    return finished(
        batch,
        model,
        started,
        estimate,
        std_error,
        df,
        quantities=fit.quantities,
        status=status,
        said=(message, tuple(order)),
    )


def model_based_errors(fit: BatchFit) -> Floats:
    """Return sqrt(sigma^2 l'(X'V0^-1X)^-1 l) of each term [R, K]."""
    return np.sqrt(fit.unscaled * fit.fits.sigma2[:, None])


def school_level(batch: Batch, model: Model) -> npt.NDArray[np.bool_]:
    """Return which columns of X are constant within every school of a replication [R, p]."""
    return constant_within_schools(batch, batch.once(design_of, model))

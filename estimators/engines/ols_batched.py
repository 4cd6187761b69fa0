"""Batched engines of the least-squares family: one fit from school cross-products, many variances.

OLS, its robust variances, school dummies and school means differ in which cross-products are fitted and in how the
variance is made; so an engine here is a pair (fit, variance), and a batch remembers each fit for all methods that use
it.

Data sets that aren't regular (see `kernels.ols`), and fits whose standard errors vanish, are left to the reference
engine, so that the careful computation and the words about it exist once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
import numpy.typing as npt

from nestbench.estimators.engines.dependent import Fast
from nestbench.estimators.engines.finished import finished
from nestbench.estimators.engines.splice import with_careful
from nestbench.estimators.estimates import Estimates
from nestbench.estimators.estimator import Engine, Options
from nestbench.estimators.kernels import ols, sandwich
from nestbench.estimators.moments.school_moments import SchoolMoments, moments_of
from nestbench.sim.observed.batch import Batch, Floats, Ints
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model
from nestbench.sim.observed.sharing import Price, priced, use

Mask = npt.NDArray[np.bool_]
VANISHES = 1e-6
"""Standard errors below this share of the iid ones are rounding errors."""


@dataclass(frozen=True, slots=True, eq=False)
class BatchOls:
    """Least-squares fits of a batch; shapes as in `kernels.ols.fit`.

    Attributes
    ----------
    moments : SchoolMoments
    cross : float64 [S, d, d]
        What was fitted: the moments' cross-products, or those of deviations or of means.
    answered : bool [R, p]
        Terms the regression has.
    observations, schools : float64 [R]
        N, G of each replication.
    residual_df : float64 [R]
    """

    moments: SchoolMoments
    cross: Floats
    answered: Mask
    observations: Floats
    schools: Floats
    residual_df: Floats
    estimate: Floats
    unscaled: Floats
    lower: Floats
    influence: Floats
    scores: Floats
    rss: Floats
    regular: Mask
    _moved: list[tuple[tuple[Floats, Floats, Mask], Price]] = field(default_factory=list, repr=False)

    @property
    def moves(self) -> tuple[Floats, Floats, Mask]:
        """Variances of what leaving a school out moves [R, p], about 0 and about their mean, and where they are good;
        found once for the methods that are made of them."""
        if not self._moved:
            self._moved.append(priced(self._moves))
        found, price = self._moved[0]
        use(price)
        return found

    def _moves(self) -> tuple[Floats, Floats, Mask]:
        plain, centred = np.empty_like(self.estimate), np.empty_like(self.estimate)
        m, regular = self.moments, self.regular & (self.schools > 1)
        sandwich.leave_one_out(
            self.cross, m.replication_offsets, m.x, m.contrasts, self.scores, plain, centred, regular
        )
        return plain, centred, regular

    @property
    def naive(self) -> Floats:
        """Variances of the terms under iid errors [R, p]."""
        variance = np.empty_like(self.estimate)
        ols.naive_variance(self.unscaled, self.rss, self.residual_df, variance)
        return variance

    @property
    def residual_sd(self) -> Floats:
        """sqrt(RSS / df) [R], in the units of the outcome."""
        with np.errstate(invalid="ignore", divide="ignore"):
            sigma = np.sqrt(self.rss / self.residual_df) / self.moments.scale[:, -1]
        return np.asarray(sigma)


def pooled(batch: Batch, model: Model) -> BatchOls:
    """Return pooled OLS (call it as ``batch.once(pooled, model)``)."""
    moments = batch.once(moments_of, model)
    answered = np.ones(moments.shift.shape, dtype=np.bool_)
    return _fitted(moments, moments.cross, answered, moments.regular, "students", 0)


def within(batch: Batch, model: Model) -> BatchOls:
    """Return the regression with school dummies."""
    moments = batch.once(moments_of, model)
    cross, kept, clear = _like(moments)
    ols.within(moments.cross, moments.replication_offsets, cross, kept, clear)
    # Refined columns are combinations of the terms: which of these are constant in schools can't be seen any more.
    regular = clear & moments.regular & ~moments.refined
    return _fitted(moments, cross, kept[:, moments.x], regular, "students", 1)


def between(batch: Batch, model: Model, weights: str) -> BatchOls:
    """Return the regression of school means, weighted ``"none"`` or by ``"size"``.

    Parameters
    ----------
    batch : Batch
    model : Model
    weights : str
        ``"none"``: every school counts once, and the estimate is of the average school. ``"size"``: of the average
        student.
    """
    moments = batch.once(moments_of, model)
    cross, kept, clear = _like(moments)
    ols.between(moments.cross, moments.replication_offsets, weights == "size", cross, kept, clear)
    regular = clear & moments.regular & ~moments.refined
    return _fitted(moments, cross, kept[:, moments.x], regular, "schools", 0)


def _like(moments: SchoolMoments) -> tuple[Floats, Mask, Mask]:
    """Return room for cross-products like the moments' own, for which columns are kept [R, d], and whether that was
    clear [R].
    """
    replications, d = moments.pivot.shape
    return (
        np.empty_like(moments.cross),
        np.empty((replications, d), dtype=np.bool_),
        np.empty(replications, dtype=np.bool_),
    )


def _fitted(
    moments: SchoolMoments, cross: Floats, answered: Mask, regular: Mask, units: str, dummies: int
) -> BatchOls:
    """Fit cross-products and count degrees of freedom.

    Parameters
    ----------
    moments : SchoolMoments
    cross : float64 [S, d, d]
        What is fitted: the moments' own, or those of deviations or means.
    answered : bool [R, p]
    regular : bool [R]
    units : str
        What an observation is: ``"students"`` or ``"schools"``.
    dummies : int
        Coefficients a school that aren't columns: 1 beside school dummies.
    """
    replications, p = moments.shift.shape
    estimate, unscaled = np.empty((replications, p)), np.empty((replications, p))
    lower, influence = np.empty((replications, p, p)), np.empty((replications, p, p))
    scores, rss = np.empty((len(cross), p)), np.empty(replications)
    rank, regular = np.empty(replications, dtype=np.int64), regular.copy()
    offsets = moments.replication_offsets
    ols.fit(
        cross,
        offsets,
        moments.x,
        moments.contrasts,
        moments.shift,
        estimate,
        unscaled,
        lower,
        influence,
        scores,
        rss,
        rank,
        regular,
    )
    observations = np.add.reduceat(moments.cross[:, 0, 0], offsets[:-1])
    schools = np.diff(offsets).astype(np.float64)
    residual_df = (observations if units == "students" else schools) - rank - dummies * schools
    regular &= (residual_df > 0) & (rank > 0)
    return BatchOls(
        moments,
        cross,
        answered,
        observations,
        schools,
        residual_df,
        estimate,
        unscaled,
        lower,
        influence,
        scores,
        rss,
        regular,
    )


Fit = Callable[[Batch, Model, Options], BatchOls]
Variance = Callable[[BatchOls], tuple[Floats, Floats, Mask]]
"""Variances of the terms [R, p], degrees of freedom (broadcast to [R, p]), and for which replications they are good."""


def iid(fit: BatchOls) -> tuple[Floats, Floats, Mask]:
    """``s^2 (X'X)^-1``, t(residual df)."""
    return fit.naive, fit.residual_df[:, None], fit.regular


def cr0(scaling: str = "") -> Variance:
    """Return CR0, CR1: times ``G/(G-1)``, or CR1S: times ``G/(G-1) (N-1)/(N-p)``; t(G - 1).

    The three share one sum of squared influences; Stata's ``vce(cluster)`` is CR1S with t(G - 1).
    """

    def variance(fit: BatchOls) -> tuple[Floats, Floats, Mask]:
        values = np.empty_like(fit.estimate)
        sandwich.cr0(fit.moments.replication_offsets, fit.influence, fit.scores, values)
        with np.errstate(divide="ignore", invalid="ignore"):
            values *= _scale(fit, scaling)[:, None]
        return values, fit.schools[:, None] - 1.0, fit.regular & (fit.schools > 1)

    return variance


def _scale(fit: BatchOls, scaling: str) -> Floats:
    """Return the small-sample factor of a variance [R]."""
    if not scaling:
        return np.ones_like(fit.schools)
    between_schools = fit.schools / np.maximum(fit.schools - 1.0, 1.0)
    if scaling == "CR1":
        return np.asarray(between_schools)
    return np.asarray(between_schools * ((fit.observations - 1.0) / fit.residual_df))


def cr2(fit: BatchOls) -> tuple[Floats, Floats, Mask]:
    """CR2 with Bell-McCaffrey degrees of freedom."""
    values, df = np.empty_like(fit.estimate), np.empty_like(fit.estimate)
    m, regular = fit.moments, fit.regular & (fit.schools > 1)
    sandwich.cr2(
        fit.cross, m.replication_offsets, m.x, m.contrasts, fit.lower, fit.scores, values, df, regular
    )
    return values, df, regular


def leave_one_out(centred: bool) -> Variance:
    """CR3, or CRV3J when centred; t(G - 1)."""

    def variance(fit: BatchOls) -> tuple[Floats, Floats, Mask]:
        plain, about_mean, regular = fit.moves
        return about_mean if centred else plain, fit.schools[:, None] - 1.0, regular

    return variance


def pooled_fast(variance: Variance) -> Fast:
    """Return the fast fit of a pooled-OLS method."""
    return _fast(lambda batch, model, options: batch.once(pooled, model), variance)


def pooled_engine(variance: Variance, reference: Engine) -> Engine:
    """Return the batched engine of a pooled-OLS method."""
    return with_careful(pooled_fast(variance), reference)


def within_engine(variance: Variance, reference: Engine) -> Engine:
    """Return the batched engine of a method with school dummies; it also gives ``(residual_sd)``."""
    missing = "not estimable beside school dummies: "
    fast = _fast(lambda batch, model, options: batch.once(within, model), variance, missing, residual_sd=True)
    return with_careful(fast, reference, in_parts=False)


def between_engine(variance: Variance, reference: Engine) -> Engine:
    """Return the batched engine of a regression of school means (option ``weights``)."""

    def fit(batch: Batch, model: Model, options: Options) -> BatchOls:
        return batch.once(between, model, options["weights"])

    fast = _fast(fit, variance, "varies within schools, left out of the school means: ")
    return with_careful(fast, reference, in_parts=False)


def _fast(fit_batch: Fit, variance: Variance, missing: str = "", residual_sd: bool = False) -> Fast:
    """Return the fast fit of a fit and a variance: no answer where the variance isn't good, vanishes beside the iid
    one, or is infinite.

    Parameters
    ----------
    fit_batch : (batch, model, options) -> BatchOls
    variance : BatchOls -> (variances, df, good)
    missing : str
        What to say, before their names, of terms that the regression doesn't have.
    residual_sd : bool
        Whether ``(residual_sd)`` is one of its quantities.
    """

    def fast(batch: Batch, model: Model, options: Options) -> tuple[Estimates, Ints]:
        started = perf_counter()
        fit = fit_batch(batch, model, options)
        values, df, regular = variance(fit)
        good = regular & ((values > VANISHES**2 * fit.naive) | ~fit.answered).all(axis=1)
        # A NaN isn't below infinity either.
        good &= (values < np.inf).all(axis=1, where=fit.answered)
        none = ~fit.answered
        estimate, std_error, dfs = (
            fit.estimate,
            np.sqrt(np.maximum(values, 0.0)),
            np.broadcast_to(df, values.shape),
        )
        if none.any():
            estimate, std_error, dfs = (np.where(none, np.nan, part) for part in (estimate, std_error, dfs))
        estimates = finished(
            batch,
            model,
            started,
            estimate,
            std_error,
            np.ascontiguousarray(dfs),
            quantities={"(residual_sd)": fit.residual_sd} if residual_sd else {},
            said=_messages(batch.once(design_of, model).terms, fit.answered, missing),
        )
        return estimates, np.flatnonzero(~good)

    return fast


def _messages(
    terms: Sequence[str], answered: Mask, words: str
) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
    """Return message codes [R] and texts: which terms a regression does not have."""
    if answered.all():
        return np.zeros(len(answered), dtype=np.int32), ("",)
    patterns, inverse = np.unique(answered, axis=0, return_inverse=True)
    texts = [
        words + ", ".join(term for term, yes in zip(terms, pattern, strict=True) if not yes)
        if not pattern.all()
        else ""
        for pattern in patterns
    ]
    known = ("", *[text for text in texts if text])
    codes: Ints = np.array([known.index(text) for text in texts])
    return codes[inverse.ravel()].astype(np.int32), known

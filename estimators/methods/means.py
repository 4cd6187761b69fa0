"""Regression of school means on school-level columns: one observation a school, no nesting left.

``mean(y)_g = x_g'beta + v_g`` with x_g the columns that are constant within every school. Unweighted it targets the
average school, weighted by size the average student. Student-level terms are left out and have no answer here.

The variance is pooled, ``s^2 (X'WX)^-1`` with ``s^2 = sum w e^2 / (G - p)``, or HC2, ``M [sum_g w_g^2 e_g^2 x_g x_g' /
(1 - h_g)] M`` with M = (X'WX)^-1 and leverages ``h_g = w_g x_g'M x_g`` (MacKinnon & White 1985): of two arms the
unpooled variance of a difference of means. Both use t(G - p).
"""

from __future__ import annotations

import numpy as np

from nestbench.estimators.engines import mixed_fit, ols_batched
from nestbench.estimators.engines.estimable import estimable
from nestbench.estimators.engines.least_squares import require_residuals
from nestbench.estimators.engines.reference import (
    Answer,
    CannotFit,
    DataSet,
    Screened,
    names_of,
    reference_engine,
)
from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.estimators.estimator import Agreement, Estimator, Info, Options
from nestbench.sim.observed.batch import Batch, Floats
from nestbench.sim.observed.model import Model

CHOICES = {"weights": ("none", "size"), "variance": ("pooled", "hc2")}
"""What each option may be, the default first."""

LEVERAGE = 1e-9
"""A school with 1 - h below this has leverage 1: it alone identifies a term."""


def school_level(data: DataSet) -> Screened:
    """Screen for methods on school means: terms constant within schools, and estimable from one row a school."""
    constant = data.school_constant()
    columns = np.flatnonzero(constant)
    intercept = None if data.intercept is None else int(np.flatnonzero(columns == data.intercept)[0])
    fine, kept = estimable(data.x[data.starts][:, columns], intercept)
    answer = np.zeros(len(constant), dtype=bool)
    answer[columns[fine]] = True
    parts = []
    if not constant.all():
        parts.append(
            f"varies within schools, left out of the school means: {names_of(data.terms, ~constant)}"
        )
    if not fine.all():
        lost = names_of([data.terms[c] for c in columns], ~fine)
        parts.append(f"not estimable, columns are linearly dependent: {lost}")
    status = FitStatus.OK if fine.all() else FitStatus.SINGULAR
    return Screened(columns[kept], answer, status, "; ".join(parts))


def fit_means(data: DataSet) -> Answer:
    """(Weighted) least squares on school means, pooled or HC2 variance, t(G - p), p school-level terms.

    Parameters
    ----------
    data : DataSet
        Its options: ``weights``, ``"none"`` (schools count alike) or ``"size"`` (students do); ``variance``,
        ``"pooled"`` or ``"hc2"``.

    Raises
    ------
    CannotFit
        No school-level term, or no more schools than school-level terms.
    """
    from statsmodels.regression.linear_model import WLS

    g, p = data.schools, data.x.shape[1]
    if not p:
        raise CannotFit("no term is constant within schools")
    if g <= p:
        raise CannotFit(f"no residual degrees of freedom: {g} schools, {p} school-level coefficients")
    inner, back, shift = data.standardised()
    y, x = inner.school_means(inner.y), inner.x[data.starts]
    w = data.sizes.astype(np.float64) if data.options["weights"] == "size" else np.ones(g)
    result = WLS(y, x, weights=w, hasconst=data.intercept is not None).fit()
    require_residuals(result.resid, data.y)
    estimate = back @ result.params + shift

    def errors(covariance: Floats) -> Floats:
        """Return standard errors of the terms as named from a covariance in standardised columns."""
        return np.asarray(np.sqrt(np.diag(back @ covariance @ back.T)))

    if data.options["variance"] == "pooled":
        return Answer(estimate, errors(result.cov_params()), result.df_resid)
    q = np.linalg.qr(x * np.sqrt(w)[:, None])[0]
    if ((q**2).sum(axis=1) > 1.0 - LEVERAGE).any():
        raise CannotFit("HC2 is not defined: a school has leverage 1")
    return Answer(estimate, errors(result.cov_HC2), result.df_resid)


def hc2(fit: ols_batched.BatchOls) -> tuple[Floats, Floats, ols_batched.Mask]:
    """HC2 variances of the terms [R, p], t(G - p); not where a school has leverage 1.

    A school with leverage 1 is fitted exactly, whatever its outcome; HC2 divides its residual of 0 by 0.
    """
    m = fit.moments
    of = np.repeat(np.arange(len(fit.estimate)), np.diff(m.replication_offsets))
    good = fit.regular.copy()
    inverse = np.zeros_like(fit.influence)
    # influence = contrasts (X'WX)^-1: back to the pivoted, scaled columns that the cross-products are of.
    inverse[good] = np.linalg.solve(m.contrasts[good], fit.influence[good])
    grams = fit.cross[:, m.x[:, None], m.x]
    rest = 1.0 - np.einsum("sij,sji->s", inverse[of], grams)
    good &= np.minimum.reduceat(rest, m.replication_offsets[:-1]) > LEVERAGE
    psi = np.einsum("sij,sj->si", fit.influence[of], fit.scores)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.add.reduceat(psi**2 / rest[:, None], m.replication_offsets[:-1], axis=0)
    return values, fit.residual_df[:, None], good


_REFERENCE = reference_engine(fit_means, screen=school_level)

_BATCHED = {
    "pooled": ols_batched.between_engine(ols_batched.iid, _REFERENCE),
    "hc2": ols_batched.between_engine(hc2, _REFERENCE),
}


def fit_means_batched(batch: Batch, model: Model, options: Options) -> Estimates:
    """Fit from school cross-products."""
    return _BATCHED[options["variance"]](batch, model, options)


FORMULA = (
    r"\bar y_g = x_g^\top\beta + v_g, \quad x_g \text{ constant within schools}",
    r"\hat\beta = M \sum_g w_g x_g \bar y_g, \quad M = \left(\sum_g w_g x_g x_g^\top\right)^{-1}, "
    r"\quad w_g = 1 \text{ or } n_g",
    r"\operatorname{Var}(\hat\beta) = s^2 M, \quad s^2 = \frac{\sum_g w_g e_g^2}{G - p} \quad \text{(pooled)}",
    r"\operatorname{Var}(\hat\beta) = M \left[\sum_g \frac{w_g^2 e_g^2}{1 - h_g}\, x_g x_g^\top\right] M, "
    r"\quad h_g = w_g x_g^\top M x_g \quad \text{(hc2)}",
    r"\nu = G - p",
)

MEANS = Estimator(
    name="means",
    version=1,
    info=Info(
        label="School means",
        summary="regression of school means on school-level terms (weights: none or size; variance: pooled or hc2)",
        assumes="equal variance of school means (equal sizes, or little residual variance); not with variance = hc2",
        df="G - p",
        source="summary-measures analysis; Donner & Klar 2000",
        formula=FORMULA,
    ),
    reference=_REFERENCE,
    batched=fit_means_batched,
    agreement=Agreement.DIRECT,
    options={name: choices[0] for name, choices in CHOICES.items()},
    regressed=mixed_fit.school_level,
    choices=CHOICES,
)

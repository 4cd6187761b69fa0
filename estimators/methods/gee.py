"""Generalised estimating equations with an exchangeable working correlation, identity link.

``sum_g X_g' R_g(alpha)^-1 (y_g - X_g beta) = 0`` with R_g the equicorrelation matrix; alpha and the scale are moment
estimates from residual products, with statsmodels' N - p and pairs - p denominators. Standard errors are the sandwich
(`robust`) or Mancl and DeRouen's, whose residuals are multiplied by ``(I - H_gg)^-1``: terms that need one of the
schools do not have those. Always normal reference.
"""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

import numpy as np
import numpy.typing as npt

from nestbench.estimators.engines.cluster_robust import (
    SINGULAR,
    blocks_of,
    coefficients,
    dwarfed,
    require_schools,
    sandwich_answer,
    unidentified,
)
from nestbench.estimators.engines.finished import finished
from nestbench.estimators.engines.identified import require_levels
from nestbench.estimators.engines.least_squares import least_squares
from nestbench.estimators.engines.ols_batched import VANISHES, pooled
from nestbench.estimators.engines.reference import Answer, CannotFit, DataSet, FitOne, reference_engine
from nestbench.estimators.engines.splice import with_careful
from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.estimators.estimator import Agreement, Engine, Estimator, Info, Options
from nestbench.estimators.kernels.gee import exchangeable
from nestbench.estimators.moments.school_moments import moments_of
from nestbench.sim.observed.batch import Batch, Floats, Ints
from nestbench.sim.observed.model import Model


def fit_gee(cov_type: str) -> FitOne:
    """Return the method for statsmodels' `cov_type` ``robust`` or ``bias_reduced``.

    statsmodels stops when the norm of its score is below an absolute bound. So it is given standardised columns, and
    the OLS residuals over their SD as outcome: the estimating equations are equivariant, and units no longer matter.
    """

    def fit(data: DataSet) -> Answer:
        """Fit by statsmodels' GEE, and take out the terms that need a single school."""
        from statsmodels.genmod.cov_struct import Exchangeable
        from statsmodels.genmod.generalized_estimating_equations import GEE

        require_schools(data)
        require_levels(data)
        require_pairs(data)
        corrected = cov_type == "bias_reduced"
        inner, back, shift = data.standardised()
        ols = least_squares(inner, data.y)
        unit = float(np.sqrt(ols.scale))
        model = GEE(ols.resid / unit, inner.x, data.groups, cov_struct=Exchangeable())
        # The OLS solution, as the outcome are OLS residuals: both engines begin at alpha = 0.
        start = np.zeros(data.x.shape[1])
        blocks = blocks_of(inner)
        needs = corrected and bool(blocks.needs_a_school.any())
        # statsmodels solves with I - H_gg for its correction, which is singular where a school identifies a direction.
        kind = "robust" if needs else cov_type
        # `ctol` bounds the norm of a score that is a sum over students: it has to grow with them.
        result = model.fit(maxiter=200, ctol=1e-12 * len(data.y), start_params=start, cov_type=kind)
        beta = back @ (ols.params + unit * result.params) + shift
        std_error = unit * np.sqrt(np.diag(back @ result.cov_params() @ back.T))
        require_correlation(float(result.cov_struct.dep_params), data)
        if needs:
            residuals = ols.resid - unit * inner.x @ result.params
            std_error = _without_a_school(inner, residuals, float(result.cov_struct.dep_params), back)
        _, _, naive = coefficients(ols, back)
        answer = sandwich_answer(
            data.terms, beta, std_error, naive, np.inf, icc=float(result.cov_struct.dep_params)
        )
        if needs:
            answer = unidentified(answer, data.terms, blocks.needed_by(back) | dwarfed(data, blocks))
        return answer if result.converged else replace(answer, status=FitStatus.NOT_CONVERGED)

    return fit


def _without_a_school(data: DataSet, residuals: Floats, alpha: float, back: Floats) -> Floats:
    """Return Mancl and DeRouen's standard errors by v_g = (A - A_g)^+ u_g, for terms that need no single school."""
    schools = np.split(np.arange(len(residuals)), data.starts[1:])
    parts, scores = [], []
    for rows in schools:
        work = np.linalg.inv((1.0 - alpha) * np.eye(len(rows)) + alpha)
        parts.append(data.x[rows].T @ work @ data.x[rows])
        scores.append(data.x[rows].T @ work @ residuals[rows])
    whole = np.sum(parts, axis=0)
    moves = [
        back @ np.linalg.pinv(whole - part, rcond=SINGULAR, hermitian=True) @ score
        for part, score in zip(parts, scores, strict=True)
    ]
    return np.asarray(np.sqrt(np.sum(np.square(moves), axis=0)))


def gee_engine(corrected: bool, reference: Engine) -> Engine:
    """Return the batched engine; data that aren't regular and vanishing standard errors are left to the reference."""

    def fast(batch: Batch, model: Model, options: Options) -> tuple[Estimates, Ints]:
        """Iterate to the fixed point of alpha from school cross-products."""
        started = perf_counter()
        moments, ols = batch.once(moments_of, model), batch.once(pooled, model)
        estimate, variance = np.full_like(moments.shift, np.nan), np.full_like(moments.shift, np.nan)
        alpha, regular = np.full(batch.size, np.nan), np.zeros(batch.size)
        exchangeable(
            moments.cross,
            moments.replication_offsets,
            moments.x,
            moments.contrasts,
            moments.shift,
            corrected,
            estimate,
            variance,
            alpha,
            regular,
        )
        good = (
            (regular > 0)
            & between_schools(batch, model)
            & ols.regular
            & (ols.schools > 1)
            & (variance > VANISHES**2 * ols.naive).all(axis=1)
        )
        std_error, df = np.sqrt(variance), np.full_like(variance, np.inf)
        estimates = finished(batch, model, started, estimate, std_error, df, quantities={"(icc)": alpha})
        return estimates, np.flatnonzero(~good)

    return with_careful(fast, reference)


def between_schools(batch: Batch, model: Model) -> npt.NDArray[np.bool_]:
    """Return which data sets [R] have degrees of freedom between schools, as `identified.require_levels` asks.

    With more schools than columns they have; else the columns X may span all school indicators d_g:
    ``sum_g d_g' X (X'X)^-1 X' d_g = n``.
    """
    moments, ols = batch.once(moments_of, model), batch.once(pooled, model)
    enough = ols.schools > len(moments.x)
    for r in np.flatnonzero(~enough & ols.regular):
        cross = moments.cross[slice(*moments.replication_offsets[r : r + 2])]
        totals, gram = cross[:, 0, moments.x], cross.sum(axis=0)[np.ix_(moments.x, moments.x)]
        n = cross[:, 0, 0].sum()
        enough[r] = n - float(np.sum(totals * np.linalg.solve(gram, totals.T).T)) > 1e-8 * n
    return enough


def require_pairs(data: DataSet) -> None:
    """Raise `CannotFit` unless alpha's denominator, pairs of students in one school less p, is positive.

    With one student a school there are no pairs, and no correlation to be estimated; statsmodels would divide by -p.
    """
    pairs, p = float((data.sizes * (data.sizes - 1.0)).sum() / 2.0), data.x.shape[1]
    if pairs <= p:
        raise CannotFit(
            f"the working correlation needs more than {p} pairs of students in one school, got {pairs:g}"
        )


def require_correlation(alpha: float, data: DataSet) -> None:
    """Raise `CannotFit` where the moment estimate makes R_g no correlation matrix; statsmodels goes on with it."""
    lowest = -1.0 / max(int(data.sizes.max()) - 1, 1)
    if not lowest < alpha < 1.0:
        raise CannotFit(
            "the estimated working correlation is none: it makes the covariance of a school indefinite"
        )


REFERENCE_Z = reference_engine(fit_gee("robust"), quantities=("(icc)",))
REFERENCE_MD_Z = reference_engine(fit_gee("bias_reduced"), quantities=("(icc)",))

EQUATIONS = (
    r"\sum_g X_g^\top R_g^{-1} (y_g - X_g\hat\beta) = 0, \quad R_g = (1 - \alpha) I + \alpha\, 1 1^\top",
    r"\alpha = \frac{\sum_g \sum_{i < k} e_{gi} e_{gk}}{\phi \left(\sum_g n_g (n_g - 1) / 2 - p\right)}, "
    r"\quad \phi = \frac{e^\top e}{N - p}",
)
SANDWICH = (
    r"\operatorname{Var}(\hat\beta) = B \left[\sum_g X_g^\top R_g^{-1} r_g r_g^\top R_g^{-1} X_g\right] B, "
    r"\quad B = \left(\sum_g X_g^\top R_g^{-1} X_g\right)^{-1}"
)

GEE_Z = Estimator(
    name="gee-z",
    version=2,
    info=Info(
        label="GEE z",
        summary="GEE, exchangeable working correlation, robust sandwich",
        assumes="many schools; schools independent of each other",
        df="inf (z)",
        source="Liang & Zeger 1986; statsmodels GEE",
        formula=(*EQUATIONS, SANDWICH.replace("r_g", "e_g"), r"\nu = \infty"),
    ),
    reference=REFERENCE_Z,
    batched=gee_engine(corrected=False, reference=REFERENCE_Z),
    agreement=Agreement.DIRECT,
)
GEE_MD_Z = Estimator(
    name="gee-md-z",
    version=2,
    info=Info(
        label="GEE Mancl-DeRouen z",
        summary="GEE, exchangeable, sandwich with the Mancl-DeRouen correction for few schools",
        assumes="schools independent of each other",
        df="inf (z)",
        source="Mancl & DeRouen 2001; statsmodels cov_type='bias_reduced'",
        formula=(
            *EQUATIONS,
            SANDWICH,
            r"r_g = (I - H_{gg})^{-1} e_g, \quad H_{gg} = X_g B X_g^\top R_g^{-1}",
            r"\nu = \infty",
        ),
    ),
    reference=REFERENCE_MD_Z,
    batched=gee_engine(corrected=True, reference=REFERENCE_MD_Z),
    agreement=Agreement.DIRECT,
)

"""OLS with heteroskedasticity-robust standard errors: robust to unequal variances, not to nesting.

``Var = (X'X)^-1 [sum_i w_i e_i^2 x_i x_i'] (X'X)^-1`` with w = N/(N - p) (HC1), 1/(1 - h_i) (HC2), 1/(1 - h_i)^2
(HC3); h_i are leverages. They need every student's residual: the fast engine takes the coefficients from school
cross-products and goes through the rows once.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from nestbench.estimators.engines import ols_batched
from nestbench.estimators.engines.least_squares import LEAST_SQUARES, least_squares
from nestbench.estimators.engines.ols_batched import BatchOls, Mask
from nestbench.estimators.engines.reference import Answer, CannotFit, DataSet, FitOne, reference_engine
from nestbench.estimators.engines.splice import with_careful
from nestbench.estimators.estimates import Estimates
from nestbench.estimators.estimator import Agreement, Engine, Estimator, Info, Options
from nestbench.estimators.kernels import hc
from nestbench.sim.observed.batch import Batch, Floats, Ints
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model


def fit_hc(kind: str) -> FitOne:
    """Return the method for one of HC1, HC2, HC3."""

    def fit(data: DataSet) -> Answer:
        """Fit by statsmodels on standardised columns."""
        inner, back, shift = data.standardised()
        result = least_squares(inner, data.y)
        # A leverage of 1 divides a residual of 0 by 0, which is told below in words.
        with np.errstate(divide="ignore", invalid="ignore"):
            std_error = np.sqrt(np.diag(back @ getattr(result, f"cov_{kind}") @ back.T))
        if not np.isfinite(std_error).all():
            raise CannotFit(f"{kind} is not defined: an observation has leverage 1")
        return Answer(back @ result.params + shift, std_error, result.df_resid)

    return fit


POWERS = {"HC1": 0, "HC2": 1, "HC3": 2}
"""Of 1 / (1 - h_i)."""


def batched_engine(kind: str, reference: Engine) -> Engine:
    """Return the engine that fits from cross-products and reads the rows once."""

    def fast(batch: Batch, model: Model, options: Options) -> tuple[Estimates, Ints]:
        """Fit; data that aren't regular, nearly dependent or with a leverage of 1 are the reference's."""
        return ols_batched.pooled_fast(partial(_variance, batch, model, kind))(batch, model, options)

    return with_careful(fast, reference)


def _variance(batch: Batch, model: Model, kind: str, fit: BatchOls) -> tuple[Floats, Floats, Mask]:
    """Return variances [R, p], N - p, and for which replications they are good."""
    m, design = fit.moments, batch.once(design_of, model)
    values, regular = np.empty_like(fit.estimate), fit.regular & ~m.refined
    hc.variances(
        design.fixed(batch),
        design.outcome(batch),
        batch.row_offsets,
        fit.cross,
        m.replication_offsets,
        m.x,
        m.pivot,
        m.scale,
        fit.lower,
        fit.influence,
        POWERS[kind],
        values,
        regular,
    )
    if kind == "HC1":
        with np.errstate(divide="ignore", invalid="ignore"):
            values *= (fit.observations / fit.residual_df)[:, None]
    return values, fit.residual_df[:, None], regular


SANDWICH = r"\operatorname{Var}(\hat\beta) = M \left[\sum_{i=1}^{N} w_i\, e_i^2\, x_i x_i^\top\right] M"
WEIGHTS = {
    "HC1": r"w_i = \frac{N}{N - p}",
    "HC2": r"w_i = \frac{1}{1 - h_i}, \quad h_i = x_i^\top M x_i",
    "HC3": r"w_i = \frac{1}{(1 - h_i)^2}, \quad h_i = x_i^\top M x_i",
}


def _estimator(kind: str, summary: str, source: str) -> Estimator:
    """Return one of the HC methods."""
    reference = reference_engine(fit_hc(kind))
    return Estimator(
        name=f"ols-{kind.lower()}",
        version=2,
        reads_rows=True,
        info=Info(
            label=f"OLS {kind}",
            summary=f"pooled least squares, {kind}: {summary}",
            assumes="independent errors; unequal variances allowed",
            df="N - p",
            source=source,
            formula=(LEAST_SQUARES, SANDWICH, WEIGHTS[kind], r"\nu = N - p"),
        ),
        reference=reference,
        batched=batched_engine(kind, reference),
        agreement=Agreement.DIRECT,
    )


HC1 = _estimator("HC1", "squared residuals times N/(N - p)", "MacKinnon & White 1985")
HC2 = _estimator("HC2", "squared residuals over 1 - leverage", "MacKinnon & White 1985")
HC3 = _estimator(
    "HC3", "squared residuals over (1 - leverage)^2", "MacKinnon & White 1985; Long & Ervin 2000"
)

"""What the design says about a cluster-robust fit before any simulation does: from school cross-products.

With M = (X'X)^-1, c the contrast of a term, A_g = X_g'X_g, s_g = X_g'1 and rho the ANOVA estimate of the intraclass
correlation of the OLS residuals,

- ``gamma_g = (1 - rho) c'M A_g M c + rho (c'M s_g)^2`` is the school's part of the term's variance;
- ``(design_effect:term)`` is ``sum gamma_g / c'M c``: by what the iid variance is wrong (Moulton);
- ``(effective_clusters:term)`` is ``G / (1 + Gamma)``, Gamma the squared coefficient of variation of the gamma_g: a
  cluster-robust t statistic behaves as with so many equal schools (Carter, Schnepel & Steigerwald 2017);
- ``(max_leverage)`` is ``max_g tr(M A_g)``, whose mean is p / G (MacKinnon, Nielsen & Webb 2023);
- ``(residual_icc)`` is rho, at least 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nestbench.estimators.estimates import Estimates
from nestbench.estimators.estimator import Engine, Estimator, Options
from nestbench.estimators.moments.school_moments import moments_of
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Batch, Floats, Ints
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model


@dataclass(frozen=True, slots=True, eq=False)
class Diagnosis:
    """Diagnostics of one data set; arrays over the terms [p]."""

    effective_clusters: Floats
    design_effect: Floats
    max_leverage: float
    residual_icc: float


def diagnose(cross: Floats, x: Ints, contrasts: Floats) -> Diagnosis:
    """Return the diagnostics of one data set of full rank.

    Parameters
    ----------
    cross : float64 [G, d, d]
        School cross-products, as in `SchoolMoments`.
    x : int64 [p]
        Columns of X.
    contrasts : float64 [p, p]
        Terms as named from the columns of X.
    """
    grams, sums, sizes = cross[:, x[:, None], x], cross[:, 0, x], cross[:, 0, 0]
    inverse = np.linalg.inv(grams.sum(axis=0))
    rows = contrasts @ inverse
    rho = _residual_icc(cross, x, inverse)
    within = np.einsum("ki,gij,kj->gk", rows, grams, rows)
    gamma = (1.0 - rho) * within + rho * (sums @ rows.T) ** 2
    mean = gamma.mean(axis=0)
    return Diagnosis(
        len(sizes) / (1.0 + ((gamma / mean - 1.0) ** 2).mean(axis=0)),
        gamma.sum(axis=0) / within.sum(axis=0),
        float(np.einsum("ij,gji->g", inverse, grams).max()),
        rho,
    )


def _residual_icc(cross: Floats, x: Ints, inverse: Floats) -> float:
    """Return the ANOVA estimate of the intraclass correlation of the OLS residuals, 0 where it would be negative."""
    y = cross.shape[1] - 1
    beta = inverse @ cross[:, x, y].sum(axis=0)
    contrast = np.zeros(y + 1)
    contrast[x], contrast[y] = -beta, 1.0
    sizes, sums = cross[:, 0, 0], cross[:, 0] @ contrast
    squares = np.einsum("i,gij,j->g", contrast, cross, contrast)
    students, schools = sizes.sum(), len(sizes)
    if students <= schools or schools < 2:
        return 0.0
    within = float((squares - sums**2 / sizes).sum()) / (students - schools)
    between = float((sums**2 / sizes).sum()) / (schools - 1)
    # n_0 of the unbalanced one-way ANOVA; the size itself where all schools are alike.
    typical = float(students - (sizes**2).sum() / students) / (schools - 1)
    variance = max((between - within) / typical, 0.0)
    return variance / (variance + within) if variance + within > 0 else 0.0


def diagnostics_of(batch: Batch, model: Model) -> dict[str, Floats]:
    """Return the diagnostics of a batch by quantity [R] (call it as ``batch.once(diagnostics_of, model)``).

    NaN where X is not of full rank.
    """
    moments, terms = batch.once(moments_of, model), batch.once(design_of, model).terms
    names = [f"(effective_clusters:{term})" for term in terms] + [f"(design_effect:{term})" for term in terms]
    values = np.full((batch.size, len(names) + 2), np.nan)
    for r in np.flatnonzero(moments.regular):
        schools = moments.cross[slice(*moments.replication_offsets[r : r + 2])]
        one = diagnose(schools, moments.x, moments.contrasts[r])
        values[r] = [*one.effective_clusters, *one.design_effect, one.max_leverage, one.residual_icc]
    every = [*names, "(max_leverage)", "(residual_icc)"]
    return {name: np.ascontiguousarray(values[:, k]) for k, name in enumerate(every)}


def diagnosed(estimator: Estimator) -> Estimator:
    """Return the method with the option `diagnostics`, off by default, that adds these quantities to its fits."""

    def wrap(engine: Engine | None) -> Engine | None:
        if engine is None:
            return None
        inner = engine

        def fit(batch: Batch, model: Model, options: Options) -> Estimates:
            asked = options["diagnostics"]
            if not isinstance(asked, bool):
                raise InvalidInput(
                    f"expected diagnostics to be true or false, got {asked!r}; e.g. diagnostics = true"
                )
            estimates = inner(batch, model, options)
            if not asked:
                return estimates
            added = batch.once(diagnostics_of, model)
            return replace(estimates, quantities={**estimates.quantities, **added})

        return fit

    return replace(
        estimator,
        reference=wrap(estimator.reference),
        batched=wrap(estimator.batched),
        options={**estimator.options, "diagnostics": False},
    )

"""glmm: a linear mixed model with Satterthwaite tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nestbench.league.asked import BY_TERM
from nestbench.league.package import Package, Way, mixed

if TYPE_CHECKING:
    import pandas as pd

    from nestbench.league.asked import Answer, Asked


def lmm(data: pd.DataFrame, asked: Asked) -> Answer:
    """Fit ``glmm.fit`` and read coefficients, variances and the log-likelihood."""
    import glmm

    fit = glmm.fit(data, asked.lme4)
    ends = fit.confint(asked.level)
    values = {
        "estimate": fit.beta,
        "std_error": fit.se,
        "df": fit.coef_df,
        "p_value": fit.coef_p,
        "lower": ends[:, 0],
        "upper": ends[:, 1],
    }
    # Of each group the lower triangle of its covariance, row by row.
    blocks = {group: entries for (group, _), entries in zip(fit.re_groups, fit.varcorr, strict=True)}
    own = blocks[asked.group]
    variance = {"school": float(own[0]), "residual": float(fit.dispersion)}
    if asked.slope:
        variance |= {"slope": float(own[2]), "covariance": float(own[1])}
    if asked.subgroup:
        variance["class"] = next(float(e[0]) for group, e in blocks.items() if group != asked.group)
    return {
        **{name: dict(zip(fit.names, map(float, column), strict=True)) for name, column in values.items()},
        "variance": variance,
        "loglik": float(fit.loglik),
        "converged": bool(fit.converged),
    }


PACKAGE = Package(
    "glmm",
    "glmm",
    "glmm",
    (
        Way(
            "lmm",
            lmm,
            mixed("reml-satt", "nested-satt"),
            "REML maximum; SE from sigma^2 (X'V^-1X)^-1; Satterthwaite df as lmerTest",
            (*BY_TERM, "variance", "loglik"),
        ),
    ),
)

"""mixedlm-rs: ``mixedlm`` after statsmodels' interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nestbench.league.package import Package, Way, mixed

if TYPE_CHECKING:
    import pandas as pd

    from nestbench.league.asked import Answer, Asked


def fit(data: pd.DataFrame, asked: Asked) -> Answer:
    """Fit ``mixedlm`` and read its fixed effects, covariance and log-likelihood."""
    import mixedlm_rs

    model = mixedlm_rs.mixedlm(
        asked.formula, data, groups=asked.group, re_formula=f"~ {asked.slope}" if asked.slope else None
    )
    result = model.fit()
    names, ends = list(result.fe_params_labelled.index), result.conf_int(alpha=1.0 - asked.level)
    # Its p-values and intervals have rows for the variance parameters behind those of the coefficients.
    values = {
        "estimate": result.fe_params,
        "std_error": result.bse_fe,
        "p_value": result.pvalues[: len(names)],
        "lower": ends[: len(names), 0],
        "upper": ends[: len(names), 1],
    }
    variance = {"school": float(result.cov_re[0, 0]), "residual": float(result.scale)}
    if asked.slope:
        variance |= {"slope": float(result.cov_re[1, 1]), "covariance": float(result.cov_re[1, 0])}
    return {
        **{name: dict(zip(names, map(float, column), strict=True)) for name, column in values.items()},
        "variance": variance,
        "loglik": float(result.llf),
        "converged": bool(result.converged),
    }


PACKAGE = Package(
    "mixedlm-rs",
    "mixedlm-rs",
    "mixedlm_rs",
    (
        Way(
            "mixedlm",
            fit,
            mixed("reml-z"),
            "REML maximum; SE from sigma^2 (X'V^-1X)^-1; normal reference",
            ("estimate", "std_error", "p_value", "lower", "upper", "variance", "loglik"),
        ),
    ),
)

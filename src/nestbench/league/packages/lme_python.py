"""lme-python: ``lmer`` with Satterthwaite and with Kenward-Roger tests."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from nestbench.league.asked import BY_TERM
from nestbench.league.package import Package, Way, mixed

if TYPE_CHECKING:
    import pandas as pd

    from nestbench.league.asked import Answer, Asked


def lmer(data: pd.DataFrame, asked: Asked, method: str) -> Answer:
    """Fit ``lmer``, add the tests of a method, read the fit's fields."""
    import lme_python

    fit = lme_python.lmer(asked.lme4, data=data, reml=True)
    getattr(fit, f"with_{method}")(data)
    names, ends = fit.fixed_names, fit.confint(asked.level)
    values = {
        "estimate": fit.coefficients,
        "std_error": fit.std_errors,
        "df": getattr(fit, f"{method}_dfs"),
        "p_value": getattr(fit, f"{method}_p_values"),
        "lower": ends.lower,
        "upper": ends.upper,
    }
    variance = {"residual": float(fit.sigma2)}
    for group, one, other, value, _ in fit.var_corr:
        if group == asked.group and one == other:
            variance["school" if one == "(Intercept)" else "slope"] = float(value)
        elif group == asked.group:
            variance["covariance"] = float(value)
        elif group != "Residual":
            variance["class"] = float(value)
    return {
        **{name: dict(zip(names, map(float, column), strict=True)) for name, column in values.items()},
        "variance": variance,
        "loglik": float(fit.log_likelihood),
        "converged": bool(fit.converged),
    }


ALL = (*BY_TERM, "variance", "loglik")

PACKAGE = Package(
    "lme-python",
    "lme-python",
    "lme_python",
    (
        Way(
            "lmer",
            partial(lmer, method="satterthwaite"),
            mixed("reml-satt", "nested-satt"),
            "REML maximum; SE from sigma^2 (X'V^-1X)^-1; Satterthwaite df as lmerTest",
            ALL,
        ),
        Way(
            "lmer Kenward-Roger",
            partial(lmer, method="kenward_roger"),
            mixed("reml-kr"),
            "REML maximum; df, and p and intervals with adjusted SE, of Kenward and Roger (1997) as pbkrtest (its "
            "std_errors stay those without adjustment and are not judged here)",
            tuple(name for name in ALL if name != "std_error"),
        ),
    ),
)

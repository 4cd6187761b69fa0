"""pyfixest: ``feols`` with cluster-robust variances."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from nestbench.league.asked import BY_TERM
from nestbench.league.package import Package, Setting, Way, same, scaled_errors

if TYPE_CHECKING:
    import pandas as pd

    from nestbench.league.asked import Answer, Asked


def feols(data: pd.DataFrame, asked: Asked, kind: str) -> Answer:
    """Fit ``feols`` with a variance clustered by school."""
    import pyfixest

    fit = pyfixest.feols(asked.formula, data=data, vcov={kind: asked.group})
    ends = fit.confint(alpha=1.0 - asked.level)
    return {
        "estimate": fit.coef().to_dict(),
        "std_error": fit.se().to_dict(),
        "p_value": fit.pvalue().to_dict(),
        "lower": ends.iloc[:, 0].to_dict(),
        "upper": ends.iloc[:, 1].to_dict(),
    }


def crv3_factor(setting: Setting) -> float:
    """Return pyfixest's default correction of CRV3: G/(G-1) (N-1)/(N-p)."""
    n, g, p = setting.students, setting.schools, setting.terms
    return g / (g - 1.0) * (n - 1.0) / (n - p)


CLAIMS = tuple(name for name in BY_TERM if name != "df")

PACKAGE = Package(
    "pyfixest",
    "pyfixest",
    "pyfixest",
    (
        Way(
            "feols CRV1",
            partial(feols, kind="CRV1"),
            same("ols-cr1s-t"),
            "CR1S: G/(G-1) (N-1)/(N-p); t(G - 1)",
            CLAIMS,
        ),
        Way(
            "feols CRV3",
            partial(feols, kind="CRV3"),
            same("ols-cr3-t"),
            "CR3 times G/(G-1) (N-1)/(N-p); t(G - 1)",
            CLAIMS,
            scaled_errors(crv3_factor),
        ),
    ),
)

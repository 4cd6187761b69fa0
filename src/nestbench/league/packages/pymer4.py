"""pymer4: R's ``lmerTest::lmer`` called from Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nestbench.league.asked import BY_TERM
from nestbench.league.package import Package, Way, mixed

if TYPE_CHECKING:
    import pandas as pd

    from nestbench.league.asked import Answer, Asked


def lmer(data: pd.DataFrame, asked: Asked) -> Answer:
    """Fit ``lmer`` and read the tables of its fit."""
    import polars
    from pymer4.models import lmer as model

    fit = model(asked.lme4, data=polars.from_pandas(data))
    fit.fit(ci=asked.level, verbose=False)
    rows = fit.result_fit.to_dicts()
    names = {"estimate": "estimate", "std_error": "std_error", "df": "df", "p_value": "p_value"}
    names |= {"lower": "conf_low", "upper": "conf_high"}
    values = {ours: {row["term"]: float(row[theirs]) for row in rows} for ours, theirs in names.items()}
    variance, correlation = {}, 0.0
    for row in fit.ranef_var.to_dicts():
        group, term, value = row["group"], row["term"], float(row["estimate"])
        if term.startswith("cor__"):
            correlation = value
        elif group == "Residual":
            variance["residual"] = value**2
        elif group == asked.group:
            variance["slope" if asked.slope and term == f"sd__{asked.slope}" else "school"] = value**2
        else:
            variance["class"] = value**2
    if asked.slope:
        variance["covariance"] = correlation * (variance["school"] * variance["slope"]) ** 0.5
    return {
        **values,
        "variance": variance,
        "loglik": float(fit.result_fit_stats["logLik"][0]),
        # The text of what R's insight answers: "[1] FALSE" with the gradient.
        "converged": "FALSE" not in str(fit.convergence_status),
    }


PACKAGE = Package(
    "pymer4",
    "pymer4",
    "pymer4",
    (
        Way(
            "lmer",
            lmer,
            mixed("reml-satt", "nested-satt"),
            "REML maximum; SE from sigma^2 (X'V^-1X)^-1; Satterthwaite df as lmerTest",
            (*BY_TERM, "variance", "loglik"),
        ),
    ),
    install="pip install 'nestbench[pymer4]', and R with lme4, lmerTest, broom.mixed, emmeans, parameters, performance "
    "and report",
    needs="R",
)

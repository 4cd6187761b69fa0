"""bossanova: ``model(...).fit().infer()``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nestbench.league.asked import BY_TERM
from nestbench.league.package import Package, Way, mixed

if TYPE_CHECKING:
    import pandas as pd

    from nestbench.league.asked import Answer, Asked

KINDS = ("residual", "school", "class")


def model(data: pd.DataFrame, asked: Asked) -> Answer:
    """Fit ``model`` and read the table of its inference."""
    import bossanova
    import polars

    # Its tables are rounded to four digits unless told otherwise.
    bossanova.set_display_digits(15)
    fit = bossanova.model(asked.lme4, polars.from_pandas(data)).fit().infer(conf_level=asked.level)
    rows = fit.params.to_dicts()
    names = {"estimate": "estimate", "std_error": "se", "df": "df", "p_value": "p_value"}
    names |= {"lower": "ci_lower", "upper": "ci_upper"}
    values = {ours: {row["term"]: float(row[theirs]) for row in rows} for ours, theirs in names.items()}
    variance = {}
    for row in fit.varying_spread.to_dicts():
        if row["metric"] == "variance":
            # "school | Intercept", "school | age", "school | classroom | Intercept", "Residual"
            kind = KINDS[row["term"].count(" | ")]
            slope = asked.slope and row["term"] == f"{asked.group} | {asked.slope}"
            variance["slope" if slope else kind] = float(row["estimate"])
    if asked.slope:
        correlation = float(fit.varying_corr["corr"][0])
        variance["covariance"] = correlation * (variance["school"] * variance["slope"]) ** 0.5
    return {**values, "variance": variance, "loglik": float(fit.diagnostics["loglik"][0])}


PACKAGE = Package(
    "bossanova",
    "bossanova",
    "bossanova",
    (
        Way(
            "model",
            model,
            mixed("reml-satt", "nested-satt"),
            "REML maximum; SE from sigma^2 (X'V^-1X)^-1; Satterthwaite df as lmerTest",
            (*BY_TERM, "variance", "loglik"),
        ),
    ),
)

"""mixedlm: ``lmer`` with Satterthwaite and with Kenward-Roger tests."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from nestbench.league.asked import BY_TERM
from nestbench.league.package import Package, Way, mixed

if TYPE_CHECKING:
    import pandas as pd

    from nestbench.league.asked import Answer, Asked


def lmer(data: pd.DataFrame, asked: Asked, ddf_method: str) -> Answer:
    """Fit ``lmer`` and read its tidy table."""
    import mixedlm

    fit = mixedlm.lmer(asked.lme4, data)
    table = fit.tidy(conf_int=True, conf_level=asked.level, ddf_method=ddf_method).set_index("term")
    names = {
        "estimate": "estimate",
        "std_error": "std.error",
        "df": "df",
        "p_value": "p.value",
        "lower": "conf.low",
        "upper": "conf.high",
    }
    components = fit.VarCorr()
    variance = {"residual": float(components.residual)}
    for group in components.groups:
        cov = components.get_cov(group)
        variance["school" if group == asked.group else "class"] = float(cov[0][0])
        if asked.slope:
            variance |= {"slope": float(cov[1][1]), "covariance": float(cov[1][0])}
    table.index = [level_named(term, data) for term in table.index]
    return {
        **{ours: table[theirs].astype(float).to_dict() for ours, theirs in names.items()},
        "variance": variance,
        "loglik": float(fit.logLik().value),
        "converged": bool(fit.converged),
    }


def level_named(term: str, data: pd.DataFrame) -> str:
    """Return ``armtreated`` of ``arm.1``: levels of a column of texts are counted, in their order."""
    column, _, number = term.partition(".")
    if number.isdigit() and column in data and data[column].dtype.kind not in "iufb":
        return f"{column}{sorted(set(data[column].dropna()))[int(number)]}"
    return term


ALL = (*BY_TERM, "variance", "loglik")

PACKAGE = Package(
    "mixedlm",
    "mixedlm",
    "mixedlm",
    (
        Way(
            "lmer",
            partial(lmer, ddf_method="Satterthwaite"),
            mixed("reml-satt", "nested-satt"),
            "REML maximum; SE from sigma^2 (X'V^-1X)^-1; Satterthwaite df as lmerTest",
            ALL,
        ),
        Way(
            "lmer Kenward-Roger",
            partial(lmer, ddf_method="Kenward-Roger"),
            mixed("reml-kr"),
            "REML maximum; SE adjusted and df of Kenward and Roger (1997) as pbkrtest",
            ALL,
        ),
    ),
)

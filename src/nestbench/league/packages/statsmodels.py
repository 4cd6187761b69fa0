"""statsmodels: MixedLM by three optimisers, OLS with cluster-robust variances, GEE."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from nestbench.league.information import observed_information
from nestbench.league.package import Package, Setting, Way, mixed, same, scaled_errors, with_df

if TYPE_CHECKING:
    import pandas as pd

    from nestbench.league.asked import Answer, Asked, Fit


def mixedlm(data: pd.DataFrame, asked: Asked, **options: Any) -> Answer:
    """Fit ``MixedLM``; ``method`` among the options is the optimiser."""
    import statsmodels.formula.api as smf

    # The column as a plain one: MixedLM takes the labels of its groups from the table itself.
    model = smf.mixedlm(
        asked.formula,
        data,
        groups=asked.group,
        re_formula=f"~ {asked.slope}" if asked.slope else "1",
        vc_formula={"class": f"0 + C({asked.subgroup})"} if asked.subgroup else None,
        missing="drop",
    )
    result = model.fit(**options)
    names = list(result.fe_params.index)
    answer = by_term(result, names, asked.level)
    cov = result.cov_re.to_numpy()
    variance = {"school": float(cov[0, 0]), "residual": float(result.scale)}
    if asked.slope:
        variance |= {"slope": float(cov[1, 1]), "covariance": float(cov[0, 1])}
    if asked.subgroup:
        variance["class"] = float(result.vcomp[0])
    return {
        **answer,
        "std_error": dict(zip(names, result.bse_fe, strict=True)),
        "variance": variance,
        "loglik": float(result.llf),
        "converged": bool(result.converged),
    }


def by_term(result: Any, names: list[str], level: float) -> dict[str, Any]:
    """Return what a result has of each coefficient."""
    ends = result.conf_int(alpha=1.0 - level)
    return {
        "estimate": {name: float(result.params[name]) for name in names},
        "std_error": {name: float(result.bse[name]) for name in names},
        "p_value": {name: float(result.pvalues[name]) for name in names},
        "lower": {name: float(ends.loc[name].iloc[0]) for name in names},
        "upper": {name: float(ends.loc[name].iloc[1]) for name in names},
    }


def ols(data: pd.DataFrame, asked: Asked, **options: Any) -> Answer:
    """Fit ``ols`` with a cluster-robust covariance."""
    import statsmodels.formula.api as smf

    result = smf.ols(asked.formula, data).fit(cov_kwds={"groups": data[asked.group]}, **options)
    answer = by_term(result, list(result.params.index), asked.level)
    if options.get("use_t"):
        answer["df"] = dict.fromkeys(answer["estimate"], float(result.df_resid_inference))
    return answer


def gee(data: pd.DataFrame, asked: Asked, cov_type: str, working: str = "Exchangeable") -> Answer:
    """Fit ``gee`` with a working correlation."""
    import statsmodels.api as sm
    import statsmodels.formula.api as smf

    model = smf.gee(asked.formula, asked.group, data, cov_struct=getattr(sm.cov_struct, working)())
    result = model.fit(cov_type=cov_type)
    return {**by_term(result, list(result.params.index), asked.level), "converged": bool(result.converged)}


def of_columns(setting: Setting) -> float:
    """Return what CR1S is multiplied by where p is the number of columns: (N - rank) / (N - p)."""
    n, p = setting.students, setting.columns
    return (n - setting.terms) / (n - p)


COLUMNS = "p the number of columns, aliased ones counted, in (N-1)/(N-p)"
Z = ("estimate", "std_error", "p_value", "lower", "upper")
REML = (
    "REML maximum; SE from the observed information of coefficients and variances together (not judged on the boundary "
    "and with classes); normal reference"
)
MIXED = (*Z, "variance", "loglik")


def normal(setting: Setting) -> float:
    """Return the df of the normal."""
    return math.inf


def _mixed(name: str, fit: Fit, determined: bool = True) -> Way:
    exact = mixed("reml-z", "nested-z")
    return Way(name, fit, exact, REML, MIXED, observed_information, determined=determined)


# With OpenBLAS's kernels of other processors (Nehalem, Haswell), or outcomes times 1 + 1e-13 z, no fit of 200 by
# default or by powell moved by 1e-6 at ICC .2 and .5, 17 to 38 % of those by lbfgs did; at ICC 0 others do, too.
PACKAGE = Package(
    "statsmodels",
    "statsmodels",
    "statsmodels",
    (
        _mixed("MixedLM", mixedlm),
        _mixed("MixedLM lbfgs", partial(mixedlm, method="lbfgs"), determined=False),
        _mixed("MixedLM powell", partial(mixedlm, method="powell")),
        Way(
            "OLS cluster",
            partial(ols, cov_type="cluster"),
            same("ols-cr1s-z"),
            "CR1S: G/(G-1) (N-1)/(N-p), p the rank of X; normal reference",
            Z,
            others=((COLUMNS, scaled_errors(of_columns)),),
        ),
        Way(
            "OLS cluster use_t",
            partial(ols, cov_type="cluster", use_t=True),
            same("ols-cr1s-t"),
            "CR1S: G/(G-1) (N-1)/(N-p), p the rank of X; t(G - 1)",
            (*Z, "df"),
            others=((COLUMNS, scaled_errors(of_columns)),),
        ),
        Way(
            "GEE",
            partial(gee, cov_type="robust"),
            same("gee-z"),
            "exchangeable, robust sandwich; normal reference",
            Z,
        ),
        Way(
            "GEE bias-reduced",
            partial(gee, cov_type="bias_reduced"),
            same("gee-md-z"),
            "exchangeable, Mancl and DeRouen's sandwich; normal reference",
            Z,
        ),
        Way(
            "GEE CR3",
            partial(gee, cov_type="bias_reduced", working="Independence"),
            same("ols-cr3-t"),
            "independence, Mancl and DeRouen's sandwich, which is CR3 = (I - H)^-1 without a factor; normal reference",
            Z,
            with_df(normal),
        ),
    ),
)

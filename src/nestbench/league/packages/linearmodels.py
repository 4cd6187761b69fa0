"""linearmodels: school effects and pooled least squares with clustered variances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nestbench.league.asked import BY_TERM
from nestbench.league.package import Package, Setting, Way, same, with_tests
from nestbench.league.random_effects import random_effects

if TYPE_CHECKING:
    import pandas as pd

    from nestbench.league.asked import Answer, Asked


def indexed(data: pd.DataFrame, asked: Asked) -> pd.DataFrame:
    """Return the data indexed by school and a running number, as panels are."""
    # A panel has no use for rows without a school, and takes only numbers, dates or categories as such.
    known = data[data[asked.group].notna()]
    student = known.groupby(asked.group, observed=True).cumcount()
    school = known[asked.group].astype("category")
    return known.assign(student=student, panel=school).set_index(["panel", "student"])


def answer(result: Any, level: float) -> dict[str, Any]:
    """Return what a result has of each coefficient."""
    ends = result.conf_int(level)
    return {
        "estimate": result.params.to_dict(),
        "std_error": result.std_errors.to_dict(),
        "df": dict.fromkeys(result.params.index, float(result.df_resid)),
        "p_value": result.pvalues.to_dict(),
        "lower": ends["lower"].to_dict(),
        "upper": ends["upper"].to_dict(),
    }


def panel_ols(data: pd.DataFrame, asked: Asked) -> Answer:
    """Fit ``PanelOLS`` with school effects; school-level terms are absorbed."""
    from linearmodels import PanelOLS

    formula = asked.formula + " + EntityEffects"
    model = PanelOLS.from_formula(formula, indexed(data, asked), drop_absorbed=True)
    return answer(model.fit(), asked.level)


def pooled_ols(data: pd.DataFrame, asked: Asked) -> Answer:
    """Fit ``PooledOLS`` with a variance clustered by school."""
    from linearmodels import PooledOLS

    formula = asked.formula.replace("~", "~ 1 +")
    result = PooledOLS.from_formula(formula, indexed(data, asked)).fit(
        cov_type="clustered", cluster_entity=True
    )
    return answer(result, asked.level)


def random(data: pd.DataFrame, asked: Asked) -> Answer:
    """Fit ``RandomEffects`` with its defaults."""
    from linearmodels import RandomEffects

    result = RandomEffects.from_formula(asked.formula.replace("~", "~ 1 +"), indexed(data, asked)).fit()
    parts = result.variance_decomposition
    variance = {"school": float(parts["Effects"]), "residual": float(parts["Residual"])}
    return {**answer(result, asked.level), "variance": variance}


def clustered(exact: dict[str, Any], setting: Setting) -> dict[str, Any]:
    """Return CR0 with linearmodels' correction of variances, N/(N-p), and its reference, t(N - p)."""
    n, p = setting.students, setting.terms
    errors = {term: (n / (n - p)) ** 0.5 * value for term, value in exact["std_error"].items()}
    df = dict.fromkeys(errors, float(n - p))
    return with_tests({**exact, "std_error": errors}, df, exact["level"])


PACKAGE = Package(
    "linearmodels",
    "linearmodels",
    "linearmodels",
    (
        Way(
            "PanelOLS",
            panel_ols,
            same("dummies"),
            "school dummies; errors independent; t(N - G - p)",
            BY_TERM,
        ),
        Way(
            "PooledOLS clustered",
            pooled_ols,
            same("ols-cr0-t"),
            "CR0 times N/(N-p), p the rank of X; t(N - p)",
            BY_TERM,
            clustered,
        ),
        Way(
            "RandomEffects",
            random,
            same("ols-cr0-t"),
            "Swamy and Arora's variances, divided by N - G and by G less the ranks of X within and between schools, "
            "with the harmonic mean of sizes; generalised least squares; t(N - p); not judged where X has no full rank",
            (*BY_TERM, "variance"),
            random_effects,
        ),
    ),
)

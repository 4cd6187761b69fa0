"""wildboottest: the wild cluster bootstrap of a statsmodels regression."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nestbench.league.package import Package, Setting, Way, same

if TYPE_CHECKING:
    import pandas as pd

    from nestbench.league.asked import Answer, Asked

DRAWS = 9999


def wild(data: pd.DataFrame, asked: Asked) -> Answer:
    """Test the first term behind the intercept by 9 999 Rademacher draws, the null imposed."""
    import pandas as pd
    import statsmodels.formula.api as smf
    from wildboottest.wildboottest import wildboottest

    # It takes numbers for schools, no labels, and can't tell that one is missing.
    data = data.dropna()
    model = smf.ols(asked.formula, data)
    schools = pd.Series(pd.factorize(data[asked.group])[0])
    name = model.exog_names[1]
    table = wildboottest(model, param=name, cluster=schools, B=DRAWS, seed=1, show=False)
    return {"p_value": {name: float(table["p-value"].iloc[0])}}


def first_alone(exact: dict[str, Any], setting: Setting) -> dict[str, Any]:
    """Return the exact p-value of the first term behind the intercept, the others aren't asked for, and how many
    draws of both sides it rests on."""
    p_value = exact["p_value"]
    first = next((term for term in p_value if term != "Intercept"), "")
    draws = 0 if enumerated(setting) else DRAWS // 2
    return {
        **exact,
        "p_value": {term: value for term, value in p_value.items() if term == first},
        "draws": draws,
    }


def enumerated(setting: Setting) -> bool:
    """Whether both sides take all 2^G signs instead of drawing some."""
    return setting.schools < math.log2(DRAWS)


def without_ties(exact: dict[str, Any], setting: Setting) -> dict[str, Any]:
    """Return `first_alone` without the signs as they are and all turned, which tie with the observed statistic."""
    found = first_alone(exact, setting)
    tied = 2.0 / 2.0**setting.schools if enumerated(setting) else 0.0
    return {**found, "p_value": {term: value - tied for term, value in found["p_value"].items()}}


PACKAGE = Package(
    "wildboottest",
    "wildboottest",
    "wildboottest",
    (
        Way(
            "wildboottest",
            wild,
            same(f"ols-wild:draws={DRAWS}"),
            "the first term's p-value, null imposed, ties counted; all 2^G signs where they are fewer than 9 999, else "
            "as many Rademacher draws of its own beside as many of ours, and the allowance is the Monte Carlo error of "
            "both; incomplete rows left out; two data sets a condition",
            ("p_value",),
            first_alone,
            draws=DRAWS // 2,
            most=2,
            others=(("ties not counted, where all 2^G signs are enumerated", without_ties),),
        ),
    ),
)

"""Is a method biased? The one rule: tests of the bias over all estimands together, and its size in standard errors."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import pandas as pd

from nestbench.reports.comparing import holm
from nestbench.reports.comparing.grades import fixed_terms

SHARE = 0.1
"""Bias in standard errors that matters: below a tenth coverage hardly moves (Cochran 1977, section 1.8)."""
RULE = (
    "Shown: a bias that is away from 0 beyond Monte Carlo error (t tests, by Holm's method at 5 % over all estimands "
    f"of the study together). Biased: a bias that is shown and above {SHARE:g} empirical standard errors. What can't "
    "be excluded is the furthest end of the 95 % Monte Carlo intervals (t)."
)


class Bias(StrEnum):
    """What is known of a bias."""

    OPEN = "bias within Monte Carlo error"
    SLIGHT = f"bias shown, at most {SHARE:g} standard errors"
    BIASED = "biased"


def biases(table: pd.DataFrame) -> pd.DataFrame:
    """Return what is known of the bias of every method in every estimand (`RULE`).

    Columns ``cell, estimator, term, value, mcse, n`` (in empirical standard errors), ``p`` (two-sided, single),
    ``bound`` (the furthest end of the 95 % interval, infinite where there is none), ``state`` (`Bias`).
    """
    every = all_biases(table)
    rows: pd.DataFrame = every[every["term"].isin(fixed_terms(table))].reset_index(drop=True)
    return rows


def all_biases(table: pd.DataFrame) -> pd.DataFrame:
    """Return `biases` of all terms: those that are no estimands (the intercept) are held to the estimands' limit."""
    keys = ["cell", "estimator", "term"]
    raw = table[(table["measure"] == "bias") & (table["n"] > 0) & np.isfinite(table["value"])]
    sized = table.loc[table["measure"] == "standardised_bias", [*keys, "value", "mcse"]]
    tested = raw[[*keys, "n"]].assign(raw=raw["value"], error=raw["mcse"]).merge(sized, on=keys, how="left")
    tested = tested[~((tested["raw"] == 0.0) & (tested["error"] == 0.0))]  # no spread and no error
    value, mcse, n = (tested[name].to_numpy(dtype=np.float64) for name in ("value", "mcse", "n"))
    with np.errstate(invalid="ignore"):
        bound = np.abs(value) + holm.t_quantile(n) * mcse
    p = holm.t_p_values(tested["raw"], tested["error"], n)
    limit = holm.limit(p[tested["term"].isin(fixed_terms(table)).to_numpy()])
    # A value that is NaN or infinite, of estimates that never vary, isn't slight.
    shown = np.where(np.abs(value) <= SHARE, str(Bias.SLIGHT), str(Bias.BIASED))
    tested["p"], tested["bound"] = p, np.where(np.isnan(bound), np.inf, bound)
    tested["state"] = np.where(p <= limit, shown, str(Bias.OPEN))
    rows: pd.DataFrame = tested[[*keys, "value", "mcse", "n", "p", "bound", "state"]].reset_index(drop=True)
    return rows

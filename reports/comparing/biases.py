"""Is a method biased? Bias in standard errors, tested over all situations together."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nestbench.reports.comparing import holm
from nestbench.reports.comparing.grades import fixed_terms

SHARE = 0.1
"""Bias in standard errors that matters: below a tenth coverage hardly moves (Cochran 1977, section 1.8)."""
RULE = (
    f"Biased: |bias| above {SHARE:g} empirical standard errors, and away from 0 beyond Monte Carlo error (t tests, by "
    "Holm's method at 5 % over all estimands of the study together). What can't be excluded is the furthest end of "
    "the 95 % Monte Carlo intervals (t)."
)


def biases(table: pd.DataFrame) -> pd.DataFrame:
    """Return the bias in empirical standard errors of every method in every situation.

    Columns ``cell, estimator, term, value, mcse, n, p`` (two-sided, single), ``bound`` (the furthest end of the 95 %
    interval, infinite where there is none), ``biased`` (`RULE`).
    """
    rows = table[(table["measure"] == "standardised_bias") & table["term"].isin(fixed_terms(table))]
    rows = rows[(rows["n"] > 0) & ~(rows["value"].isna() & (rows["n"] > 1))]  # no spread and no error
    found = rows[["cell", "estimator", "term", "value", "mcse", "n"]].reset_index(drop=True)
    value, mcse, n = (found[name].to_numpy(dtype=np.float64) for name in ("value", "mcse", "n"))
    with np.errstate(invalid="ignore"):
        bound = np.abs(value) + holm.t_quantile(n) * mcse
    found["p"] = np.where(np.isinf(value), 0.0, holm.t_p_values(value, mcse, n))
    found["bound"] = np.where(np.isnan(bound), np.inf, bound)
    found["biased"] = (np.abs(value) > SHARE) & (found["p"] <= holm.limit(found["p"]))
    return found

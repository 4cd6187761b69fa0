"""Does a method keep its promised coverage? Grades by one stated rule, Monte Carlo error included."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import pandas as pd

from nestbench.experiments.experiment import Experiment
from nestbench.reports.measures.performance import FIT
from nestbench.reports.measures.proportions import wilson

RULE = (
    "Coverage is in order between 1 - 1.5 alpha and 1 - 0.5 alpha (Bradley's 1978 liberal criterion: 92.5 % to 97.5 % "
    "for 95 % intervals). With the 95 % Wilson interval of the simulated coverage: 'holds' when all of it lies inside, "
    "'seems to hold' when only the estimate does, 'doubtful' when the estimate lies below but the interval reaches in, "
    "'fails' when all of it lies below, 'too wide' when all of it lies above."
)


class Grade(StrEnum):
    """How a simulated coverage stands to the promised one."""

    HOLDS = "holds"
    LIKELY = "seems to hold"
    DOUBTFUL = "doubtful"
    FAILS = "fails"
    WIDE = "too wide"


def band(level: float) -> tuple[float, float]:
    """Return Bradley's liberal band around a nominal level: (1 - 1.5 alpha, 1 - 0.5 alpha)."""
    alpha = 1.0 - level
    return 1.0 - 1.5 * alpha, 1.0 - 0.5 * alpha


def grade(coverage: float, n: int, level: float) -> Grade:
    """Return the grade of a simulated coverage over n replications (`RULE`)."""
    low, high = band(level)
    lower, upper = (float(x) for x in wilson(coverage, n))
    if upper < low:
        return Grade.FAILS
    if lower > high:
        return Grade.WIDE
    if coverage < low:
        return Grade.DOUBTFUL
    return Grade.HOLDS if low <= lower and upper <= high else Grade.LIKELY


def fixed_terms(table: pd.DataFrame) -> list[str]:
    """Return the fixed effects of a performance table in order; without the intercept unless it stands alone."""
    names = [str(term) for term in table["term"].unique() if not str(term).startswith("(")]
    return [name for name in names if name != "Intercept"] or names


def situations(table: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """Return one row per cell x estimator x fixed effect with its coverage, MCSE, n, attempts, and grade."""
    rows = table[(table["measure"] == "coverage") & table["term"].isin(fixed_terms(table))]
    rows = rows[(rows["n"] > 0) & np.isfinite(rows["value"])]
    levels = [cell.model.level for cell in experiment.cells]
    found: pd.DataFrame = (
        rows.rename(columns={"value": "coverage"}).drop(columns="measure").reset_index(drop=True)
    )
    graded = zip(found["cell"], found["coverage"], found["n"], strict=True)
    found["grade"] = pd.Series([grade(c, n, levels[i]) for i, c, n in graded], dtype="str")
    return found


def usable_shares(table: pd.DataFrame) -> pd.Series[float]:
    """Return the share of usable fits by (cell, estimator): OK or BOUNDARY."""
    usable = {"share_ok", "share_boundary"}
    rows = table[(table["term"] == FIT) & table["measure"].isin(usable)]
    return rows.groupby(["cell", "estimator"], sort=False)["value"].sum()

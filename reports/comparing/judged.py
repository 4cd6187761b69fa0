"""What a study says of each of its numbers: one verdict a row of the performance table, which all figures show.

Sentences and tables are made by the same rules (`grades`, `biases`), so that no two places of a report disagree.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

import numpy as np
import pandas as pd

from nestbench.experiments.experiment import Experiment
from nestbench.reports.comparing import grades, holm
from nestbench.reports.comparing.biases import Bias, all_biases

STATE = "state"
SE_RULE = (
    "A standard error is off beyond Monte Carlo error by t tests, by Holm's method at 5 % over all estimands of the "
    "study together."
)


class Off(StrEnum):
    """Whether a standard error is off."""

    OPEN = "within Monte Carlo error"
    SHOWN = "beyond Monte Carlo error"


POWER = "power"


def judged(table: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """Return a performance table with the column ``state``: what the study says of a number, empty where nothing.

    Of coverages and type I errors a `grades.Grade`, of other rejection rates ``power``, of biases a `biases.Bias`, of
    errors of the SE an `Off`. A table that has the column is returned as it is: some conditions or methods of a study
    are judged as the whole study judges them.
    """
    if STATE in table.columns:
        return table
    states = pd.Series("", index=table.index, dtype=object)
    for known in (*_covered(table, experiment), _biased(table), _errors(table)):
        states.loc[known.index] = known
    return table.assign(**{STATE: states})


def _covered(table: pd.DataFrame, experiment: Experiment) -> Iterator[pd.Series]:
    """Yield grades of coverages and of type I errors, by one limit, and what rejection is else."""
    limit = grades.limit_of(table, experiment)
    cells = experiment.cells
    for measure in ("coverage", "rejection"):
        rows = table[(table["measure"] == measure) & (table["n"] > 0) & np.isfinite(table["value"])]
        share = rows["value"] if measure == "coverage" else 1.0 - rows["value"]
        levels = np.array([cells[cell].model.level for cell in rows["cell"]], dtype=np.float64)
        known = pd.Series(grades.grades_of(share, rows["n"], levels, limit), index=rows.index, dtype=object)
        if measure == "rejection":
            places = zip(rows["cell"], rows["term"], strict=True)
            known[[not cells[cell].is_null(term) for cell, term in places]] = POWER
        yield known


def _biased(table: pd.DataFrame) -> pd.Series:
    """Return what is known of the biases; where estimates neither vary nor err there is none."""
    rows = table[(table["measure"] == "bias") & (table["n"] > 0) & np.isfinite(table["value"])]
    states = all_biases(table).set_index(grades.KEYS)[STATE]
    known = states.reindex(pd.MultiIndex.from_frame(rows[grades.KEYS])).fillna(str(Bias.OPEN))
    return known.set_axis(rows.index)


def _errors(table: pd.DataFrame) -> pd.Series:
    """Return whether standard errors are off (`SE_RULE`), in tests as `holm.spread_error`."""
    rows = table[(table["measure"] == "se_error") & np.isfinite(table["value"])]
    error = holm.spread_error(100.0 + rows["value"], rows["mcse"], rows["n"])
    p = holm.t_p_values(rows["value"], error, rows["n"])
    off = p <= holm.limit(p[rows["term"].isin(grades.fixed_terms(table)).to_numpy()])
    return pd.Series(np.where(off, str(Off.SHOWN), str(Off.OPEN)), index=rows.index, dtype=object)


STATES = (*[str(s) for kind in (grades.Grade, Bias, Off) for s in kind], POWER)

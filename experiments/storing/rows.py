"""Every stored row as one DataFrame."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nestbench.estimators.estimates import ESTIMATE, STORED_COLUMNS, Estimates, FitStatus
from nestbench.experiments.results import Results

COLUMNS = ("estimator", "term", "replication", *STORED_COLUMNS, "status", "message")


def all_rows(results: Results) -> pd.DataFrame:
    """Return the rows of a run: ``cell``, one column per factor, then `COLUMNS`; status by name."""
    parts = []
    for cell, levels in enumerate(results.experiment.levels):
        for label, estimates in results.estimates(cell).items():
            rows = rows_of(label, estimates)
            for place, (name, value) in enumerate({"cell": cell, **levels}.items()):
                rows.insert(place, name, [value] * len(rows))
            parts.append(rows)
    if parts:
        return pd.concat(parts, ignore_index=True)
    factors = list(dict.fromkeys(name for levels in results.experiment.levels for name in levels))
    return pd.DataFrame(columns=["cell", *factors, *COLUMNS])


def rows_of(label: str, estimates: Estimates) -> pd.DataFrame:
    """Return the rows of one method: terms, then fit-level quantities (estimate only), by replication within each."""
    names = [*estimates.terms, *estimates.quantities]
    blank = np.full((estimates.size, len(estimates.quantities)), np.nan)
    columns = {}
    for name in STORED_COLUMNS:
        extra = blank
        if name == ESTIMATE and estimates.quantities:
            extra = np.column_stack(list(estimates.quantities.values()))
        columns[name] = np.concatenate([getattr(estimates, name), extra], axis=1).T.ravel()
    status = np.array([status.name for status in FitStatus])[estimates.status]
    message = np.array(estimates.messages, dtype=object)[estimates.message]
    frame = pd.DataFrame(
        {
            "estimator": label,
            "term": np.repeat(np.array(names, dtype=object), estimates.size),
            "replication": np.tile(estimates.replications, len(names)),
            **columns,
            "status": np.tile(status, len(names)),
            "message": np.tile(message, len(names)),
        }
    )
    return frame.astype(dict.fromkeys(("estimator", "term", "status"), "category"))

"""The audits of a run, put together: one row per condition and method."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from nestbench.experiments.storing.encoding import AUDIT_COLUMNS


def gather(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the audits of a run, one row per condition and method: counts added, the worst kept.

    Parts of an audit come from several tasks, done by several workers in any order: sums and maxima don't mind.
    """
    if not parts:
        return pd.DataFrame({name: [] for name in AUDIT_COLUMNS})
    rows = pd.concat(parts, ignore_index=True)
    together = rows.groupby(["cell", "estimator", "agreement"], sort=False, as_index=False)
    return together.agg(
        fits=("fits", "sum"),
        worst=("worst", "max"),
        disagreements=("disagreements", "sum"),
        stopped_short=("stopped_short", "sum"),
        worst_shortfall=("worst_shortfall", "max"),
        below_grid=("below_grid", "sum"),
        worst_below_grid=("worst_below_grid", "max"),
    )

"""Monte Carlo errors as they are printed: a share that never varied isn't known without error."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nestbench.reports.measures.declared import MEASURES
from nestbench.reports.measures.measure import Unit
from nestbench.reports.measures.proportions import shown_error
from nestbench.sim.observed.batch import Floats

SHARES = frozenset(measure.name for measure in MEASURES if measure.unit is Unit.SHARE)


def printed_mcse(rows: pd.DataFrame) -> Floats:
    """Return the MCSE of each row of a performance table, of shares as `shown_error`: 0 of 20 and 20 of 20 have one."""
    share = (rows["measure"].isin(SHARES) | rows["measure"].str.startswith("share_")).to_numpy()
    value, mcse, n = (rows[name].to_numpy(dtype=np.float64) for name in ("value", "mcse", "n"))
    inside = share & (n > 0) & (value >= 0.0) & (value <= 1.0)
    shown = mcse.copy()
    shown[inside] = shown_error(value[inside], mcse[inside], n[inside])
    return shown

"""Reading pandas frames where their stubs know too little: rows and items as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd


def rows_of(frame: pd.DataFrame, columns: Sequence[str]) -> list[Any]:
    """Return the rows as named tuples of some columns."""
    return list(frame[list(columns)].itertuples(index=False))


def items_of(series: Any) -> list[tuple[Any, Any]]:
    """Return (index, value) of a series, or (index, row) of a frame."""
    return list(series.iterrows() if isinstance(series, pd.DataFrame) else series.items())

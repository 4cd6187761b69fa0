"""Reading pandas frames where their stubs know too little: rows and items as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from nestbench.sim.visible import harmless


def rows_of(frame: pd.DataFrame, columns: Sequence[str]) -> list[Any]:
    """Return the rows as named tuples of some columns."""
    return list(frame[list(columns)].itertuples(index=False))


def items_of(series: Any) -> list[tuple[Any, Any]]:
    """Return (index, value) of a series, or (index, row) of a frame."""
    return list(series.iterrows() if isinstance(series, pd.DataFrame) else series.items())


def csv_of(frame: pd.DataFrame) -> str:
    """Return a frame as CSV that a spreadsheet opens as it is: a text that would be a formula there gets an apostrophe.

    Numbers stay as they are, those among texts too.
    """
    safe = frame.copy()
    for name in safe.columns:
        if isinstance(safe[name].dtype, pd.StringDtype):
            # Few texts in many rows: each is looked at once.
            codes, texts = pd.factorize(safe[name], use_na_sentinel=False)
            safe[name] = pd.Series(list(texts), dtype=object).map(harmless).to_numpy()[codes]
        elif not pd.api.types.is_numeric_dtype(safe[name].dtype):
            safe[name] = safe[name].astype(object).map(harmless)
    return safe.rename(columns=harmless).to_csv(index=False, lineterminator="\n")

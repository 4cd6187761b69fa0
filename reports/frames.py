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


def csv_of(frame: pd.DataFrame) -> str:
    """Return a frame as CSV that a spreadsheet opens as it is: a text that would be a formula there gets an apostrophe.

    Numbers stay as they are, those among texts too.
    """
    harmless = frame.copy()
    for name in harmless.columns:
        if not pd.api.types.is_numeric_dtype(harmless[name].dtype):
            harmless[name] = harmless[name].astype(object).map(_harmless)
    return harmless.rename(columns=_harmless).to_csv(index=False, lineterminator="\n")


def _harmless(value: Any) -> Any:
    """Return a value that a spreadsheet won't take for a formula."""
    if not isinstance(value, str) or value[:1] not in ("=", "+", "-", "@", "\t", "\r"):
        return value
    try:
        # A negative number begins like a formula.
        float(value)
    except ValueError:
        return f"'{value}"
    return value

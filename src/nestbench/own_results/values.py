"""Columns of results as numbers and labels, with what is to be said of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from nestbench.sim.counted import plural
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Floats
from nestbench.sim.tables.notation import ambiguous, is_missing, numbers_of
from nestbench.sim.tables.usable import labels_of
from nestbench.sim.visible import visible

MISSING = "(missing)"
"""The level of rows that have none."""

SLIPS = 0.5
"""Share of values that must be numbers; the others are then taken as missing, and said."""


LARGEST = 1e100
"""Numbers above are infinite here: their squares are."""


def numbers(column: pd.Series[Any], name: str) -> tuple[Floats, str]:
    """Return a column as numbers [rows], NaN where missing, and what is to be said of it; infinite ones stay, and so
    are those above `LARGEST`.

    Raises
    ------
    InvalidInput
        Its values aren't numbers, or may be two: ``7,288``.
    """
    values, said = _read(column, name)
    return np.where(np.abs(values) > LARGEST, np.copysign(np.inf, values), values), said


def _read(column: pd.Series[Any], name: str) -> tuple[Floats, str]:
    """Return a column as numbers however they are written, and what is to be said of it."""
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_complex_dtype(column.dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan), ""
    text = column.astype("object").map(lambda value: str(value).strip()).where(column.notna(), "")
    known = text[~is_missing(text)]
    reading = numbers_of(known) if len(known) else None
    if reading is not None:
        return _placed(reading.values, text), reading.said.replace("{}", name)
    if doubt := ambiguous(known):
        raise InvalidInput(
            f"expected numbers with one meaning in '{name}', got {doubt}; write them without separators of thousands, "
            "and with a decimal point"
        )
    return _with_slips(known, text, name)


def _with_slips(known: pd.Series[Any], text: pd.Series[Any], name: str) -> tuple[Floats, str]:
    """Return numbers of which a few are words, taken as missing."""
    values = pd.to_numeric(known, errors="coerce").astype(np.float64)
    wrong = known[values.isna()]
    if len(wrong) > SLIPS * len(known):
        raise InvalidInput(
            f"expected numbers in '{name}', got {wrong.iloc[0]!r} in row {int(wrong.index[0]) + 1} of the data; give "
            "another column, or blank what isn't a number"
        )
    if wrong.empty:
        return _placed(values, text), ""
    counts = ", ".join(
        f"'{visible(str(word))}' ({count})" for word, count in wrong.value_counts()[:5].items()
    )
    return _placed(values, text), f"'{name}' holds {counts} among numbers, taken as missing"


def _placed(values: pd.Series[Any], like: pd.Series[Any]) -> Floats:
    return values.reindex(like.index).to_numpy(dtype=np.float64)


def labels(frame: pd.DataFrame, names: tuple[str, ...]) -> pd.Series[Any]:
    """Return what columns name together, as text; blanks between the parts, `MISSING` where none has any."""
    parts = [labels_of(_whole(frame[name]), name).fillna("") for name in names]
    joined = parts[0]
    for part in parts[1:]:
        joined = (joined + " " + part).str.strip()
    text: pd.Series[Any] = joined.map(visible)
    return text.where(text != "", MISSING)


def levels(column: pd.Series[Any], name: str) -> pd.Series[Any]:
    """Return a factor's levels: whole numbers as such, other numbers, truth values, else text; `MISSING` where none."""
    kind = column.dtype
    if pd.api.types.is_bool_dtype(kind):
        return column.astype(bool).astype(object)
    if pd.api.types.is_numeric_dtype(kind):
        return column.map(_level).astype(object)
    text = column.astype("object")
    # Not of each value: of a list that says whether each of its parts is missing.
    missing = text.isna()
    return text.map(lambda value: visible(str(value)).strip() or MISSING).where(~missing, MISSING)


def _level(value: Any) -> Any:
    """Return a number as JSON has it."""
    if pd.isna(value):
        return MISSING
    if np.isinf(value):
        return str(value)
    return int(value) if float(value).is_integer() and abs(value) < 2**53 else float(value)


def _whole(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return a category as its values, for numbers among them are read as numbers."""
    return (
        column.astype(column.cat.categories.dtype)
        if isinstance(column.dtype, pd.CategoricalDtype)
        else column
    )


def several_rows(count: int, what: str, rows: int) -> str:
    """Return ``12 of 3,000 rows`` with what they are."""
    return f"{what} in {count:,} of {plural(rows, 'row')}"

"""Columns of a user's table as numbers and labels: what is neither is refused, what was done is said."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd

from nestbench.sim.counted import plural
from nestbench.sim.errors import InvalidInput
from nestbench.sim.tables.notation import (
    AMONG_NUMBERS,
    SLIPS,
    ambiguous,
    far_code,
    is_missing,
    numbers_of,
    perhaps_missing,
    share_of_numbers,
)

EXACT = 2.0**53
"""From here on not every whole number is a float: an id may have become its neighbour's."""

_NUMBERS = (bool, int, float, np.number, np.bool_, Decimal, Fraction)


def labels_of(column: pd.Series[Any], name: str) -> pd.Series[Any]:
    """Return labels as text, blanks trimmed, None where missing; whole numbers without a decimal point.

    Raises
    ------
    InvalidInput
        Numbers so large that different ids may have been rounded to one.
    """
    if pd.api.types.is_float_dtype(column.dtype):
        known = column.dropna()
        if (known.abs() >= EXACT).any():
            raise InvalidInput(
                f"expected labels in '{name}', got numbers of 16 digits and more, which a missing value or a "
                "spreadsheet has rounded; read that column as text (pandas.read_csv(..., dtype={...: str}))"
            )
        if len(known) and (known == np.floor(known)).all():
            column = column.astype("Int64")
    text = column.astype("object")
    present = text.notna()
    trimmed = _trimmed(text[present])
    return trimmed[trimmed != ""].reindex(text.index).astype("object")


def _trimmed(values: pd.Series[Any]) -> pd.Series[Any]:
    """Return objects as text without blanks around it."""
    return pd.Series([_text(value).strip() for value in values.tolist()], index=values.index, dtype=object)


def _which(values: pd.Series[Any], kinds: tuple[type, ...]) -> pd.Series[Any]:
    """Return which objects are of some kinds."""
    return pd.Series([isinstance(value, kinds) for value in values], index=values.index, dtype=bool)


def _text(value: Any) -> str:
    """Return a value as text; bytes as old Stata files have them are decoded."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def read_column(column: pd.Series[Any], name: str, said_before: str = "") -> tuple[pd.Series[Any], str]:
    """Return a column of a formula as `values_of` does, and what is to be said of it that its reader didn't say.

    Raises
    ------
    InvalidInput
        As `values_of`.

    Parameters
    ----------
    column : Series
    name : str
        For messages.
    said_before : str
        What the reader of the file has said of the column already; nothing is said twice.
    """
    values, said = values_of(column, name)
    return values, said if said and said.split(" because")[0] not in said_before else ""


def on_column(values: pd.Series[Any], name: str, term: bool) -> str:
    """Return what is to be said of the known values of a column in use, `term` or labels; nothing of numbers."""
    if pd.api.types.is_numeric_dtype(values.dtype):
        return ""
    said = (few_or_many(values, name) if term else "", perhaps_missing(values.astype(str), name))
    return "; ".join(filter(None, said))


def values_of(column: pd.Series[Any], name: str) -> tuple[pd.Series[Any], str]:
    """Return a column as numbers or categories, and what is to be said of it.

    Numbers among objects are numbers (pandas keeps them so when a table is put together by hand), and so are numbers as
    people write them (`notation`); blank texts are missing.

    Raises
    ------
    InvalidInput
        Values that are neither numbers nor labels, not finite, or numbers that may be two.
    """
    kind = column.dtype
    if pd.api.types.is_complex_dtype(kind):
        raise InvalidInput(f"expected real numbers in '{name}', got complex ones; take their real part")
    if pd.api.types.is_datetime64_any_dtype(kind) or kind.kind == "m" or isinstance(kind, pd.PeriodDtype):
        return (
            column,
            f"'{name}' holds dates or times, taken as labels; compute numbers from them if they are meant",
        )
    if pd.api.types.is_object_dtype(kind) or isinstance(kind, pd.StringDtype):
        column, said = _from_objects(column.astype(object), name)
    else:
        said = ""
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        said = "; ".join(filter(None, (said, _finite(column, name))))
    return column, said


def _from_objects(column: pd.Series[Any], name: str) -> tuple[pd.Series[Any], str]:
    """Return a column of Python objects as numbers where all are, as labels where none is, else as `_mixed` says."""
    known = column.dropna()
    _refuse_containers(known, name)
    numeric = _which(known, _NUMBERS)
    if len(known) and numeric.all():
        return _floats(known, column), ""
    text = _trimmed(known[~numeric])
    text = text[text != ""]
    if numeric.any():
        return _mixed(column, known[numeric], text, name)
    values = text.reindex(column.index).astype(object)
    if doubt := ambiguous(text):
        raise InvalidInput(
            f"expected numbers with one meaning in '{name}', got {doubt}; write them without separators of thousands, "
            "and with a decimal point"
        )
    share, wrong = share_of_numbers(text)
    reading = None if share == 1.0 else numbers_of(text)
    if reading is not None:
        return reading.values.reindex(column.index), reading.said.replace("{}", name)
    if share == 1.0 and len(text):
        said = f"'{name}' is text, though all its values are numbers: each is a category; make it numbers if it is one"
        return values, said
    return values, _slips(name, len(text), wrong) if share > SLIPS else ""


def _refuse_containers(known: pd.Series[Any], name: str) -> None:
    """Refuse a column of lists, dictionaries or arrays: neither a number nor a label."""
    odd = _which(known, (list, tuple, dict, set, np.ndarray))
    if odd.any():
        raise InvalidInput(
            f"expected numbers or labels in '{name}', got {str(known[odd].iloc[0])[:60]} in row {odd.idxmax()}; make a "
            "column of each of its parts"
        )


def _floats(known: pd.Series[Any], like: pd.Series[Any]) -> pd.Series[Any]:
    """Return numbers in the places of a column, NaN elsewhere."""
    return known.map(float).reindex(like.index).astype(np.float64)


def _mixed(
    column: pd.Series[Any], numbers: pd.Series[Any], text: pd.Series[Any], name: str
) -> tuple[pd.Series[Any], str]:
    """Return a column of numbers and texts: numbers if all its texts are, or stand for missing; else text."""
    absent = is_missing(text) | text.str.casefold().isin(AMONG_NUMBERS)
    words = ", ".join(f"'{word}' ({count})" for word, count in text[absent].value_counts().items())
    gone = f"'{name}' holds {words} among numbers, read as missing" if words else ""
    text = text[~absent]
    read = pd.to_numeric(text, errors="coerce").astype(np.float64)
    if read.notna().all():
        values = column.where(column.index.isin(numbers.index), np.nan).astype(np.float64)
        values[text.index] = read
        said = (
            f"'{name}' holds numbers as text ({text.iloc[0]!r} in row {text.index[0]}), read as numbers"
            if len(text)
            else ""
        )
        return values, "; ".join(filter(None, (said, gone)))
    wrong = text[read.isna()]
    return column.map(lambda value: value if pd.isna(value) else _text(value)), _slips(
        name, len(numbers) + len(text), wrong
    )


def _slips(name: str, known: int, wrong: pd.Series[Any]) -> str:
    """Say that a column is text because of a few values: nearly always a slip of who typed it."""
    return (
        f"'{name}' is text, not numbers, because of {len(wrong)} of {plural(known, 'value')}: {wrong.iloc[0]!r} in row "
        f"{wrong.index[0]}"
    )


def _finite(column: pd.Series[Any], name: str) -> str:
    """Refuse infinite numbers; name one that may stand for missing."""
    values = column.dropna().to_numpy(dtype=np.float64)
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        raise InvalidInput(
            f"expected finite numbers in '{name}', got {values[infinite[0]]:g} in {len(infinite)} of {len(values)} "
            f"rows, first in row {column.dropna().index[infinite[0]]}; leave them empty, or correct them"
        )
    code, count = far_code(values)
    return (
        f"'{name}' has {code:g} in {plural(count, 'row')}, far from all else: if it means missing, blank it"
        if count
        else ""
    )


def few_or_many(column: pd.Series[Any], name: str) -> str:
    """Return what is to be said of a category that can't be a term, or is many."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        return ""
    values = column.unique()
    if len(values) == 1:
        return f"'{name}' has one value alone, {str(values[0])!r}: nothing can be compared along it"
    if len(values) >= 10 and len(values) > len(column) / 10:
        return f"'{name}' is no number: its {len(values)} values in {len(column)} rows are a term each"
    return ""

"""The file of a fixed design: its columns, how they were read, and which of them can't be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from nestbench.sim.errors import InvalidInput, did_you_mean
from nestbench.sim.files import read_file
from nestbench.sim.observed.batch import Batch, batch_of_frame
from nestbench.sim.tables.reading import TableFile, columns_text, table_of
from nestbench.sim.tables.usable import labels_of, on_column, read_column


@dataclass(frozen=True, slots=True, eq=False)
class DesignFile:
    """A table whose rows stay as they are.

    Attributes
    ----------
    batch : Batch
        One replication: the columns that can be used.
    said : mapping of str to str
        What was done to each column, in words; "" for the whole.
    unusable : mapping of str to str
        Column -> why it may not be in a formula.
    """

    batch: Batch
    said: Mapping[str, str]
    unusable: Mapping[str, str]


def content_of(path: str) -> bytes:
    """Return what is in the file.

    Raises
    ------
    InvalidInput
        There is none, or it can't be read.
    """
    try:
        return read_file(Path(path))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InvalidInput(
            f"expected population.data to be a readable table, got '{path}' ({why})"
        ) from error


def design_file(path: str, content: bytes, school: str, outcome: str) -> DesignFile:
    """Return the table in a file's bytes, with a column of zeros for the outcome.

    Raises
    ------
    InvalidInput
        It is no table, or schools are not named in every row.

    Parameters
    ----------
    path : str
        What the file is called, for messages: it is read by the caller, once.
    content : bytes
        What is hashed into the key too, so that the numbers belong to the contents, not to the place.
    school, outcome : str
        Columns; the outcome need not be in the file, for it is drawn.
    """
    table = _table(path, content, (school,))
    frame = table.frame.set_axis([str(name) for name in table.frame.columns], axis="columns")
    names = list(dict.fromkeys(frame.columns))
    if school not in names:
        raise InvalidInput(
            f"expected a column '{school}' of schools in '{path}', got {columns_text(names)}."
            f"{did_you_mean(school, names)} Name it with population.school"
        )
    read: dict[str, pd.Series[Any]] = {}
    said, unusable = dict(table.messages), dict[str, str]()
    for name in names:
        try:
            read[name], words = _read(frame, name, school, said.get(name, ""))
        except InvalidInput as error:
            unusable[name] = str(error)
        else:
            said[name] = "; ".join(filter(None, (said.get(name, ""), words)))
    if school in unusable:
        raise InvalidInput(f"population.data, '{path}': {unusable[school]}")
    usable = pd.DataFrame(read, index=frame.index).assign(**{outcome: 0.0})
    return DesignFile(
        batch_of_frame(usable, school), said, {n: w for n, w in unusable.items() if n != outcome}
    )


def _read(frame: pd.DataFrame, name: str, school: str, told: str) -> tuple[pd.Series[Any], str]:
    column: Any = frame[name]  # a table where the name occurs twice
    if isinstance(column, pd.DataFrame):
        raise InvalidInput(f"expected one column '{name}', got several; rename or drop one")
    values, said = (labels_of(column, name), "") if name == school else read_column(column, name, told)
    if gaps := int(values.isna().sum()):
        raise InvalidInput(
            f"expected no missing values in '{name}', got {gaps} in {len(values)} rows; drop those rows of the file"
        )
    return values, "; ".join(filter(None, (said, on_column(values, name, name != school))))


@lru_cache(maxsize=64)
def require_labels_apart(path: str, digest: str, school: str, subgroup: str) -> str:
    """Refuse labels of groups in schools that are told apart as text alone: the file's column was read as numbers.

    `digest` is the file's, for what was found is remembered. Returns what is to be said of the labels.

    Raises
    ------
    InvalidInput
        Names two of them.
    """
    as_labels = _table(path, content_of(path), (school, subgroup))
    if subgroup not in as_labels.frame.columns:
        return ""  # the method that wants it says so
    labels = as_labels.frame[subgroup].astype(object)
    numbers = _table(path, content_of(path), (school,)).frame[subgroup]
    if pd.api.types.is_numeric_dtype(numbers.dtype):
        pairs = pd.DataFrame({"label": labels, "number": numbers}).dropna().drop_duplicates()
        again = pairs[pairs["number"].duplicated(keep=False)]
        if len(again):
            first, second = again.loc[again["number"] == again["number"].iloc[0], "label"].iloc[:2]
            raise InvalidInput(
                f"expected labels in '{subgroup}' of '{path}' that differ as numbers too, got {first!r} and "
                f"{second!r}; write a letter before each"
            )
    return as_labels.messages.get(subgroup, "")


def _table(path: str, content: bytes, labels: tuple[str, ...]) -> TableFile:
    """Read the file's bytes as a table, whatever its format; what can't be read is said of `population.data`."""
    try:
        return table_of(Path(path), content, labels)
    except InvalidInput as error:
        raise InvalidInput(f"population.data: {error}") from error

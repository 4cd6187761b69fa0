"""From a user's table to a batch of one data set, with every refusal in words."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nestbench.sim.batch import Batch, batch_of_frame
from nestbench.sim.counted import plural
from nestbench.sim.design import design_of
from nestbench.sim.errors import InvalidInput, did_you_mean
from nestbench.sim.model import Model
from nestbench.sim.parsing import QUOTED, Parsed, parse
from nestbench.sim.tables import columns_text

EXACT = 2.0**53
"""From here on not every whole number is a float: an id may have become its neighbour's."""


@dataclass(frozen=True, slots=True)
class UserData:
    """A user's data, ready to fit.

    Attributes
    ----------
    batch : Batch
        One replication: the columns the model uses, complete rows only.
    messages : tuple of str
        What was done to the data.
    n, groups : int
        Students and schools that are left.
    """

    batch: Batch
    messages: tuple[str, ...]
    n: int
    groups: int


def null_values(given: Sequence[str]) -> dict[str, float]:
    """Return null values by term from texts ``TERM=VALUE``; a term may hold ``=`` itself.

    Raises
    ------
    InvalidInput
        Not of this form, no number, or a term twice.
    """
    found: dict[str, float] = {}
    for text in given:
        term, _, value = text.rpartition("=")
        term = term.strip()
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not term or not math.isfinite(number):
            raise InvalidInput(
                f"expected --null as TERM=VALUE with a number, got '{text}'; e.g. --null treated=0.3"
            )
        if term in found:
            raise InvalidInput(f"expected one null value a term, got two for '{term}'; leave one out")
        found[term] = number
    return found


def prepare(frame: pd.DataFrame, model: Model, messages: Mapping[str, str] | None = None) -> UserData:
    """Return the complete rows of the columns a model uses, as a batch; `messages` tell how each column was read.

    Raises
    ------
    InvalidInput
        A column is missing or named twice, no complete row is left, the group column holds a single value, the outcome
        is not numeric, or the formula can't be read.
    """
    if not isinstance(frame, pd.DataFrame):
        raise InvalidInput(
            f"expected a pandas DataFrame, got {type(frame).__name__}; e.g. pandas.read_csv('student_data.csv')"
        )
    named = frame.set_axis([str(name) for name in frame.columns], axis="columns")
    groups = groups_of(model)
    names = list(named.columns)
    _require_groups_named(model, names)
    parts = _parsed(model, tuple(names))
    used = _used_columns(parts, model, names)
    _refuse_twice([*used, *groups], names)
    chosen = named[[*used, *groups]]
    read = {name: _labels(chosen[name], name) for name in groups}
    said = [words for name, words in (messages or {}).items() if name in ("", *used, *groups)]
    for name in used:
        read[name], word = _values(chosen[name], name)
        said += [word] if word else []
    clean = pd.DataFrame(read, index=chosen.index)[list(chosen.columns)]
    complete = clean.dropna()
    said += _dropped(len(clean), len(complete), clean)
    complete = complete.assign(**{name: _plain(complete[name]) for name in used})
    _require_two(complete[model.group], model.group)
    _require_numeric_outcome(parts[0].outcome, complete)
    batch = batch_of_frame(complete, model.group)
    batch.once(design_of, model)
    return UserData(batch, tuple(said), len(complete), len(batch.school_offsets) - 1)


def groups_of(model: Model) -> list[str]:
    """Return the columns of labels that a model needs beside its formula's."""
    return [model.group] if model.subgroup is None else [model.group, model.subgroup]


def _require_groups_named(model: Model, columns: Sequence[str]) -> None:
    options = {"--group (group=...)": model.group, "--subgroup (subgroup=...)": model.subgroup}
    for option, name in options.items():
        if name is not None and name not in columns:
            whose = "the school column" if name == model.group else "the column of groups in groups"
            raise InvalidInput(
                f"expected a column '{name}', got the columns {columns_text(columns)}.{did_you_mean(name, columns)} "
                f"Name {whose} with {option}"
            )


def _parsed(model: Model, columns: tuple[str, ...]) -> tuple[Parsed, Parsed]:
    own = tuple(groups_of(model))
    try:
        parts = (parse(model.formula, columns, own), parse(f"~ {model.random}", columns, own))
    except InvalidInput:
        _require_backticks(model.formula, columns)
        raise
    for part in parts:
        for name in part.names:
            if name not in columns:
                _require_backticks(part.text, columns)
                raise InvalidInput(
                    f"the formula '{part.text}' names '{name}', which is not a column."
                    f"{did_you_mean(name, columns)} Columns: {columns_text(columns)}"
                )
    return parts


def _require_backticks(formula: str, columns: Sequence[str]) -> None:
    """Refuse a formula that names a column whose name is no word without backticks."""
    text = QUOTED.sub(" ", formula)
    for name in sorted((c for c in columns if not c.isidentifier() and c.strip()), key=len, reverse=True):
        if re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", text):
            raise InvalidInput(
                f"the formula '{formula}' names the column '{name}', whose name is not a single word; write it in "
                f"backticks: `{name}` (in a shell, the formula in single quotes)"
            )


def _used_columns(parts: Sequence[Parsed], model: Model, columns: Sequence[str]) -> list[str]:
    """Return the columns that the formulas name, in the frame's order."""
    names = {name for part in parts for name in part.names}
    if model.group in names:
        raise InvalidInput(
            f"expected a formula without the group column, got '{model.formula}' with group '{model.group}'; "
            "for school dummies leave it out and use the estimator 'dummies', for a random part write "
            f"(1 | {model.group})"
        )
    return list(dict.fromkeys(name for name in columns if name in names and name != model.subgroup))


def _refuse_twice(names: Sequence[str], columns: Sequence[str]) -> None:
    for name in names:
        if columns.count(name) > 1:
            raise InvalidInput(f"expected one column '{name}', got several of that name; rename or drop one")


def _labels(column: pd.Series[Any], name: str) -> pd.Series[Any]:
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
    trimmed = text[present].map(lambda value: str(value).strip())
    return trimmed[trimmed != ""].reindex(text.index).astype("object")


def _values(column: pd.Series[Any], name: str) -> tuple[pd.Series[Any], str]:
    """Return a column as numbers or categories, and what is to be said of it.

    Numbers among objects are numbers (pandas keeps them so when a table is put together by hand).
    """
    if not pd.api.types.is_object_dtype(column.dtype):
        return column, ""
    known = column.dropna()
    numeric = known.map(lambda value: isinstance(value, (bool, int, float, np.number)))
    if len(known) and numeric.all():
        return pd.to_numeric(column.where(column.notna(), np.nan)).astype(np.float64), ""
    wrong = known[~numeric]
    if numeric.any():
        return column, (
            f"'{name}' is text, not numbers, because of {len(wrong)} of "
            f"{plural(len(known), 'value')}: {wrong.iloc[0]!r} in row "
            f"{wrong.index[0]}"
        )
    return column.where(column.isna(), column.astype(str).str.strip()), ""


def _dropped(before: int, after: int, frame: pd.DataFrame) -> list[str]:
    if before == after and after > 0:
        return []
    where = frame.isna().sum()
    counts = ", ".join(f"{name} {count}" for name, count in where.items() if count)
    if not after:
        raise InvalidInput(
            f"expected at least one complete row, got none of {before} (missing values: {counts or 'no rows at all'}); "
            "leave out columns with many missing values"
        )
    return [f"dropped {before - after} of {plural(before, 'row')} with missing values ({counts})"]


def _plain(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column without levels that no row has (they would be columns of zeros)."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.remove_unused_categories()
    return column


def _require_two(labels: pd.Series[Any], group: str) -> None:
    values = labels.unique()
    if len(values) < 2:
        raise InvalidInput(
            f"expected at least two different values in the group column '{group}', got only {values[0]!r}; "
            "nested data need several schools"
        )


def _require_numeric_outcome(outcome: str | None, frame: pd.DataFrame) -> None:
    if outcome in frame.columns and not pd.api.types.is_numeric_dtype(frame[outcome].dtype):
        example = frame[outcome].iloc[0]
        raise InvalidInput(
            f"expected a numeric outcome, got the column '{outcome}' with values such as {example!r}; "
            "convert it to numbers first"
        )

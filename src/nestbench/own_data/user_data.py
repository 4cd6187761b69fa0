"""From a user's table to a batch of one data set, with every refusal in words."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from nestbench.sim.counted import plural
from nestbench.sim.errors import InvalidInput, did_you_mean
from nestbench.sim.observed.batch import Batch, batch_of_frame
from nestbench.sim.observed.design import design_of, require_finite
from nestbench.sim.observed.model import Model, refuse_own_outcome
from nestbench.sim.observed.parsing import QUOTED, Parsed, parse
from nestbench.sim.tables.notation import share_of_numbers
from nestbench.sim.tables.reading import columns_text
from nestbench.sim.tables.usable import labels_of, on_column, read_column


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
    values: dict[str, float] = {}
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
        if term in values:
            raise InvalidInput(f"expected one null value a term, got two for '{term}'; leave one out")
        values[term] = number
    return values


def prepare(frame: pd.DataFrame, model: Model, messages: Mapping[str, str] | None = None) -> UserData:
    """Return the complete rows of the columns a model uses, as a batch; `messages` tell how each column was read.

    Raises
    ------
    InvalidInput
        A column is missing or named twice, no complete row is left, the group column holds a single value, the outcome
        is not numeric, or the formula can't be read.

    Parameters
    ----------
    frame : DataFrame
    model : Model
    messages : mapping, optional
        Column -> how its reader read it; shown for the columns in use only.

    Raises
    ------
    InvalidInput
        A column that isn't there, occurs twice or can't be used; no complete row; a single school.
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
    in_use = named[[*used, *groups]]
    # Columns are read apart and put together again by the labels of their rows.
    in_use = in_use if in_use.index.is_unique else in_use.reset_index(drop=True)
    read = {name: labels_of(in_use[name], name) for name in groups}
    from_file = messages or {}
    said = [words for name, words in from_file.items() if name in ("", *used, *groups)]
    for name in used:
        read[name], word = read_column(in_use[name], name, from_file.get(name, ""))
        said += [word] if word else []
    clean = pd.DataFrame(read, index=in_use.index)[list(in_use.columns)]
    complete = clean.dropna()
    said += _dropped(len(clean), len(complete), clean)
    # After rows have gone, for those may have been all of a level.
    complete = complete.assign(**{name: _without_unused_levels(complete[name]) for name in used})
    _require_two(complete[model.group], model.group)
    _require_numeric_outcome(parts[0].outcome, complete)
    terms = [name for name in used if name != parts[0].outcome]
    # Said of the rows that are fitted, not of the file.
    said += filter(None, (on_column(complete[name], name, name in terms) for name in (*used, *groups)))
    said += _on_subgroup(complete, model, parts)
    batch = batch_of_frame(complete, model.group)
    require_finite(batch, batch.once(design_of, model))
    return UserData(batch, tuple(said), len(complete), len(batch.school_offsets) - 1)


def groups_of(model: Model) -> list[str]:
    """Return the columns of labels that a model needs beside its formula's."""
    return [model.group] if model.subgroup is None else [model.group, model.subgroup]


def _require_groups_named(model: Model, columns: Sequence[str]) -> None:
    """Refuse data without the column of schools (or of groups in them): the first thing to be asked."""
    options = {"--group (group=...)": model.group, "--subgroup (subgroup=...)": model.subgroup}
    for option, name in options.items():
        if name is not None and name not in columns:
            whose = "the school column" if name == model.group else "the column of groups in groups"
            raise InvalidInput(
                f"expected a column '{name}', got the columns {columns_text(columns)}.{did_you_mean(name, columns)} "
                f"Name {whose} with {option}{_one_column(columns)}"
            )


def _one_column(columns: Sequence[str]) -> str:
    """Return a hint where a file was read as a single column: its separator is another."""
    alone = len(columns) == 1 and not columns[0].isidentifier()
    return "; the fields of a file stand between commas, semicolons, tabs or bars" if alone else ""


def _parsed(model: Model, columns: tuple[str, ...]) -> tuple[Parsed, Parsed]:
    """Return formula and random part as read, with columns that need backticks named in the error."""
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
    # The longest first, since a name may hold another.
    for name in sorted((c for c in columns if not c.isidentifier() and c.strip()), key=len, reverse=True):
        if re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", text):
            raise InvalidInput(
                f"the formula '{formula}' names the column '{name}', whose name is not a single word; write it in "
                f"backticks: `{name}` (in a shell, the formula in single quotes)"
            )


def _used_columns(parts: tuple[Parsed, Parsed], model: Model, columns: Sequence[str]) -> list[str]:
    """Return the columns that the formulas name, in the frame's order."""
    names = {name for part in parts for name in part.names}
    refuse_own_outcome(model, *parts)
    joined = next((n for n in names if ":" in n and names.issuperset(n.split(":"))), None)
    if joined is not None:
        raise InvalidInput(
            f"expected names that can be told from products of columns, got the column '{joined}'; rename it"
        )
    if model.group in names:
        raise InvalidInput(
            f"expected a formula without the group column, got '{model.formula}' with group '{model.group}'; "
            "for school dummies leave it out and use the method 'dummies', for a random part write "
            f"(1 | {model.group})"
        )
    return list(dict.fromkeys(name for name in columns if name in names and name != model.subgroup))


def _refuse_twice(names: Sequence[str], columns: Sequence[str]) -> None:
    """Refuse a column that is used and occurs twice."""
    for name in names:
        if columns.count(name) > 1:
            raise InvalidInput(f"expected one column '{name}', got several of that name; rename or drop one")


def _dropped(before: int, after: int, frame: pd.DataFrame) -> list[str]:
    """Return which rows were dropped, in words; refuse data of which none is left."""
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


def _without_unused_levels(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column without levels that no row has (they would be columns of zeros)."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.remove_unused_categories()
    return column


def _require_two(labels: pd.Series[Any], group: str) -> None:
    """Refuse a column of groups with one value."""
    values = labels.unique()
    if len(values) < 2:
        raise InvalidInput(
            f"expected at least two different values in the group column '{group}', got only {values[0]!r}; "
            "nested data need several schools"
        )


def _on_subgroup(frame: pd.DataFrame, model: Model, parts: Sequence[Parsed]) -> list[str]:
    """Say that labels of groups in groups occur in several groups, and that they are labels as a term too."""
    name, said = model.subgroup, []
    if name is None:
        return []
    where = frame[[model.group, name]].drop_duplicates()[name]
    again = where[where.duplicated()]
    if len(again):
        said.append(
            f"'{name}' has labels that occur in several '{model.group}', such as {again.iloc[0]!r}: taken as different "
            "ones in each"
        )
    if any(name in part.names for part in parts):
        said.append(f"'{name}' is the subgroup: as a term its values are categories")
    return said


def _require_numeric_outcome(outcome: str | None, frame: pd.DataFrame) -> None:
    """Refuse an outcome of labels, with the first value that is no number."""
    if outcome in frame.columns and not pd.api.types.is_numeric_dtype(frame[outcome].dtype):
        values = frame[outcome]
        _, wrong = share_of_numbers(values.astype(str))
        known = len(wrong) > 0 and values.index.is_unique
        example = values.loc[wrong.index[0]] if known else values.iloc[0]
        raise InvalidInput(
            f"expected a numeric outcome, got the column '{outcome}' with values such as {example!r}"
            f"{f', first in row {wrong.index[0]}' if known else ''}; convert it to numbers first"
        )

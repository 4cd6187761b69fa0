"""From a user's table to a batch of one data set, with every refusal in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from formulaic import Formula
from formulaic.errors import FormulaicError

from nestbench.sim.batch import Batch, batch_of_frame
from nestbench.sim.design import design_of
from nestbench.sim.errors import InvalidInput, did_you_mean
from nestbench.sim.formula import GROUP_CENTRED, GROUP_MEAN
from nestbench.sim.model import Model

_QUOTED = re.compile(r"`([^`]+)`")
_WORD = re.compile(r"[^\W\d]\w*")


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


def prepare(frame: pd.DataFrame, model: Model) -> UserData:
    """Return the complete rows of the columns a model uses, as a batch.

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
    chosen = [model.group] if model.subgroup is None else [model.group, model.subgroup]
    names = list(named.columns)
    for option, column in zip(("group", "subgroup"), chosen, strict=False):
        _require_column(column, names, option)
    _require_variables(model, names)
    used = _used_columns(model, names)
    _refuse_twice([*used, *chosen], names)
    complete = named[[*used, *chosen]].dropna()
    messages = _dropped(len(named), len(complete), named[[*used, *chosen]])
    complete = complete.assign(**{name: _plain(complete[name]) for name in used})
    if model.subgroup is not None:
        complete = complete.assign(**{model.subgroup: complete[model.subgroup].astype(str)})
    _require_groups(complete[model.group], model.group)
    batch = batch_of_frame(complete, model.group)
    _require_numeric_outcome(model, complete)
    batch.once(design_of, model)
    return UserData(batch, messages, len(complete), len(batch.school_offsets) - 1)


def _require_column(name: str, columns: Sequence[str], option: str) -> None:
    if name not in columns:
        whose = "the school column" if option == "group" else "the column of groups in groups"
        raise InvalidInput(
            f"expected a column '{name}', got the columns {', '.join(columns)}.{did_you_mean(name, columns)} "
            f"Name {whose} with --{option} ({option}=...)"
        )


def _require_backticks(formula: str, columns: Sequence[str]) -> None:
    """Refuse a formula that names a column whose name is no word without backticks."""
    text = _QUOTED.sub(" ", formula)
    for name in sorted((c for c in columns if not c.isidentifier() and c.strip()), key=len, reverse=True):
        if re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", text):
            raise InvalidInput(
                f"the formula '{formula}' names the column '{name}', whose name is not a single word; write it in "
                f"backticks: `{name}` (in a shell, the formula in single quotes)"
            )


def _require_variables(model: Model, columns: Sequence[str]) -> None:
    """Refuse a formula whose variables are not all columns; what formulaic can't parse is left to the design."""
    for formula in (model.formula, f"~ {model.random}"):
        try:
            needed = {str(name) for name in Formula(formula).required_variables}
            needed -= {quoted.partition(".")[0] for quoted in _QUOTED.findall(formula) if quoted in columns}
        except FormulaicError:
            _require_backticks(formula, columns)
            continue
        if needed - set(columns):
            _require_backticks(formula, columns)
        for name in sorted(needed - set(columns) - {GROUP_MEAN, GROUP_CENTRED}):
            raise InvalidInput(
                f"the formula '{formula}' names '{name}', which is not a column.{did_you_mean(name, columns)} "
                f"Columns: {', '.join(columns)}"
            )


def _used_columns(model: Model, columns: Sequence[str]) -> list[str]:
    """Return the columns that the formulas name, in the frame's order."""
    text = f"{model.formula} {model.random}"
    names = {*_QUOTED.findall(text), *_WORD.findall(_QUOTED.sub(" ", text))}
    own = {model.group, model.subgroup}
    used = [name for name in columns if name in names and name not in own]
    if model.group in names:
        raise InvalidInput(
            f"expected a formula without the group column, got '{model.formula}' with group '{model.group}'; "
            "for school dummies leave it out and use the estimator 'dummies'"
        )
    return used


def _refuse_twice(names: Sequence[str], columns: Sequence[str]) -> None:
    for name in names:
        if columns.count(name) > 1:
            raise InvalidInput(f"expected one column '{name}', got several of that name; rename or drop one")


def _dropped(before: int, after: int, frame: pd.DataFrame) -> tuple[str, ...]:
    if before == after and after > 0:
        return ()
    where = frame.isna().sum()
    counts = ", ".join(f"{name} {count}" for name, count in where.items() if count)
    if not after:
        raise InvalidInput(
            f"expected at least one complete row, got none of {before} (missing values: {counts or 'no rows at all'}); "
            "leave out columns with many missing values"
        )
    return (f"dropped {before - after} of {before} rows with missing values ({counts})",)


def _plain(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column without levels that no row has (they would be columns of zeros)."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.remove_unused_categories()
    return column


def _require_groups(labels: pd.Series[Any], group: str) -> None:
    values = labels.astype(str).unique()
    if len(values) < 2:
        raise InvalidInput(
            f"expected at least two different values in the group column '{group}', got only {values[0]!r}; "
            "nested data need several schools"
        )


def _require_numeric_outcome(model: Model, frame: pd.DataFrame) -> None:
    outcome = model.formula.split("~")[0].strip().strip("`")
    if outcome in frame.columns and not pd.api.types.is_numeric_dtype(frame[outcome].dtype):
        example = frame[outcome].iloc[0]
        raise InvalidInput(
            f"expected a numeric outcome, got the column '{outcome}' with values such as {example!r}; "
            "convert it to numbers first"
        )

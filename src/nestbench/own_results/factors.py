"""Which columns are factors of the study, and which rows belong to which condition.

Every column without a role is looked at. Left out are those that are the same everywhere, that belong to the methods or
terms, that number the conditions, and that change from row to row as times and counts of iterations do: a factor's
level has many replications. What was left out, and why, is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nestbench.estimators.estimates import STORED_COLUMNS
from nestbench.own_results.asked import Asked, found_in
from nestbench.own_results.names import INDICES, METHOD, NAMES, REPLICATION, TERM, TRUTH, folded
from nestbench.own_results.roles import Roles
from nestbench.own_results.values import MISSING, levels
from nestbench.sim.counted import plural
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Ints
from nestbench.sim.visible import visible

FEWEST = 5
"""Rows a level, on average, from which on a column can be a factor."""

SHORT = 2
"""Replications of a method in a condition, in the middle of all, below which something isn't a factor."""

_HEADS = "cell,condition,estimator,term,measure,value,mcse,n,n_attempted,factors,replication,status,message"
TAKEN = frozenset({*_HEADS.split(","), *STORED_COLUMNS})
"""Columns of the tables that reports make: a factor of such a name gets a prefix, which titles don't show."""


@dataclass(frozen=True, slots=True, eq=False)
class Conditions:
    """The conditions of a table.

    Attributes
    ----------
    levels : tuple of mapping
        For each condition, factor -> level.
    codes : int64 [rows]
        The condition of each row.
    fixed : mapping
        Columns that are the same everywhere, with their value.
    said : tuple of str
        What was left out, and what looks odd.
    """

    levels: tuple[Mapping[str, Any], ...]
    codes: Ints
    fixed: Mapping[str, Any]
    said: tuple[str, ...]


def conditions_of(
    frame: pd.DataFrame, roles: Roles, asked: Asked, fits: Mapping[str, pd.Series[Any]]
) -> Conditions:
    """Return the conditions of a long table.

    Parameters
    ----------
    frame : DataFrame
    roles : mapping
    asked : Asked
    fits : mapping
        Role -> labels of the rows: method, term and, where there are, replication.

    Raises
    ------
    InvalidInput
        A factor that isn't there, or levels so many that conditions have no replications.
    """
    chosen, said = _chosen(frame, roles, asked)
    columns = {name: levels(frame[name], name) for name in chosen}
    fixed = {name: values.iloc[0] for name, values in columns.items() if values.nunique() == 1}
    columns = {name: values for name, values in columns.items() if name not in fixed}
    if asked.factors is None:
        said += _drop(columns, roles, fits)
    else:
        fixed = {}
        columns = {name: levels(frame[name], name) for name in asked.factors}
    for name, values in columns.items():
        if count := int((values == MISSING).sum()):
            said.append(f"factor '{name}' is missing in {plural(count, 'row')}: a level of its own")
    said += [f"factor '{name}' is called {called(name)} in tables" for name in columns if name in TAKEN]
    combinations, codes = _combined(columns, frame)
    _refuse_thin(columns, codes, fits)
    return Conditions(tuple(combinations), codes, fixed, tuple(said))


def _chosen(frame: pd.DataFrame, roles: Roles, asked: Asked) -> tuple[list[str], list[str]]:
    """Return the columns that may be factors, and what is to be said of those ignored."""
    found_in(asked.ignored, frame.columns, "--ignore")
    if asked.factors is not None:
        found_in(asked.factors, frame.columns, "--factors")
    used = {name for role, names in roles.items() if role != TRUTH for name in names}
    chosen = [str(name) for name in frame.columns if name not in used and name not in asked.ignored]
    if asked.factors is None:
        # Of two truths the one that was given counts; the other is no factor for that.
        other = [
            n for n in chosen if TRUTH in asked.columns and TRUTH not in roles and folded(n) in NAMES[TRUTH]
        ]
        said = [f"left out, for the truth was given: {_named(other)}"] if other else []
        return [name for name in chosen if name not in other], said
    left = [name for name in chosen if name not in asked.factors and name not in roles.get(TRUTH, ())]
    return list(asked.factors), [f"left out, as not among the factors: {_named(left)}"] if left else []


def _drop(columns: dict[str, pd.Series[Any]], roles: Roles, fits: Mapping[str, pd.Series[Any]]) -> list[str]:
    """Take out of the columns, in place, those that are no factors; return what is to be said."""
    said = []
    for name in list(columns):
        values = columns[name]
        count = values.nunique()
        if len(values) < FEWEST * count:
            if name not in roles.get(TRUTH, ()):
                rows = plural(len(values), "row")
                said.append(f"'{name}' isn't a factor: {count:,} values in {rows}, left out")
            del columns[name]
        elif owner := next((role for role in (METHOD, TERM) if _follows(values, fits[role])), ""):
            if name not in roles.get(TRUTH, ()):
                said.append(f"'{name}' belongs to the {owner}s, left out of the factors")
            del columns[name]
    for drop in (_diagnostics, _indices):
        said += drop(columns, fits)
    truth = next(iter(roles.get(TRUTH, ())), "")
    if truth in columns and _determined(columns, truth, [fits[TERM]]):
        del columns[truth]
    return said


def _follows(values: pd.Series[Any], owner: pd.Series[Any]) -> bool:
    """Whether a column is a function of the method or term, of which there are several."""
    return owner.nunique() > 1 and int(values.groupby(owner.to_numpy()).nunique().max()) == 1


def _diagnostics(columns: dict[str, pd.Series[Any]], fits: Mapping[str, pd.Series[Any]]) -> list[str]:
    """Drop columns that differ between the fits of one data set and that no row needs to be told apart."""
    said: list[str] = []
    if REPLICATION not in fits or fits[METHOD].nunique() * fits[TERM].nunique() == 1:
        return said
    # Those with most levels first: beside one of them a factor, too, may seem to tell no rows apart.
    for name in sorted(columns, key=lambda name: -columns[name].nunique()):
        others = [values.to_numpy() for other, values in columns.items() if other != name]
        data_set = _group([*others, fits[REPLICATION].to_numpy()])
        row = _group([data_set, fits[METHOD].to_numpy(), fits[TERM].to_numpy()])
        differs = pd.Series(_group([columns[name].to_numpy()])).groupby(data_set).nunique().max() > 1
        if differs and len(np.unique(row)) == len(row):
            said.append(f"'{name}' isn't a factor: it differs between the fits of a data set, left out")
            del columns[name]
    return said


def _indices(columns: dict[str, pd.Series[Any]], fits: Mapping[str, pd.Series[Any]]) -> list[str]:
    """Drop columns that number the conditions which the others make."""
    said = []
    for name in [name for name in columns if folded(name) in INDICES]:
        others = [other for other in columns if other != name]
        if others and _determined(columns, name, []):
            said.append(f"'{name}' numbers the conditions, which the other factors tell apart; left out")
            del columns[name]
    return said


def _determined(columns: Mapping[str, pd.Series[Any]], name: str, more: Sequence[pd.Series[Any]]) -> bool:
    """Whether a column is a function of the others, and of `more`."""
    others = [values.to_numpy() for other, values in columns.items() if other != name]
    others += [values.to_numpy() for values in more]
    if not others:
        return False
    return int(pd.Series(_group([columns[name].to_numpy()])).groupby(_group(others)).nunique().max()) == 1


def _group(columns: Sequence[Any]) -> Ints:
    """Return a number a combination of values [rows]."""
    codes = np.zeros(len(columns[0]), dtype=np.int64)
    for values in columns:
        own, _ = pd.factorize(values)
        codes = np.unique(codes * (own.max() + 1) + own, return_inverse=True)[1].astype(np.int64)
    return codes


def _combined(
    columns: Mapping[str, pd.Series[Any]], frame: pd.DataFrame
) -> tuple[list[dict[str, Any]], Ints]:
    """Return the combinations of levels that occur, the first factor slowest, and that of each row."""
    if not columns:
        return [{}], np.zeros(len(frame), dtype=np.int64)
    ranks = []
    for name, values in columns.items():
        order = {level: k for k, level in enumerate(_ordered(values, frame[name]))}
        ranks.append(values.map(order).to_numpy(dtype=np.int64))
    _, first, codes = np.unique(np.column_stack(ranks), axis=0, return_index=True, return_inverse=True)
    named = {called(name): values for name, values in columns.items()}
    found = [{name: values.iloc[place] for name, values in named.items()} for place in first]
    return found, codes.reshape(-1).astype(np.int64)


def called(name: str) -> str:
    """Return what a factor is called in tables: ``factor.n`` where ``n`` means something else there."""
    return f"factor.{name}" if name in TAKEN else visible(name)


def _ordered(values: pd.Series[Any], column: pd.Series[Any]) -> list[Any]:
    """Return the levels in order: numbers ascending, categories in theirs, other texts as they first appear."""
    found = list(dict.fromkeys(values))
    if isinstance(column.dtype, pd.CategoricalDtype):
        place = {str(level): k for k, level in enumerate(column.cat.categories)}
        return sorted(found, key=lambda level: place.get(str(level), len(place)))
    numeric = [level for level in found if isinstance(level, (int, float))]
    return sorted(numeric) + [level for level in found if not isinstance(level, (int, float))]


def _refuse_thin(
    columns: Mapping[str, pd.Series[Any]], codes: Ints, fits: Mapping[str, pd.Series[Any]]
) -> None:
    """Refuse factors that leave conditions without replications."""
    sizes = pd.Series(codes).groupby(_group([codes, fits[METHOD].to_numpy(), fits[TERM].to_numpy()])).size()
    if not columns or sizes.median() >= SHORT:
        return
    counts = sorted(((values.nunique(), name) for name, values in columns.items()), reverse=True)
    named = ", ".join(f"'{name}' ({count:,} levels)" for count, name in counts[:6])
    raise InvalidInput(
        f"expected factors whose conditions have many replications, got {plural(int(codes.max()) + 1, 'condition')} of "
        f"about one from {named}; say which are factors with --factors A,B, or leave the others out with --ignore C"
    )


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:12])
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "")

"""From a table of results to a run: the one way, for files and for frames."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nestbench.estimators.estimates import Estimates
from nestbench.experiments.experiment import Experiment
from nestbench.own_results import fits as fitting
from nestbench.own_results.asked import Asked
from nestbench.own_results.factors import Conditions, conditions_of
from nestbench.own_results.inference import numbers_of
from nestbench.own_results.names import (
    ESTIMATE,
    MESSAGE,
    METHOD,
    NUMBERS,
    REPLICATION,
    STATUS,
    TERM,
    TRUTH,
    P,
)
from nestbench.own_results.placing import places_of
from nestbench.own_results.roles import Roles, roles_of, words_of
from nestbench.own_results.statuses import Statuses, statuses_of, without_status
from nestbench.own_results.study import experiment_of
from nestbench.own_results.truths import UNKNOWN, by_term, moved, truths_of
from nestbench.own_results.values import MISSING, labels, numbers
from nestbench.own_results.wide import to_long
from nestbench.sim.counted import plural
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Floats
from nestbench.sim.tables.reading import read_table

LONGEST = 200
"""Letters of a method's name."""

ONE_METHOD = "results"
"""The method of a table that names none."""


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """What a table holds: the experiment that stands for it, estimates by condition and method, what is to be said."""

    experiment: Experiment
    fits: Sequence[Mapping[str, Estimates]]
    said: tuple[str, ...]
    mark: str


def results_of(table: str | Path | pd.DataFrame, asked: Asked, name: str = "") -> Results:
    """Return the results in a table.

    Parameters
    ----------
    table : str, Path or DataFrame
        A file that `read_table` reads, or a frame.
    asked : Asked
        What the user says of it.
    name : str
        Of the run; by default of the file.

    Raises
    ------
    InvalidInput
        The table can't be read, a column isn't there or holds what it can't, rows contradict one another.
    """
    frame, source, said, yes_no = _frame(table)
    frame, asked, wide = to_long(frame, asked)
    roles = roles_of(frame, asked)
    said += [wide] if wide else []
    columns = _numbers(frame, roles, said)
    fits = _fits(frame, roles)
    said += _unnamed(fits)
    conditions = conditions_of(frame, roles, asked, fits)
    said += [f"taken as: {words_of(roles)}", _factor_words(conditions), *conditions.said]
    statuses = _statuses(_with_words(frame, roles, yes_no), roles, asked, said)
    places = places_of(conditions, fits, roles, [*columns.values(), statuses.codes])
    null = by_term(asked.null, places.terms, "null value") if asked.null else {}
    tested = np.array([null.get(term, 0.0) for term in places.terms])[places.term]
    inferred = numbers_of({role: columns[role] for role in columns if role != TRUTH}, asked.level, tested)
    if TRUTH in columns:
        inferred, columns[TRUTH], drawn = moved(places, columns[TRUTH], inferred, roles[TRUTH][0])
        said += [drawn] if drawn else []
    messages = labels(frame, roles[MESSAGE]).replace(MISSING, "") if MESSAGE in roles else [""] * len(frame)
    rows = fitting.rows_of(places, inferred, statuses, list(messages))
    count = len(conditions.levels)
    truths = truths_of(places, columns.get(TRUTH), asked, roles, count)
    truths = ([_renamed(one, places.terms, rows.names) for one in truths[0]], truths[1])
    estimates, missing = fitting.estimates_of(rows, count)
    said += [*places.said, *inferred.said, *missing, *fitting.constant_errors(estimates)]
    said += _outcome_words(rows, truths[0], columns)
    mark = _mark(estimates, conditions, truths[0])
    told = tuple(_sentence(one) for one in said)
    experiment = experiment_of(
        name or Path(source).name.split(".")[0],
        source,
        conditions,
        estimates,
        truths,
        told,
        mark,
        asked.level,
        asked.seed,
        _renamed(null, places.terms, rows.names),
    )
    return Results(experiment, estimates, told, mark)


def _frame(table: str | Path | pd.DataFrame) -> tuple[pd.DataFrame, str, list[str], frozenset[str]]:
    """Return a table as a frame with text names, what it is called, what reading it came to, and which columns have 1
    and 0 for TRUE and FALSE."""
    words: frozenset[str] = frozenset()
    if isinstance(table, pd.DataFrame):
        named = [name for name in table.index.names if name is not None and name not in table.columns]
        frame, source, said = (table.reset_index(level=named) if named else table.copy()), "a DataFrame", []
    else:
        read = read_table(Path(table))
        frame, source, said = read.frame, Path(table).name, list(read.messages.values())
        words = read.truths
    frame.columns = pd.Index([str(name).strip() for name in frame.columns])
    frame = frame.dropna(how="all").reset_index(drop=True)
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise InvalidInput(f"expected columns of different names, got '{twice[0]}' twice; rename one")
    if frame.empty:
        raise InvalidInput(f"expected a row for each replication and method, got no rows in {source}")
    return frame, source, [text for text in said if text], words


def _numbers(frame: pd.DataFrame, roles: Roles, said: list[str]) -> dict[str, Floats]:
    """Return the columns of numbers by role."""
    columns = {}
    for role in (role for role in NUMBERS if role in roles):
        columns[role], words = numbers(frame[roles[role][0]], roles[role][0])
        said += [words] if words else []
    return columns


def _fits(frame: pd.DataFrame, roles: Roles) -> dict[str, pd.Series[Any]]:
    """Return the labels of each row's method and term and, where there is a column, replication."""
    usual = {METHOD: ONE_METHOD, TERM: roles[ESTIMATE if ESTIMATE in roles else P][0]}
    fits = {
        role: labels(frame, roles[role]) if role in roles else pd.Series([value] * len(frame))
        for role, value in usual.items()
    }
    return fits | ({REPLICATION: labels(frame, roles[REPLICATION])} if REPLICATION in roles else {})


def _unnamed(fits: Mapping[str, pd.Series[Any]]) -> list[str]:
    """Say how many rows name no method or no term; refuse names that no table has room for."""
    longest = max(fits[METHOD].unique(), key=len)
    if len(longest) > LONGEST:
        raise InvalidInput(
            f"expected names of methods of at most {LONGEST} letters, got '{longest[:40]}...' of {len(longest)}; "
            "shorten them"
        )
    counts = {role: int((fits[role] == MISSING).sum()) for role in (METHOD, TERM)}
    return [f"no {role} is named in {plural(n, 'row')}: called {MISSING}" for role, n in counts.items() if n]


def _statuses(frame: pd.DataFrame, roles: Roles, asked: Asked, said: list[str]) -> Statuses:
    if STATUS not in roles:
        if asked.usable:
            raise InvalidInput(
                "expected a column that says what became of fits, got the values that mean a usable one alone; name it "
                "with --status COLUMN"
            )
        return without_status(len(frame))
    statuses = statuses_of(frame, roles[STATUS][0], asked.usable)
    said += [statuses.said] if statuses.said else []
    return statuses


def _with_words(frame: pd.DataFrame, roles: Roles, truths: frozenset[str]) -> pd.DataFrame:
    """Return a table whose statuses are TRUE and FALSE again: of numbers, 0 may mean success."""
    words = {1.0: "TRUE", 0.0: "FALSE"}
    return frame.assign(**{name: frame[name].map(words) for name in roles.get(STATUS, ()) if name in truths})


def _factor_words(conditions: Conditions) -> str:
    """Return the factors and how many levels each has, and what is the same everywhere."""
    counts: dict[str, set[str]] = {}
    for levels in conditions.levels:
        for factor, level in levels.items():
            counts.setdefault(factor, set()).add(repr(level))
    parts = [f"{factor} ({plural(len(found), 'level')})" for factor, found in counts.items()]
    words = (
        f"factors: {', '.join(parts)}; {plural(len(conditions.levels), 'condition')}"
        if parts
        else "no factors"
    )
    same = ", ".join(f"{name} {value}" for name, value in list(conditions.fixed.items())[:12])
    return words + (f"; the same everywhere: {same}" if same else "")


def _outcome_words(
    rows: fitting.Rows, truths: Sequence[Mapping[str, float]], columns: Mapping[str, Floats]
) -> list[str]:
    """Say how many estimates are missing or infinite, what has no errors, and which terms have no true value."""
    reasons = (fitting.WITHOUT, fitting.UNTESTED, fitting.INFINITE)
    counts = {why: sum(text.startswith(why) for text in rows.texts) for why in reasons}
    said = [f"{why} in {plural(n, 'row')}: counted as failed fits" for why, n in counts.items() if n]
    if rows.numbers.tests_alone:
        said.append(
            "p-values alone, without estimates: how often tests reject, nothing of bias and intervals"
        )
    elif bare := fitting.alone(rows):
        named = ", ".join(f"'{method}' ({term})" for method, term in bare[:6])
        more = f" and {len(bare) - 6} more" if len(bare) > 6 else ""
        said.append(
            f"estimates alone, without standard errors: {named}{more}: bias, empirical SE and RMSE, nothing of "
            "intervals and tests"
        )
    unknown = sorted({name for name in rows.names if name[:1] != "("} - {t for one in truths for t in one})
    if unknown and not rows.numbers.tests_alone:
        said.append(f"no coverage or bias of {', '.join(unknown)}: {UNKNOWN}")
    return said


def _renamed(values: Mapping[str, float], before: Sequence[str], names: Sequence[str]) -> dict[str, float]:
    new = dict(zip(before, names, strict=True))
    return {new[term]: value for term, value in values.items()}


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _mark(
    estimates: Sequence[Mapping[str, Estimates]],
    conditions: Conditions,
    truths: Sequence[Mapping[str, float]],
) -> str:
    """Return a hash of all that was read."""
    whole = hashlib.sha256(repr((conditions.levels, [dict(sorted(t.items())) for t in truths])).encode())
    for one in estimates:
        for label, fits in one.items():
            whole.update(repr((label, fits.terms, list(fits.quantities), fits.messages)).encode())
            parts = (fits.estimate, fits.std_error, fits.df, fits.lower, fits.upper, fits.p_value)
            for array in (*parts, *fits.quantities.values(), fits.status, fits.message):
                whole.update(np.ascontiguousarray(array).tobytes())
    return whole.hexdigest()

"""Which column of a long table is what: as the user says, else by its name and by what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from nestbench.own_results.asked import Asked, found_in, listed, without_estimate
from nestbench.own_results.names import (
    ESTIMATE,
    METHOD,
    NAMES,
    NUMBERS,
    REPLICATION,
    ROLES,
    SE,
    STATUS,
    TERM,
    TRUTH,
    VARIANCE,
    P,
    folded,
)
from nestbench.own_results.statuses import like_statuses
from nestbench.sim.errors import InvalidInput

LIKE_NUMBERS = r"[+-]?[\d.,' ]*\d[\d.,' ]*([eE][+-]?\d+)?"
"""What a number looks like as text, however its decimals are written."""

Roles = Mapping[str, tuple[str, ...]]
"""Role -> its columns: one, but for methods, terms and replications that several columns name together."""

TOGETHER = (METHOD, TERM, REPLICATION)
"""Roles that several columns may have together."""

MOST_LEVELS = 0.2
"""Share of different values from which a column called ``p`` can't be a factor: a number of predictors, say."""


def roles_of(frame: pd.DataFrame, asked: Asked) -> Roles:
    """Return the columns by role.

    Parameters
    ----------
    frame : DataFrame
        Long: a row a replication, method and term.
    asked : Asked

    Raises
    ------
    InvalidInput
        A column that isn't there, one with two roles, or none with estimates.
    """
    taken = _as_asked(frame, asked)
    for role in ROLES:
        if (
            role not in taken
            and not (role == TRUTH and TRUTH in asked.columns)
            and (name := _known(role, frame, taken, asked))
        ):
            taken[role] = (name,)
    if SE in taken and VARIANCE in taken:
        # The one that was named; of two that weren't, the standard error.
        del taken[SE if VARIANCE in asked.columns else VARIANCE]
    if ESTIMATE not in taken and P not in taken:
        raise without_estimate(frame.columns)
    return taken


def _as_asked(frame: pd.DataFrame, asked: Asked) -> dict[str, tuple[str, ...]]:
    """Return the roles that the user gave; a truth may be a number or values by term, no column then."""
    columns = {str(name) for name in frame.columns}
    taken: dict[str, tuple[str, ...]] = {}
    for role, given in asked.columns.items():
        if role == TRUTH and given not in columns and is_value(given):
            continue
        names = listed(given) if role in TOGETHER and given not in columns else (given,)
        found_in(names, frame.columns, role)
        taken[role] = names
    owners: dict[str, str] = {}
    for role, names in taken.items():
        for name in names:
            # The truth may be a factor, too: in many studies the true effect varies.
            if role != TRUTH and (other := owners.setdefault(name, role)) != role:
                raise InvalidInput(f"expected one role a column, got '{name}' as {other} and {role}")
    return taken


def is_value(given: str) -> bool:
    """Whether a truth is a number, or has values by term: ``0.5``, ``age=0.5,sex=0``; ``0,5`` is refused as one."""
    return "=" in given or pd.notna(pd.to_numeric(given.replace(",", "."), errors="coerce"))


def _known(role: str, frame: pd.DataFrame, taken: Roles, asked: Asked) -> str:
    """Return the column that has a role by its name, "" if none does."""
    used = {name for names in taken.values() for name in names}
    free = [str(c) for c in frame.columns if c not in used and c not in asked.ignored]
    free = [name for name in free if name not in (asked.factors or ())]
    names = (*NAMES[role], *_beside_estimate(role, taken))
    places = {folded(name): name for name in reversed(free)}
    return next((places[n] for n in names if n in places and _fits(role, frame[places[n]])), "")


def _beside_estimate(role: str, taken: Roles) -> list[str]:
    """Return what a standard error may be called after its estimate: ``se.theta``, ``theta_se``."""
    if role != SE or ESTIMATE not in taken:
        return []
    estimate = folded(taken[ESTIMATE][0])
    return [f"se{estimate}", f"{estimate}se", f"stderror{estimate}", f"{estimate}stderror"]


def _fits(role: str, column: pd.Series[Any]) -> bool:
    """Whether what a column holds can be what its name says."""
    numeric = pd.api.types.is_numeric_dtype(column.dtype)
    known = column.dropna()
    if role == TERM:
        return not numeric
    if role == P:
        inside = numeric and bool(known.between(0, 1).all())
        return inside and known.nunique() > MOST_LEVELS * len(known)
    if role == STATUS:
        return like_statuses(column)
    if role == ESTIMATE:
        # Not a column of names that is called after them: ``coef`` with "age", "sex".
        return numeric or bool(known.astype(str).str.strip().str.fullmatch(LIKE_NUMBERS).mean() > 0.5)
    return numeric or role not in NUMBERS or known.empty or folded(column.name) != "value"


def words_of(roles: Roles) -> str:
    """Return what was taken as what: ``estimate theta, se se, replication dataset``."""
    return ", ".join(f"{role} {' and '.join(names)}" for role, names in roles.items())

"""Wide tables made long: methods, or terms, or both, that stand side by side in columns.

Three forms: patterns, ``est_{method}`` with ``se_{method}`` (siman's wide formats, SimDesign's ``welch.p``); lists,
``ols,gee`` with ``se_ols,se_gee``, whose methods are called as the columns of the estimates; and patterns found by
themselves, where columns begin or end alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from nestbench.own_results.asked import Asked, found_in, listed
from nestbench.own_results.names import ESTIMATE, METHOD, NAMES, NUMBERS, SE, STUBS, TERM, P, folded
from nestbench.sim.errors import InvalidInput

Key = tuple[str, str]
"""Method and term, "" where columns don't tell."""

HOLES = ("{method}", "{term}", "*")
NAMED = {ESTIMATE: "estimates", P: "p-values"}
MARKS = ("_", ".", "-", " ", "")
"""What stands between the stub of a name and the rest."""


def to_long(frame: pd.DataFrame, asked: Asked) -> tuple[pd.DataFrame, Asked, str]:
    """Return a table with a row a replication, method and term; what is asked of it; and in words what was done.

    Parameters
    ----------
    frame : DataFrame
    asked : Asked

    Raises
    ------
    InvalidInput
        A pattern that no column has, or a list of another length than that of the estimates.
    """
    asked = _with_patterns(frame, asked)
    if _has_hole(asked, _lead(asked)):
        cells = _by_pattern(frame, asked)
    elif _is_list(frame, asked):
        cells = _by_list(frame, asked)
    else:
        return frame, asked, ""
    return _stacked(frame, asked, cells)


def _lead(asked: Asked) -> str:
    """Return the role whose columns say which methods there are: p-values may stand alone."""
    return ESTIMATE if ESTIMATE in asked.columns or P not in asked.columns else P


def _is_list(frame: pd.DataFrame, asked: Asked) -> bool:
    given = asked.columns.get(_lead(asked), "")
    return "," in given and given not in frame.columns


def _by_list(frame: pd.DataFrame, asked: Asked) -> dict[Key, dict[str, str]]:
    """Return the columns of each method, listed in one order for every role."""
    lead = _lead(asked)
    firsts = listed(asked.columns[lead])
    cells: dict[Key, dict[str, str]] = {(name, ""): {} for name in firsts}
    for role in (role for role in NUMBERS if "," in asked.columns.get(role, "")):
        names = listed(asked.columns[role])
        if "=" in asked.columns[role]:
            continue  # true values by term
        found_in(names, frame.columns, role)
        if len(names) != len(firsts):
            raise InvalidInput(
                f"expected a column of each method's {role}, {len(firsts)} as of {NAMED[lead]}, got {len(names)}; list "
                f"them in the order of the {NAMED[lead]}"
            )
        for (_, columns), name in zip(cells.items(), names, strict=True):
            columns[role] = name
    return cells


def _by_pattern(frame: pd.DataFrame, asked: Asked) -> dict[Key, dict[str, str]]:
    """Return the columns of each method and term by the patterns of the roles."""
    found = {role: _matching(frame, asked, role) for role in NUMBERS if _has_hole(asked, role)}
    lead = _lead(asked)
    cells: dict[Key, dict[str, str]] = {key: {lead: name} for key, name in found[lead].items()}
    for role, columns in found.items():
        for (method, term), name in columns.items():
            # A pattern with {term} alone holds for all methods, as a true value does.
            for key in cells:
                if method in ("", key[0]) and term in ("", key[1]):
                    cells[key][role] = name
    return cells


def _has_hole(asked: Asked, role: str) -> bool:
    return any(hole in asked.columns.get(role, "") for hole in HOLES)


def _matching(frame: pd.DataFrame, asked: Asked, role: str) -> dict[Key, str]:
    """Return the columns that have a role's pattern, by method and term."""
    pattern = asked.columns[role]
    expression = re.escape(pattern).replace(re.escape("*"), re.escape("{method}"), 1)
    for hole, names in ((METHOD, asked.methods), (TERM, asked.terms)):
        known = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
        expression = expression.replace(re.escape(f"{{{hole}}}"), f"(?P<{hole}>{known or '.+?'})", 1)
    matches = ((str(name), re.fullmatch(expression, str(name), re.IGNORECASE)) for name in frame.columns)
    groups = {name: match.groupdict() for name, match in matches if match is not None}
    if not groups:
        known = ", ".join(map(str, list(frame.columns)[:40]))
        raise InvalidInput(f"expected columns like '{pattern}' for {role}, got none among {known}")
    return {(one.get(METHOD) or "", one.get(TERM) or ""): name for name, one in groups.items()}


def _stacked(
    frame: pd.DataFrame, asked: Asked, cells: Mapping[Key, Mapping[str, str]]
) -> tuple[pd.DataFrame, Asked, str]:
    """Return the columns of all methods and terms under one another, with columns that name these."""
    used = {name for columns in cells.values() for name in columns.values()}
    others = [name for name in frame.columns if name not in used]
    roles = list(dict.fromkeys(role for columns in cells.values() for role in columns))
    named = [hole for k, hole in enumerate((METHOD, TERM)) if any(key[k] for key in cells)]
    if clash := [name for name in (*roles, *named) if name in others]:
        raise InvalidInput(
            f"expected {clash[0]} in several columns side by side or in one, got '{clash[0]}' beside "
            f"'{asked.columns.get(_lead(asked))}'; leave the column out of the table or give its name to the option"
        )
    parts = []
    for (method, term), columns in cells.items():
        part = frame[others].copy()
        for role in roles:
            part[role] = frame[columns[role]] if role in columns else float("nan")
        for hole, value in ((METHOD, method), (TERM, term)):
            if hole in named:
                part[hole] = value
        parts.append(part)
    table = pd.concat(parts).sort_index(kind="stable").reset_index(drop=True)
    columns_asked = {role: given for role, given in asked.columns.items() if role not in roles}
    whole = replace(asked, columns=columns_asked | {name: name for name in (*roles, *named)})
    return table, whole, _words(cells, named)


def _words(cells: Mapping[Key, Mapping[str, str]], named: Sequence[str]) -> str:
    """Return what stands side by side, and its names."""
    parts = []
    for k, hole in enumerate((METHOD, TERM)):
        if hole in named:
            names = list(dict.fromkeys(key[k] for key in cells))
            shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
            parts.append(f"{hole}s {shown}")
    return f"read from columns side by side: {' and '.join(parts)}"


def _with_patterns(frame: pd.DataFrame, asked: Asked) -> Asked:
    """Return what is asked with patterns that the columns' names show, where no column is that of the estimates."""
    if ESTIMATE in asked.columns or {folded(name) for name in frame.columns} & set(NAMES[ESTIMATE]):
        return asked
    hole = "{term}" if {folded(name) for name in frame.columns} & set(NAMES[METHOD]) else "{method}"
    for stub in STUBS[ESTIMATE]:
        for mark in MARKS:
            for pattern in ((stub, mark, hole), (hole, mark, stub)):
                if patterns := _patterns(frame, pattern, stub):
                    return replace(asked, columns={**patterns, **asked.columns})
    return asked


def _patterns(frame: pd.DataFrame, pattern: tuple[str, str, str], stub: str) -> dict[str, str]:
    """Return the patterns of all roles that are like one of the estimates; nothing where that isn't one.

    Several columns must have it, and without a mark in between as many standard errors: ``baseline`` begins with b.
    """
    found: dict[str, str] = {}
    numeric = [str(name) for name in frame.columns if pd.api.types.is_numeric_dtype(frame[name].dtype)]
    for role, stubs in STUBS.items():
        for one in stubs if role != ESTIMATE else (stub,):
            text = "".join(one if part == stub else part for part in pattern)
            rest = _rests(text, numeric)
            if rest and (role == ESTIMATE or rest & _rests("".join(pattern), numeric)):
                found.setdefault(role, text)
    estimates = _rests("".join(pattern), numeric)
    errors = _rests(found[SE], numeric) if SE in found else set()
    if len(estimates) < 2 or not (pattern[1] or estimates == errors):
        return {}
    return found


def _rests(pattern: str, names: Sequence[str]) -> set[str]:
    """Return what stands in the place left open by a pattern, in the names that have it."""
    expression = re.sub(r"\\\{(method|term)\\\}", "(.+)", re.escape(pattern))
    return {match[1] for name in names if (match := re.fullmatch(expression, name, re.IGNORECASE))}

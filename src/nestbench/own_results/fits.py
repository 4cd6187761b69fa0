"""Rows as `Estimates`: one array a method and condition, with the fits that the table lacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nestbench.estimators.estimates import (
    ALONE,
    DF,
    ESTIMATE,
    P_VALUE,
    STORED_COLUMNS,
    TESTED,
    VARIANCE_PREFIX,
    Estimates,
    FitStatus,
)
from nestbench.own_results.inference import Numbers
from nestbench.own_results.placing import Places
from nestbench.own_results.statuses import Statuses
from nestbench.sim.counted import plural
from nestbench.sim.observed.batch import Floats, Ints

ABSENT = "not in the table"
WITHOUT, UNTESTED, INFINITE = "no estimate in the table", "no p-value in the table", "infinite estimate"


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """All rows of a table with their places: what `estimates_of` puts together."""

    places: Places
    numbers: Numbers
    status: npt.NDArray[np.int8]
    texts: list[str]
    names: tuple[str, ...]
    """Of the terms: in parentheses those that are quantities of a fit."""


def rows_of(places: Places, numbers: Numbers, statuses: Statuses, messages: Sequence[str]) -> Rows:
    """Return the rows with the status of each: an estimate that is missing or infinite is no answer.

    Parameters
    ----------
    places : Places
    numbers : Numbers
    statuses : Statuses
    messages : sequence of str
        What the table says of each row.
    """
    status = statuses.codes.copy()
    texts = [
        "; ".join(filter(None, pair)) if code > FitStatus.BOUNDARY else ""
        for *pair, code in zip(statuses.texts, messages, status, strict=True)
    ]
    absent = (
        (np.isnan(numbers.p_value), UNTESTED)
        if numbers.tests_alone
        else (np.isnan(numbers.estimate), WITHOUT)
    )
    unknown = absent, (np.isinf(numbers.estimate), INFINITE)
    for bad, why in unknown if not statuses.own else ():
        for row in np.flatnonzero(bad & (status <= FitStatus.BOUNDARY)).tolist():
            texts[row] = "; ".join(filter(None, (why, messages[row])))
        status[bad & (status <= FitStatus.BOUNDARY)] = FitStatus.FAILED
    return Rows(places, numbers, status, texts, _names(places, numbers))


def _names(places: Places, numbers: Numbers) -> tuple[str, ...]:
    """Return the terms' names; those in parentheses that have errors are coefficients, as R's ``(Intercept)``."""
    errors = _with_errors(numbers)
    names = []
    for code, term in enumerate(places.terms):
        inferred = bool(errors[places.term == code].any())
        names.append(term[1:-1] if inferred and term.startswith("(") and term.endswith(")") else term)
    return tuple(names)


def _with_errors(numbers: Numbers) -> npt.NDArray[np.bool_]:
    """Return which rows have a standard error, an interval or a p-value."""
    interval = ~np.isnan(numbers.lower) & ~np.isnan(numbers.upper)
    found: npt.NDArray[np.bool_] = ~np.isnan(numbers.std_error) | interval | ~np.isnan(numbers.p_value)
    return found


def alone(rows: Rows) -> list[tuple[str, str]]:
    """Return the methods and terms that have nothing but estimates in the whole table."""
    return [
        (rows.places.methods[m], rows.names[t]) for m, t in _alone(rows) if not _is_quantity(rows.names[t])
    ]


def _alone(rows: Rows) -> set[tuple[int, int]]:
    errors = _with_errors(rows.numbers)
    pairs = np.stack([rows.places.method, rows.places.term], axis=1)
    there = {(int(m), int(t)) for m, t in np.unique(pairs, axis=0)}
    return there - {(int(m), int(t)) for m, t in np.unique(pairs[errors], axis=0)}


def _is_quantity(name: str) -> bool:
    return name.startswith(VARIANCE_PREFIX)


def estimates_of(rows: Rows, conditions: int) -> tuple[list[dict[str, Estimates]], list[str]]:
    """Return the estimates of each condition by method, and what is to be said of fits that are missing.

    A fit that the table lacks, before the last of its method, is one without an answer; after it, it wasn't tried.

    Parameters
    ----------
    rows : Rows
    conditions : int
        How many there are.
    """
    places = rows.places
    bare = _alone(rows)
    out: list[dict[str, Estimates]] = [{} for _ in range(conditions)]
    missing, partly = (dict.fromkeys(places.methods, 0) for _ in range(2))
    for cell, method, chosen in _fits(places):
        label = places.methods[method]
        out[cell][label] = fit = _one(rows, chosen, [t for m, t in bare if m == method])
        missing[label] += (absent := fit.texts().count(ABSENT))
        partly[label] += (fit.size - absent) * (len(fit.terms) + len(fit.quantities)) - len(chosen)
    said = [
        f"missing: {what}: {', '.join(lacking)}"
        for what, counts in (
            ("fits of replications that other methods have, counted as failed", missing),
            ("rows of terms in fits that have others, counted as no answer for the term", partly),
        )
        if (lacking := [f"'{label}' {count:,}" for label, count in counts.items() if count])
    ]
    ordered = [{label: fits[label] for label in places.methods if label in fits} for fits in out]
    return ordered, said + _unbalanced(ordered)


def _fits(places: Places) -> Iterator[tuple[int, int, Ints]]:
    """Yield each condition and method with its rows."""
    kept = np.flatnonzero(places.kept)
    key = places.condition[kept] * len(places.methods) + places.method[kept]
    order = np.argsort(key, kind="stable")
    cuts = np.flatnonzero(np.diff(key[order])) + 1
    for part in np.split(kept[order], cuts):
        yield int(places.condition[part[0]]), int(places.method[part[0]]), part


def _one(rows: Rows, chosen: Ints, bare: Sequence[int]) -> Estimates:
    """Return one method's rows of a condition as arrays."""
    replication = rows.places.replication[chosen]
    present, column = np.unique(rows.places.term[chosen], return_inverse=True)
    size = int(replication.max()) + 1
    grids: dict[str, Floats] = {}
    for name in STORED_COLUMNS:
        grid = np.full((size, len(present)), np.nan)
        grid[replication, column.reshape(-1)] = getattr(rows.numbers, name)[chosen]
        grids[name] = grid
    names = [rows.names[code] for code in present]
    terms = [k for k, name in enumerate(names) if not _is_quantity(name)]
    status, message, messages = _outcomes(rows, chosen, replication, size)
    if rows.numbers.tests_alone:
        grids[DF][~np.isnan(grids[P_VALUE])] = TESTED
    sound = np.isfinite(grids[ESTIMATE])
    for k, code in enumerate(present):
        if code in bare and not _is_quantity(names[k]):
            grids[DF][sound[:, k], k] = ALONE
    columns: dict[str, Any] = {name: np.ascontiguousarray(grid[:, terms]) for name, grid in grids.items()}
    return Estimates(
        terms=tuple(names[k] for k in terms),
        replications=np.arange(size, dtype=np.int64),
        **columns,
        status=status,
        quantities={n: grids[ESTIMATE][:, k].copy() for k, n in enumerate(names) if _is_quantity(n)},
        message=message,
        messages=messages,
        seconds=np.full(size, np.nan),
    )


def _outcomes(
    rows: Rows, chosen: Ints, replication: Ints, size: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int32], tuple[str, ...]]:
    """Return status, code of the message [R] and messages of fits.

    A fit is what all its terms' rows say, at worst; but one term without an estimate doesn't cost the others theirs.
    """
    status = np.full(size, FitStatus.FAILED, dtype=np.int8)
    texts = [ABSENT] * size
    own = rows.status[chosen]
    # The best row of a fit comes last, and stays.
    for place in np.argsort(-own, kind="stable"):
        status[replication[place]] = own[place]
        texts[replication[place]] = rows.texts[chosen[place]]
    codes = {"": 0}
    message = np.array([codes.setdefault(text, len(codes)) for text in texts], dtype=np.int32)
    return status, message, tuple(codes)


def _unbalanced(fits: Sequence[Mapping[str, Estimates]]) -> list[str]:
    """Say that methods, or conditions, have different numbers of replications."""
    labels = dict.fromkeys(label for one in fits for label in one)
    said = []
    absent = {label: sum(label not in one for one in fits) for label in labels}
    if gaps := [f"'{label}' in {plural(count, 'condition')}" for label, count in absent.items() if count]:
        said.append(f"unbalanced: not in every condition: {', '.join(gaps)}")
    fewer = {
        label: sum(label in one and one[label].size < max(e.size for e in one.values()) for one in fits)
        for label in labels
    }
    if short := [f"'{label}' in {plural(count, 'condition')}" for label, count in fewer.items() if count]:
        said.append(f"unbalanced: fewer replications than other methods: {', '.join(short)}")
    sizes = [max(e.size for e in one.values()) for one in fits if one]
    if len(set(sizes)) > 1:
        said.append(f"unbalanced: conditions have {min(sizes):,} to {max(sizes):,} replications")
    return said


def constant_errors(fits: Sequence[Mapping[str, Estimates]]) -> list[str]:
    """Say which methods have standard errors that never change within a condition, or are 0."""
    never: dict[str, int] = {}
    for one in fits:
        for label, estimates in one.items():
            for values in estimates.std_error.T:
                known = values[np.isfinite(values)]
                if len(known) > 2 and known.min() == known.max():
                    never[label] = never.get(label, 0) + 1
    parts = [f"'{label}' ({plural(count, 'place')})" for label, count in never.items()]
    return [f"constant standard errors, the same in all replications: {', '.join(parts)}"] if parts else []

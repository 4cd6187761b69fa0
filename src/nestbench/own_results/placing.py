"""Where each row belongs: condition, method, term, replication; rows that occur twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nestbench.own_results.factors import Conditions
from nestbench.own_results.names import METHOD, REPLICATION, TERM
from nestbench.own_results.values import MISSING
from nestbench.sim.counted import plural
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Ints


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where rows belong.

    Attributes
    ----------
    condition, method, term, replication : int64 [rows]
        Numbers, each from 0; replications are numbered within a condition.
    methods, terms : tuple of str
        In order of first appearance.
    kept : bool [rows]
        Rows that don't repeat an earlier one.
    said : tuple of str
    """

    condition: Ints
    method: Ints
    term: Ints
    replication: Ints
    methods: tuple[str, ...]
    terms: tuple[str, ...]
    kept: npt.NDArray[np.bool_]
    said: tuple[str, ...]


def places_of(
    conditions: Conditions,
    fits: Mapping[str, pd.Series[Any]],
    roles: Mapping[str, tuple[str, ...]],
    numbers: Sequence[npt.NDArray[Any]],
) -> Places:
    """Return where rows belong.

    Parameters
    ----------
    conditions : Conditions
    fits : mapping
        Role -> labels [rows]: method, term and, where there is one, replication.
    roles : mapping
        For messages.
    numbers : sequence of array [rows]
        What tells a row that repeats another from one that contradicts it.

    Raises
    ------
    InvalidInput
        Rows of one fit and term with different numbers.
    """
    method, methods = pd.factorize(fits[METHOD])
    term, terms = pd.factorize(fits[TERM])
    if REPLICATION in fits:
        replication, said = _numbered(conditions.codes, fits[REPLICATION], roles[REPLICATION])
    else:
        replication = _in_order(np.stack([conditions.codes, method, term], axis=1))
        said = (
            "no column of replications: numbered in the order of the rows, methods side by side in that order"
        )
    keys = np.stack([conditions.codes, method, term, replication], axis=1).astype(np.int64)
    kept, twice = _kept(keys, numbers, [str(m) for m in methods])
    return Places(
        conditions.codes,
        method.astype(np.int64),
        term.astype(np.int64),
        replication,
        tuple(map(str, methods)),
        tuple(map(str, terms)),
        kept,
        tuple(filter(None, (said, twice))),
    )


def _numbered(condition: Ints, ids: pd.Series[Any], names: tuple[str, ...]) -> tuple[Ints, str]:
    """Return the replications' numbers within each condition, in ascending order of their ids."""
    if absent := int((ids == MISSING).sum()):
        raise InvalidInput(
            f"expected a replication in every row, got none in {plural(absent, 'row')} of {' and '.join(names)}; fill "
            "them in, or leave the column out with --ignore: rows are then numbered as they stand"
        )
    as_numbers = pd.to_numeric(ids, errors="coerce")
    order = as_numbers if as_numbers.notna().all() else pd.Series(pd.factorize(ids)[0])
    numbers = np.empty(len(ids), dtype=np.int64)
    spans = set()
    for code in range(int(condition.max()) + 1):
        rows = np.flatnonzero(condition == code)
        known, places = np.unique(order.to_numpy()[rows], return_inverse=True)
        numbers[rows] = places.reshape(-1)
        spans.add((known[0], known[-1], len(known)))
    called = " and ".join(names)
    low, high, count = next(iter(spans))
    if len(spans) == 1 and as_numbers.notna().all() and high - low + 1 == count:
        return numbers, f"replications numbered from 0: number 0 is {called} {low:g}, the last {high:g}"
    return numbers, f"replications numbered from 0 in the order of {called} within each condition"


def _in_order(keys: Ints) -> Ints:
    """Return the number of each row among those with the same key, in the order of the rows."""
    _, groups = np.unique(keys, axis=0, return_inverse=True)
    counted = pd.Series(groups.reshape(-1)).groupby(groups.reshape(-1)).cumcount()
    return np.asarray(counted, dtype=np.int64)


def _kept(
    keys: Ints, numbers: Sequence[npt.NDArray[Any]], methods: Sequence[str]
) -> tuple[npt.NDArray[np.bool_], str]:
    """Return which rows don't repeat an earlier one, and what is to be said; refuse rows that contradict another."""
    frame = pd.DataFrame(keys)
    again = frame.duplicated().to_numpy()
    if not again.any():
        return ~again, ""
    whole = pd.concat([frame, *(pd.Series(values) for values in numbers)], axis=1)
    if (different := again & ~whole.duplicated().to_numpy()).any():
        row = int(np.flatnonzero(different)[0])
        cell, method, _, replication = keys[row]
        raise InvalidInput(
            "expected one row for each condition, replication, method and term, got several with different numbers: "
            f"{plural(int(different.sum()), 'row')} too many, first row {row + 1} of the data (condition {cell}, "
            f"method '{methods[method]}', replication {replication}); name the column that tells them apart "
            "(--replication, --method, --term, --factors), or remove them"
        )
    return ~again, f"duplicated: {plural(int(again.sum()), 'row')} repeated an earlier one, left out"

"""Estimates of one method from several batches, as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nestbench.estimators.estimates import STORED_COLUMNS, Estimates
from nestbench.sim.observed.batch import Floats, Ints


def join(parts: Sequence[Estimates]) -> Estimates:
    """Return the replications of several `Estimates` in order of their numbers.

    Where the cuts between the parts were can't be seen in the result: terms, quantities and messages are in the order
    of first appearance by replication, and a term that a part doesn't have is NaN there.

    Raises
    ------
    ValueError
        A replication occurs twice.
    """
    parts = sorted((part for part in parts if part.size), key=lambda part: int(part.replications[0]))
    numbers = np.concatenate([part.replications for part in parts])
    order = np.argsort(numbers, kind="stable")
    if (np.diff(numbers[order]) == 0).any():
        raise ValueError("expected each replication once")
    terms = tuple(dict.fromkeys(term for part in parts for term in part.terms))
    names = tuple(dict.fromkeys(name for part in parts for name in part.quantities))
    message, messages = _messages(parts, order)
    return Estimates(
        terms=terms,
        replications=numbers[order],
        **{name: np.concatenate([_columns(p, name, terms) for p in parts])[order] for name in STORED_COLUMNS},
        status=np.concatenate([part.status for part in parts])[order].astype(np.int8),
        quantities={name: np.concatenate([_quantity(p, name) for p in parts])[order] for name in names},
        message=message,
        messages=messages,
        seconds=np.concatenate([part.seconds for part in parts])[order],
    )


def empty(terms: tuple[str, ...]) -> Estimates:
    """Return `Estimates` of no replications."""
    return Estimates(
        terms=terms,
        replications=np.empty(0, dtype=np.int64),
        **{name: np.empty((0, len(terms))) for name in STORED_COLUMNS},
        status=np.empty(0, dtype=np.int8),
        quantities={},
        message=np.empty(0, dtype=np.int32),
        messages=("",),
        seconds=np.empty(0),
    )


def with_terms(found: Estimates, terms: tuple[str, ...]) -> Estimates:
    """Return `Estimates` with the terms given, NaN where they had none of a name."""
    if found.terms == terms:
        return found
    columns: dict[str, Any] = {name: _columns(found, name, terms) for name in STORED_COLUMNS}
    return replace(found, terms=terms, **columns)


def taken(found: Estimates, chosen: npt.NDArray[np.bool_]) -> Estimates:
    """Return some replications [R] of `Estimates`."""
    arrays = (*STORED_COLUMNS, "replications", "status", "message", "seconds")
    return replace(
        found,
        **{name: getattr(found, name)[chosen] for name in arrays},
        quantities={name: values[chosen] for name, values in found.quantities.items()},
    )


def _messages(parts: Sequence[Estimates], order: Ints) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
    """Return the codes [R] and texts of all parts' messages, "" first, then by first appearance."""
    found = list(dict.fromkeys(["", *(text for part in parts for text in part.messages)]))
    place = {text: code for code, text in enumerate(found)}
    codes = np.concatenate([np.array([place[text] for text in p.messages])[p.message] for p in parts])[order]
    present, first = np.unique(codes, return_index=True)
    kept = [0, *(int(code) for code in present[np.argsort(first)] if code)]
    renamed = np.zeros(len(found), dtype=np.int32)
    renamed[kept] = np.arange(len(kept), dtype=np.int32)
    return renamed[codes], tuple(found[code] for code in kept)


def _columns(part: Estimates, name: str, terms: tuple[str, ...]) -> Floats:
    values: Floats = getattr(part, name)
    if part.terms == terms:
        return values
    wide = np.full((part.size, len(terms)), np.nan)
    wide[:, [terms.index(term) for term in part.terms]] = values
    return wide


def _quantity(part: Estimates, name: str) -> Floats:
    return part.quantities[name] if name in part.quantities else np.full(part.size, np.nan)

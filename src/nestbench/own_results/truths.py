"""True values by condition and term: of a column, one for all, or by term; where there is none, why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from nestbench.own_results.asked import Asked
from nestbench.own_results.names import TRUTH
from nestbench.own_results.placing import Places
from nestbench.own_results.roles import Roles, is_value
from nestbench.own_results.values import LARGEST
from nestbench.sim.errors import InvalidInput, unknown_name
from nestbench.sim.observed.batch import Floats

UNKNOWN = "its true value isn't in the table; give it with --truth (a number, term=number, or a column)"
GAP = "the table has no true value for it in this condition"

Truths = Sequence[Mapping[str, float]]
"""For each condition, term -> true value."""


def truths_of(
    places: Places, values: Floats | None, asked: Asked, roles: Roles, conditions: int
) -> tuple[Truths, str]:
    """Return the true values of each condition, and why a term has none.

    Parameters
    ----------
    places : Places
    values : array [rows] or None
        The column of true values.
    asked : Asked
    roles : mapping
    conditions : int
        How many there are.

    Raises
    ------
    InvalidInput
        A term that isn't there, or a truth that changes between replications of a condition.
    """
    given = asked.columns.get(TRUTH, "")
    if values is not None:
        return _of_column(places, values, roles[TRUTH][0], conditions), GAP
    if not given or not is_value(given):
        return [{}] * conditions, UNKNOWN
    known = _by_term(given, places.terms)
    return [dict(known) for _ in range(conditions)], UNKNOWN


def _by_term(given: str, terms: Sequence[str]) -> dict[str, float]:
    """Return the true values in a text: ``0.5`` for all terms but quantities, ``age=0.5,sex=0`` for those named."""
    if "=" not in given:
        return {term: _number(given, given) for term in terms}
    known = {}
    for part in given.split(","):
        term, _, text = (piece.strip() for piece in part.rpartition("="))
        if term not in terms:
            raise unknown_name("term in the truth", term, terms)
        known[term] = _number(text, given)
    return known


def _number(text: str, whole: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not abs(value) <= LARGEST:
        raise InvalidInput(
            f"expected a truth such as 0.5, age=0.5,sex=0, or a column's name, got '{whole}'; give a finite number"
        )
    return value


def _of_column(places: Places, values: Floats, name: str, conditions: int) -> list[dict[str, float]]:
    """Return the true values that a column has, one a condition and term."""
    if np.isinf(values).any():
        raise InvalidInput(f"expected finite true values in '{name}', got infinite ones; blank them")
    frame = pd.DataFrame({"condition": places.condition, "term": places.term, "value": values}).dropna()
    groups = frame.groupby(["condition", "term"])["value"]
    spread = groups.max() - groups.min()
    size = groups.max().abs()
    if (varies := spread > 1e-9 * size).any():
        cell, term = varies[varies].index[0]
        raise InvalidInput(
            f"expected one true value for each condition and term in '{name}', got several (condition {cell}, term "
            f"'{places.terms[term]}'); if they belong to conditions, name it among --factors; if the truth is drawn "
            "anew in each replication, subtract it from estimates and intervals, and give --truth 0"
        )
    out: list[dict[str, float]] = [{} for _ in range(conditions)]
    for (cell, term), value in groups.first().items():  # type: ignore[misc]
        out[cell][places.terms[term]] = float(value)
    return out

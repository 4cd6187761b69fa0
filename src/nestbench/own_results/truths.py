"""True values by condition and term: of a column, one for all, or by term; where there is none, why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from nestbench.own_results.asked import Asked
from nestbench.own_results.inference import Numbers
from nestbench.own_results.names import ESTIMATE, LOWER, TRUTH, UPPER
from nestbench.own_results.placing import Places
from nestbench.own_results.roles import Roles, is_value
from nestbench.own_results.values import LARGEST
from nestbench.sim.counted import plural
from nestbench.sim.errors import InvalidInput, unknown_name
from nestbench.sim.observed.batch import Floats

UNKNOWN = "its true value isn't in the table; give it with --truth (a number, term=number, or a column)"
GAP = "the table has no true value for it in this condition"

SAME = 1e-9
"""Relative difference up to which two true values are one."""

DRAWN = 0.5
"""Share of a condition's replications with a true value of their own, from which on it was drawn anew in each."""

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
    known = by_term(given, places.terms, "truth")
    return [dict(known) for _ in range(conditions)], UNKNOWN


def moved(places: Places, values: Floats, numbers: Numbers, name: str) -> tuple[Numbers, Floats, str]:
    """Return numbers for one true value a condition and term where it was drawn anew in each replication.

    An estimate and its interval are moved by ``mean th - th_r``: errors, coverage, widths and scores stay what they
    are, and so do p-values, which were made before. A truth of few values belongs to conditions and is left alone.

    Parameters
    ----------
    places : Places
    values : array [rows]
        True values.
    numbers : Numbers
    name : str
        Of their column.

    Returns
    -------
    Numbers, array [rows], str
        Moved numbers, the mean true values, and what is to be said; all as they were where nothing was moved.

    Raises
    ------
    InvalidInput
        A row without a true value, where each has its own.
    """
    frame = pd.DataFrame({"c": places.condition, "t": places.term, "r": places.replication, "value": values})
    groups = frame.groupby(["c", "t"])
    own, several = groups["value"].transform("nunique"), groups["r"].transform("nunique")
    drawn = ((own > DRAWN * several) & (several > 1)).to_numpy()
    if not drawn.any():
        return numbers, values, ""
    if lacking := int((drawn & np.isnan(values)).sum()):
        raise InvalidInput(
            f"expected a true value in every row of '{name}', where each replication has its own, got none in "
            f"{plural(lacking, 'row')}; fill them in"
        )
    # Of replications, not of rows: a method with more of them must not move the others' truth.
    once = frame[drawn].drop_duplicates(["c", "t", "r"]).groupby(["c", "t"])["value"].mean().rename("mean")
    mean = np.where(drawn, frame.join(once, on=["c", "t"])["mean"].to_numpy(), values)
    step = np.where(drawn, mean - values, 0.0)
    said = (
        f"true values of '{name}' differ between replications ({np.nanmin(values):.6g} to {np.nanmax(values):.6g}): "
        "estimates and intervals are moved by their own true value to its mean in the condition, which leaves errors, "
        "coverage and widths as they are; relative bias is over the mean"
    )
    ends = {end: getattr(numbers, end) + step for end in (ESTIMATE, LOWER, UPPER)}
    return replace(numbers, **ends), mean, said


def by_term(given: str, terms: Sequence[str], what: str) -> dict[str, float]:
    """Return the values in a text: ``0.5`` for all terms, ``age=0.5,sex=0`` for those named.

    Raises
    ------
    InvalidInput
        A term that isn't there, or what is no finite number; `what` it was to be is named.
    """
    if "=" not in given:
        return {term: _number(given, given, what) for term in terms}
    known = {}
    for part in given.split(","):
        term, _, text = (piece.strip() for piece in part.rpartition("="))
        if term not in terms:
            raise unknown_name(f"term in the {what}", term, terms)
        known[term] = _number(text, given, what)
    return known


def _number(text: str, whole: str, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not abs(value) <= LARGEST:
        column = ", or a column's name" if what == TRUTH else ""
        raise InvalidInput(
            f"expected a {what} such as 0.5, age=0.5,sex=0{column}, got '{whole}'; give a finite number"
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
    if (varies := spread > SAME * size).any():
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

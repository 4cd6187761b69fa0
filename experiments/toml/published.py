"""Published numbers stored beside an experiment: the ``[[published]]`` tables of its TOML.

Each table is laid out as a paper prints it: one row a condition, one column a method (or a measure)::

    [[published]]
    source = "MacKinnon & Webb (2017), ..."
    term = "treated"
    measure = "coverage"
    replications = 10000                       # of the publication; or exact = true
    factors = ["layout.treated_schools"]       # what the first cells of a row are levels of
    estimators = ["ols-cr1s-z", "ols-cr2-satt"]
    rows = [
      [1, 0.2185, 0.2249],
      [2, 0.6587, "-"],                        # "-": not published
    ]

With ``measures = [...]`` instead of ``measure`` the factors are followed by the estimator's label, and the columns
are measures.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.toml.factors import shown
from nestbench.experiments.toml.fields import Problems, check_keys, show

KEYS = dict.fromkeys(
    (
        "source",
        "term",
        "measure",
        "measures",
        "replications",
        "exact",
        "factors",
        "estimators",
        "rows",
        "note",
    )
)


@dataclass(frozen=True, slots=True)
class Published:
    """One published number.

    Attributes
    ----------
    levels : mapping
        Factor -> level, as in `Experiment.levels`.
    estimator, term, measure : str
        As in the performance table.
    value : float
    replications : int or None
        Of the publication; None for an exact value, which has no Monte Carlo error.
    source, note : str
    """

    levels: Mapping[str, Any]
    estimator: str
    term: str
    measure: str
    value: float
    replications: int | None
    source: str
    note: str = ""


def published_of(experiment: Experiment) -> tuple[Published, ...]:
    """Return the published numbers of an experiment, in the order of its tables; none without a TOML source."""
    try:
        tables = tomllib.loads(experiment.source).get("published", [])
    except tomllib.TOMLDecodeError:
        return ()
    return tuple(number for table in tables for number in _numbers(table))


def check_published(tables: Any, factors: Mapping[str, list[Any]], problems: Problems) -> None:
    """Note what is wrong with ``[[published]]`` tables: keys, shapes, levels that no cell has."""
    if not isinstance(tables, list) or not all(isinstance(table, Mapping) for table in tables):
        problems.add("published should be tables, each under [[published]]")
        return
    for number, table in enumerate(tables, 1):
        where = f"published[{number}]"
        check_keys(table, KEYS, where, problems)
        wrong = _problem(table, factors)
        if wrong:
            problems.add(f"{where} {wrong}")


def _problem(table: Mapping[str, Any], factors: Mapping[str, list[Any]]) -> str | None:
    for key in ("source", "term", "rows"):
        if key not in table:
            return f"lacks {key}"
    if ("replications" in table) == bool(table.get("exact", False)):
        return "needs either replications = ... or exact = true"
    if ("measure" in table and "estimators" in table) == ("measures" in table):
        return "needs either measure and estimators, or measures"
    names = table.get("factors", [])
    unknown = [name for name in names if name not in factors]
    if unknown:
        return (
            f"names the factor {show(unknown[0])}, which the experiment hasn't; it has {', '.join(factors)}"
        )
    width = len(names) + ("measures" in table) + len(table.get("measures", table.get("estimators", [])))
    for row in table["rows"]:
        if not isinstance(row, list) or len(row) != width:
            return f"has the row {show(row)}, which should have {width} entries"
        for name, level in zip(names, row, strict=False):
            known = [shown(one) for one in factors[name]]
            if level not in known:
                return f"has a row for {name} = {show(level)}, which no cell has; cells have {show(known)}"
        if not all(isinstance(value, (int, float)) or value == "-" for value in _values(table, row)):
            return f'has the row {show(row)} with entries that are neither numbers nor "-"'
    return None


def _values(table: Mapping[str, Any], row: list[Any]) -> list[Any]:
    return row[len(table.get("factors", [])) + ("measures" in table) :]


def _numbers(table: Mapping[str, Any]) -> Iterator[Published]:
    factors = table.get("factors", [])
    for row in table["rows"]:
        levels = dict(zip(factors, row, strict=False))
        for column, value in zip(
            table.get("measures", table.get("estimators")), _values(table, row), strict=True
        ):
            if value == "-":
                continue
            by_measure = "measures" in table
            yield Published(
                levels=levels,
                estimator=row[len(factors)] if by_measure else column,
                term=table["term"],
                measure=column if by_measure else table["measure"],
                value=float(value),
                replications=table.get("replications"),
                source=table["source"],
                note=table.get("note", ""),
            )

"""Published numbers stored beside an experiment: the ``[[published]]`` tables of its TOML.

Each table is laid out as a paper prints it: one row a condition, one column a method (or a measure)::

    [[published]]
    source = "MacKinnon & Webb (2017), ..."
    term = "treated"
    measure = "coverage"
    replications = 10000                       # of the publication; or exact = true
    factors = ["layout.treated_schools"]       # what the first conditions of a row are levels of
    estimators = ["ols-cr1s-z", "ols-cr2-satt"]
    rows = [
      [1, 0.2185, 0.2249],
      [2, 0.6587, "-"],                        # "-": not published
    ]

With ``measures = [...]`` instead of ``measure`` the factors are followed by the method's label, and the columns
are measures.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.toml.combinations import shown
from nestbench.experiments.toml.fields import Problems, build, show
from nestbench.sim.errors import did_you_mean

Names = Annotated[list[str], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """A ``[[published]]`` table: its rows start with levels of `factors`, then (with `measures`) the method."""

    source: str
    term: str
    rows: list[list[Any]]
    # A tuple as default, for dataclasses refuse a list; what is left out isn't validated.
    factors: Annotated[list[str], Field()] = ()  # type: ignore[assignment]
    measure: str | None = None
    estimators: Names | None = None
    measures: Names | None = None
    replications: Annotated[int, Field(ge=1)] | None = None
    exact: bool = False
    note: str = ""

    @property
    def columns(self) -> list[str]:
        """What stands above the numbers: measures, or methods."""
        return list(self.measures or self.estimators or [])

    @property
    def first(self) -> int:
        """How many entries of a row come before its numbers."""
        return len(self.factors) + (self.measures is not None)


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
    listed = tables if isinstance(tables, list) else []
    read = (build(PublishedTable, table, "published", Problems()) for table in listed)
    return tuple(number for table in read if table is not None for number in _numbers(table))


def check_published(
    tables: Any,
    factors: Mapping[str, list[Any]],
    cells: Sequence[Mapping[str, Any]],
    problems: Problems,
) -> None:
    """Note what is wrong with ``[[published]]`` tables: keys, shapes, levels and combinations that no condition has.

    Parameters
    ----------
    tables : Any
        What stood in the file.
    factors : mapping
        Factor -> its levels.
    cells : sequence of mapping
        Levels by factor of each condition.
    problems : Problems
    """
    if not isinstance(tables, (list, tuple)) or not all(isinstance(table, Mapping) for table in tables):
        problems.add("published should be tables, each under [[published]]")
        return
    for number, raw in enumerate(tables, 1):
        where = f"published[{number}]"
        table = build(PublishedTable, raw, where, problems)
        wrong = table and (_problem(table) or _problem_of_rows(table, factors, cells))
        if wrong:
            problems.add(f"{where} {wrong}")


def _problem(table: PublishedTable) -> str | None:
    """Return which keys contradict each other or are missing, in words; None where nothing is wrong."""
    if (table.replications is not None) == table.exact:
        return "needs either replications = ... or exact = true"
    by_method = table.measure is not None and table.estimators is not None
    if by_method == (table.measures is not None) or (table.measures and (table.measure or table.estimators)):
        return "needs either `measure` and `estimators`, or `measures`"
    return None


def _problem_of_rows(
    table: PublishedTable, factors: Mapping[str, list[Any]], cells: Sequence[Mapping[str, Any]]
) -> str | None:
    """Return the first row that doesn't fit the table's factors and columns, in words."""
    for name in table.factors:
        if name not in factors:
            return (
                f"names the factor {show(name)}, which the experiment hasn't.{did_you_mean(name, factors)} "
                f"It has {', '.join(factors) or 'none'}"
            )
    width = table.first + len(table.columns)
    for row in table.rows:
        if len(row) != width:
            return f"has the row {show(row)}, which should have {width} entries"
        wrong = _problem_of_levels(dict(zip(table.factors, row, strict=False)), factors, cells)
        if wrong:
            return wrong
        if table.measures is not None and not isinstance(row[table.first - 1], str):
            return f"has the row {show(row)} without a method before its numbers"
        if not all(_is_number(value) or value == "-" for value in row[table.first :]):
            return f'has the row {show(row)} with entries that are neither numbers nor "-"'
    return None


def _problem_of_levels(
    levels: Mapping[str, Any], factors: Mapping[str, list[Any]], cells: Sequence[Mapping[str, Any]]
) -> str | None:
    """Return which level, or combination of levels, no condition has, in words."""
    for name, level in levels.items():
        known = [shown(one) for one in factors[name]]
        if level not in known:
            return (
                f"has a row for {name} = {show(level)}, which no condition has; conditions have {show(known)}"
            )
    if cells and not any(all(cell.get(n) == level for n, level in levels.items()) for cell in cells):
        return f"has a row for {show(levels)}, a combination that no condition has"
    return None


def _is_number(value: Any) -> bool:
    """Whether a value is a number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _numbers(table: PublishedTable) -> Iterator[Published]:
    """Yield the published numbers of a table, a row's entries one by one."""
    for row in table.rows:
        for column, value in zip(table.columns, row[table.first :], strict=True):
            if value == "-":
                continue
            yield Published(
                levels=dict(zip(table.factors, row, strict=False)),
                estimator=column if table.measure is not None else row[table.first - 1],
                term=table.term,
                measure=column if table.measure is None else table.measure,
                value=float(value),
                replications=table.replications,
                source=table.source,
                note=table.note,
            )

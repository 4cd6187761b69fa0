"""Conditions from tables: a population, a layout and a model for each combination of factors' levels."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.toml import factors
from nestbench.experiments.toml.combinations import Crossing, identity
from nestbench.experiments.toml.fields import Problems, build, show
from nestbench.experiments.toml.settings import Settings
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput, did_you_mean
from nestbench.sim.laws.registry import law_named
from nestbench.sim.observed.model import Model

Tables = Mapping[str, Any]


def without_methods(tables: Tables, seed: Any, where: str) -> Experiment:
    """Return an experiment of one condition that data are drawn from and nothing is fitted to.

    Naming a method would load the engines of all, which takes as long as the data.

    Parameters
    ----------
    tables : mapping
        Sections ``population`` and ``layout``.
    seed : int or None
        None: the default.
    where : str
        How error messages call the input.

    Raises
    ------
    InvalidInput
        Mistakes in them: all of them listed.
    """
    problems = Problems()
    stated = {"name": where, "estimators": ["none"]} | ({} if seed is None else {"seed": seed})
    settings = build(Settings, stated, "experiment", problems)
    levels, cells = conditions_of(tables, factors.check({}, problems), Path(), problems)
    problems.refuse(where)
    assert settings is not None
    return Experiment(where, where, "", cells, levels, (), seed=settings.seed)


def conditions_of(
    tables: Tables, crossing: Crossing, folder: Path, problems: Problems
) -> tuple[tuple[Mapping[str, Any], ...], tuple[Cell, ...]]:
    """Return levels and conditions, in the order of their crossing, noting what can't be made."""
    base: dict[str, Any] = {}
    for section in factors.SECTIONS:
        base[section] = tables.get(section, {})
        if not isinstance(base[section], Mapping):
            problems.add(f"[{section}] should be a table of keys, got {show(base[section])}")
            return (), ()
    base["population"] = _placed(base["population"], folder)
    crossed = [
        (levels, {**combined, "population": _placed(combined["population"], folder)})
        for levels, combined in factors.cross(base, crossing)
    ]
    _check_replaced(base, [combined for _, combined in crossed], problems)
    cells = _stated([_cell(combined, problems) for _, combined in crossed], [c for _, c in crossed], problems)
    kept = [(levels, cell) for (levels, _), cell in zip(crossed, cells, strict=True) if cell is not None]
    for key, times in Counter(cell.key for _, cell in kept).items():
        if times > 1:
            same = next(levels for levels, cell in kept if cell.key == key)
            problems.add(
                f"factors make the condition {dict(same)} {times} times; each condition should be made once"
            )
    return tuple(levels for levels, _ in kept), tuple(cell for _, cell in kept)


def _check_replaced(base: Tables, cells: Sequence[Tables], problems: Problems) -> None:
    """Note values that factors replace in every condition and that could stand in none: a mistake all the same.

    A value is tried alone, beside the base's others and beside those of the first condition: what any allows is fine.
    """
    for section, table in ((name, table) for name, table in base.items() if name != "truth"):
        for key, value in table.items():
            if any(identity(cell[section].get(key)) == identity(value) for cell in cells):
                continue
            alone: Tables = {}
            tried = []
            for beside in (alone, table, cells[0][section]):
                tried.append(Problems())
                _part(section, {**beside, key: value}, tried[-1])
            if all(problems_there.lines for problems_there in tried):
                for line in tried[-1].lines:
                    problems.add(line)


def _part(section: str, table: Tables, problems: Problems) -> Any:
    """Return a population, layout or model made from its table, or None with the problems noted."""
    if section == "layout" and _is_too_large(table, problems):
        return None
    if section != "population":
        return build(Layout if section == "layout" else Model, table, section, problems)
    try:
        law = _law_of(table)
    except InvalidInput as error:
        problems.add(f"population.law: {error}")
        return None
    return build(law, {key: value for key, value in table.items() if key != "law"}, section, problems)


MOST_STUDENTS = 10_000_000
"""Bound on the students of a data set: 10 million are 2 GB with five columns and what is made of them."""


def _is_too_large(layout: Tables, problems: Problems) -> bool:
    """Whether a data set of a layout would be too large to be made; notes it. What isn't a number is said elsewhere."""

    def largest(key: str) -> int:
        """Return the largest whole number under a key, which may hold a list."""
        value = layout.get(key)
        several = value if isinstance(value, (list, tuple)) else [value]
        return max([n for n in several if isinstance(n, int)], default=1)

    students = layout.get("students")
    if isinstance(students, (list, tuple)):
        rows = sum(size for size in students if isinstance(size, int))
    else:
        rows = largest("schools") * max(largest("students"), largest("size_range"), largest("classes"))
    rows += largest("giant_school")
    if rows > MOST_STUDENTS:
        problems.add(
            f"layout makes data sets of up to {rows} students; at most {MOST_STUDENTS} can be drawn and fitted"
        )
    return rows > MOST_STUDENTS


def _law_of(population: Tables) -> type:
    """Return the class of a population by the name in its table."""
    name = population.get("law", "random-intercept")
    if not isinstance(name, str):
        raise InvalidInput(
            f"expected the name of a population, got {show(name)}; see nestbench list populations"
        )
    return law_named(name)


def _placed(population: Tables, folder: Path) -> Tables:
    """Return a population whose files (fields with ``path=True`` in their metadata) are found from anywhere."""
    try:
        places = [field.name for field in fields(_law_of(population)) if field.metadata.get("path")]
    except InvalidInput:
        return population
    named = {name: population[name] for name in places if isinstance(population.get(name), str)}
    return {**population, **{name: os.path.realpath(folder / path) for name, path in named.items()}}


def _stated(cells: Sequence[Cell | None], tables: Sequence[Tables], problems: Problems) -> list[Cell | None]:
    """Return the conditions with what ``[truth]`` states of their terms; each of its terms must be in some condition's
    model."""
    cells_stated: list[Cell | None] = []
    used: set[str] = set()
    for cell, chosen in zip(cells, tables, strict=True):
        stated = chosen["truth"]
        try:
            own = {} if cell is None or not stated else {t: stated[t] for t in stated if t in cell.stateable}
            cells_stated.append(replace(cell, stated=own) if cell is not None and own else cell)
            used |= set(own)
        except ValueError as error:
            problems.add(str(error))
            return list(cells)
    wanted = {term: None for chosen in tables for term in chosen["truth"] if term not in used}
    known = dict.fromkeys(term for cell in cells if wanted and cell is not None for term in cell.stateable)
    for term in wanted if known else ():
        problems.add(f"truth.{term} belongs to no term of a model.{did_you_mean(term, known)}")
    return cells_stated


def _cell(tables: Mapping[str, Any], problems: Problems) -> Cell | None:
    """Return a condition made from its tables, or None with the problems noted."""
    drawn, layout, model = (
        _part(section, tables[section], problems) for section in ("population", "layout", "model")
    )
    if layout is not None and layout.schools < 2:
        problems.add(
            f"layout.schools should be at least 2, got {layout.schools}; "
            "with one school nothing separates it from its students"
        )
        return None
    if drawn is None or layout is None or model is None:
        return None
    try:
        return Cell(drawn, layout, model)
    except ValueError as error:
        problems.add(str(error))
        return None

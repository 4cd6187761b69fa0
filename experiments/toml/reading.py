"""Experiments from TOML files and from plain tables, every mistake of a file said at once."""

from __future__ import annotations

import json
import os
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from nestbench.estimators.estimator import Estimator
from nestbench.estimators.methods import registry
from nestbench.experiments import catalog, plugins
from nestbench.experiments.experiment import Experiment, Plugin, Precision
from nestbench.experiments.toml import factors
from nestbench.experiments.toml.combinations import Crossing, identity
from nestbench.experiments.toml.fields import Problems, build, check_keys, show
from nestbench.experiments.toml.named import remember
from nestbench.experiments.toml.published_tables import check_published
from nestbench.experiments.toml.settings import SECTIONS, Choice, PrecisionLimits, Settings
from nestbench.experiments.toml.writing import to_toml
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput, did_you_mean
from nestbench.sim.laws.registry import law_named
from nestbench.sim.observed.model import Model
from nestbench.sim.visible import is_visible, visible

Tables = Mapping[str, Any]


def read_experiment(path: str | Path, changes: Tables | None = None) -> Experiment:
    """Return the experiment of a catalogue name or a TOML file.

    Parameters
    ----------
    path : str or Path
        A name of the catalogue (``nestbench list``) or a TOML file.
    changes : mapping
        Keys of ``[experiment]`` to set instead of the file's: replications, seed, engine, estimators, ...

    Raises
    ------
    InvalidInput
        No such file, no TOML, or mistakes in it: all of them listed, each with key, value and what is allowed.
    """
    file = find(path)
    try:
        text = file.read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except OSError as error:
        raise InvalidInput(f"expected a readable TOML file, got '{path}' ({error.strerror})") from error
    # TOMLDecodeError is a ValueError.
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, lists in lists in lists
        raise InvalidInput(f"expected a TOML file, got '{path}', which can't be read: {error}") from error
    return experiment_from(changed(tables, changes), source=text, base=file.parent, where=str(path))


def find(path: str | Path) -> Path:
    """Return the file of a catalogue name or path."""
    if is_file(Path(path)):
        return Path(path)
    known = catalog.names()
    if str(path) in known:
        return catalog.path_of(str(path))
    raise InvalidInput(
        f"expected a TOML file or a catalogue name, got '{path}', which is neither."
        f"{did_you_mean(str(path), known)} Catalogue: {', '.join(known)}. "
        "Make a file of your own with: nestbench new NAME"
    )


def is_file(path: Path) -> bool:
    """Whether there is a file; a path that the system can't have (too long, a null byte) is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def changed(tables: Tables, changes: Tables | None) -> Tables:
    """Return the tables with some keys of ``[experiment]`` set; None leaves a key as it is."""
    asked = {key: value for key, value in (changes or {}).items() if value is not None}
    settings = tables.get("experiment", {})
    if not asked or not isinstance(settings, Mapping):
        return tables
    return {**tables, "experiment": {**settings, **asked}}


def experiment_from(
    tables: Tables, base: str | Path = ".", source: str = "", where: str = "experiment"
) -> Experiment:
    """Return an experiment from the tables of a TOML file, as dictionaries.

    Parameters
    ----------
    tables : mapping
        Sections ``experiment``, ``population``, ``layout``, ``model``, ``factors``.
    source : str
        The TOML text; one is written when there is none.
    base : Path
        Folder that the paths in the tables are relative to (default: the current one).
    where : str
        How error messages call the input.
    """
    problems = Problems()
    _require_ends(tables, where)
    # Before any other mistake is looked for: their messages quote what stands in the file, on a terminal.
    for text in _hidden(tables):
        problems.add(f"a text holds control characters: {visible(text)[:60]!r}; leave them out")
    problems.refuse(where)
    check_keys(tables, SECTIONS, "", problems)
    if "experiment" not in tables:
        problems.add(
            'the section [experiment] is missing; it needs at least name = "..." and estimators = [...]'
        )
        problems.refuse(where)
    settings = build(Settings, tables["experiment"], "experiment", problems)
    raw = tables["experiment"] if isinstance(tables["experiment"], Mapping) else {}
    folder = Path(base)
    # Before conditions and methods, whose names they may define.
    loaded = _plugins(_listed(raw, "plugins", str), folder, problems)
    crossing = factors.check(tables.get("factors", {}), problems)
    levels, cells = _cells(tables, crossing, folder, problems)
    check_published(tables.get("published", []), crossing.levels, levels, problems)
    methods = _estimators(_listed(raw, "estimators", (str, dict)), raw.get("engine", "auto"), problems)
    precision = _precision(tables["precision"], problems) if "precision" in tables else None
    problems.refuse(where)
    assert settings is not None
    shared = {
        f.name: getattr(settings, f.name) for f in fields(Settings) if f.name not in ("estimators", "plugins")
    }
    experiment = Experiment(
        **shared,
        cells=cells,
        levels=levels,
        estimators=methods,
        plugins=loaded,
        precision=precision,
        source=source or to_toml(tables),
    )
    return replace(experiment, title=experiment.title or experiment.name)


def _require_ends(tables: Tables, where: str) -> None:
    """Refuse tables that hold themselves, or are nested without measure: dictionaries from Python may."""
    try:
        json.dumps(tables, default=str, skipkeys=True)
    except (ValueError, RecursionError):
        raise InvalidInput(
            f"{where}: expected tables of keys and values, got tables within themselves"
        ) from None


def _hidden(tables: Any) -> Iterator[str]:
    """Yield the texts in some tables, keys too, that hold what can't be seen; lists may be nested to any depth."""
    left, seen = [tables], set[int]()
    while left:
        value = left.pop()
        if isinstance(value, str):
            yield from () if is_visible(value) else (value,)
        elif isinstance(value, (Mapping, list, tuple)) and id(value) not in seen:
            seen.add(id(value))
            left += [*map(str, value), *value.values()] if isinstance(value, Mapping) else value


def _precision(table: Any, problems: Problems) -> Precision | None:
    """Read ``[precision]``: limits by name, every other key a measure with its largest Monte Carlo error."""
    if not isinstance(table, Mapping):
        problems.add(f"[precision] should be a table of measures, got {show(table)}")
        return None
    limits = {key: value for key, value in table.items() if key in ("max_replications", "max_time")}
    targets = {key: value for key, value in table.items() if key not in limits}
    if not targets:
        problems.add(
            "precision needs at least one measure with its largest Monte Carlo error, e.g. coverage = 0.002"
        )
    for name, target in targets.items():
        if isinstance(target, bool) or not isinstance(target, (int, float)) or not target > 0:
            problems.add(f"precision.{name} should be a Monte Carlo error greater than 0, got {show(target)}")
    limits_read = build(PrecisionLimits, limits, "precision", problems)
    return (
        Precision(targets, limits_read.max_replications, limits_read.max_time)
        if limits_read and targets
        else None
    )


def _listed(table: Tables, key: str, kinds: Any) -> list[Any]:
    """Return the usable items of a list; what is wrong with the others is said elsewhere: no error hides another."""
    items = table.get(key, [])
    return [item for item in items if isinstance(item, kinds)] if isinstance(items, (list, tuple)) else []


def _plugins(paths: Sequence[str], base: Path, problems: Problems) -> tuple[Plugin, ...]:
    """Load the plugin files, noting those that can't be found or raise."""
    usable: list[Plugin] = []
    for path in paths:
        file = base / path
        if not is_file(file):
            problems.add(
                f"experiment.plugins should name Python files, got {show(path)}: there is no such file {file}"
            )
            continue
        file = file.resolve()
        # A run keeps them in one folder, by their names.
        if any(Path(other.path).name == file.name for other in usable):
            problems.add(f"experiment.plugins has two files called {file.name}; give them different names")
            continue
        try:
            plugin = Plugin.at(file)
            remember(plugin)
            plugins.load_plugin(plugin)
            usable.append(plugin)
        except InvalidInput as error:
            problems.add(f"experiment.plugins: {error}")
    return tuple(usable)


def _estimators(choices: Sequence[Choice], engine: str, problems: Problems) -> tuple[Estimator, ...]:
    """Return the methods by name or table, noting what can't be had."""
    methods: list[Estimator] = []
    for choice in choices:
        try:
            estimator = registry.get(choice)
            # Of any other word the settings complain.
            if engine in ("auto", "reference", "batched"):
                estimator.engine(engine)
            methods.append(estimator)
        except InvalidInput as error:
            problems.add(f"experiment.estimators: {error}")
    for label, times in Counter(e.label for e in methods).items():
        if times > 1:
            problems.add(f"experiment.estimators has '{label}' {times} times; name each method once")
    return tuple(methods)


def _cells(
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

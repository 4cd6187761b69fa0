"""Experiments from TOML files and from plain tables, every mistake of a file said at once."""

from __future__ import annotations

import json
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
from nestbench.experiments.toml.conditions import conditions_of
from nestbench.experiments.toml.fields import Problems, build, check_keys, show
from nestbench.experiments.toml.named import remember
from nestbench.experiments.toml.published_tables import check_published
from nestbench.experiments.toml.settings import SECTIONS, Choice, PrecisionLimits, Settings
from nestbench.experiments.toml.writing import to_toml
from nestbench.sim.errors import InvalidInput, did_you_mean
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
    levels, cells = conditions_of(tables, crossing, folder, problems)
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

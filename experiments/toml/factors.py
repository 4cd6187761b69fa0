"""Factors: dotted keys and their levels, crossed into conditions; keys that vary together; combinations left out.

::

    [factors]
    "layout.schools, layout.students" = [[10, 50], [25, 20], [50, 10]]    # rows: these vary together
    "population.icc" = [0.0, 0.1, 0.4]                                    # crossed with everything else
    exclude = [{ "layout.schools" = 10, "population.icc" = [0.1, 0.4] }]  # a list of levels means any of them
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nestbench.experiments.toml.combinations import (
    FILTERS,
    MOST,
    TOO_MANY,
    Block,
    Crossing,
    Level,
    bounded,
    filtered,
    identity,
    shown,
)
from nestbench.experiments.toml.fields import Problems, show
from nestbench.sim.errors import did_you_mean
from nestbench.sim.laws.registry import known_laws

SECTIONS = ("population", "layout", "model", "truth")

Tables = dict[str, Any]


def check(factors: Any, problems: Problems) -> Crossing:
    """Return the factors that can be used, noting what is wrong with the others.

    Nothing is raised: all mistakes of a file are said at once, and what can be used is read on.
    """
    if not isinstance(factors, Mapping):
        problems.add(f"factors should be a table of dotted keys and their levels, got {show(factors)}")
        return Crossing()
    blocks: list[Block] = []
    usable = True
    for key, levels in factors.items():
        if key not in FILTERS:
            problem = _problem(key, levels) or _varied_twice(key, blocks)
            if problem:
                problems.add(problem)
                usable = False
            else:
                blocks.append(_block(key, levels))
    crossing = Crossing(tuple(blocks))
    if not bounded(crossing, problems):
        return Crossing()
    # A pattern that names a factor which couldn't be read would be called wrong itself.
    return filtered(crossing, factors, problems) if usable else crossing


def cross(tables: Tables, crossing: Crossing) -> Iterator[tuple[Level, Tables]]:
    """Yield, for each condition, its levels by factor and the tables with them set; the first factor is the slowest."""
    for combination in crossing.combinations():
        changed = copy.deepcopy(tables)
        for name, level in combination.items():
            _apply(changed, name, level)
        yield {name: shown(level) for name, level in combination.items()}, changed


def is_joint(name: str) -> bool:
    """Whether a factor's levels are tables of dotted keys that change together."""
    return name.split(".")[0] not in SECTIONS


def _names(key: str) -> tuple[str, ...]:
    """Return the dotted keys that a factor's name has."""
    return tuple(part.strip() for part in key.split(","))


def _block(key: str, levels: Any) -> Block:
    """Return a factor, or factors that vary together, as rows of levels."""
    names = _names(key)
    return Block(names, tuple(tuple(row) if len(names) > 1 else (row,) for row in levels))


def _problem(key: str, levels: Any) -> str | None:
    """Return what is wrong with a factor's name and levels, in words; None where nothing is."""
    if not isinstance(levels, (list, tuple)) or not levels:
        return f'factors."{key}" should be a list of at least one level, got {show(levels)}'
    if len(levels) > MOST:
        return f'factors."{key}" has {len(levels)} levels; {TOO_MANY}'
    if len({identity(level) for level in levels}) < len(levels):
        return f'factors."{key}" has a level twice: {show(levels)}; each level makes its own conditions'
    names = _names(key)
    return _problem_of_rows(key, names, levels) if len(names) > 1 else _problem_of_one(key, levels)


def _problem_of_rows(key: str, names: Sequence[str], rows: Sequence[Any]) -> str | None:
    """Return what is wrong with factors that vary together: rows of another length, a key twice, a name that is no
    dotted key.
    """
    for row in rows:
        if not isinstance(row, (list, tuple)) or len(row) != len(names):
            return (
                f'factors."{key}" names {len(names)} keys that vary together, so each level should be a list of '
                f"{len(names)} values, got {show(row)}"
            )
    if len(set(names)) < len(names):
        return f'factors."{key}" names a key twice'
    for i, name in enumerate(names):
        if is_joint(name):
            return (
                f'factors."{key}" should name dotted keys that start with {", ".join(SECTIONS)}, '
                f"got {show(name)}.{did_you_mean(name.split('.')[0], SECTIONS)}"
            )
        problem = _problem_of_one(name, [row[i] for row in rows])
        if problem:
            return problem
    return None


def _problem_of_one(name: str, levels: Sequence[Any]) -> str | None:
    """Return what is wrong with one factor: a name that sets nothing, levels that it can't have."""
    head = name.split(".")[0]
    if head in SECTIONS:
        whole = name == head and not all(isinstance(level, Mapping) for level in levels)
        return f'factors."{name}" needs tables as levels, or a dotted key such as {head}.x' if whole else None
    tables = all(isinstance(level, Mapping) for level in levels)
    keys = [key for level in levels if isinstance(level, Mapping) for key in level if key != "label"]
    wrong = [key for key in keys if key.split(".")[0] not in SECTIONS]
    if not tables or wrong:
        got = f"got {show(wrong[0])}" if wrong else f"got {show(levels)}"
        return (
            f'factors."{name}" should be a dotted key that starts with {", ".join(SECTIONS)}'
            f"{did_you_mean(head, SECTIONS)}, or have tables of such keys as levels; {got}"
        )
    return None


def _varied_twice(key: str, blocks: Sequence[Block]) -> str | None:
    """Return which key is varied by two factors, in words: the second would overwrite the first."""
    taken = {name for block in blocks for name in block.names}
    again = [name for name in _names(key) if name in taken]
    return f'factors."{again[0]}" is varied twice; give its levels once' if again else None


def _apply(tables: Tables, name: str, level: Any) -> None:
    """Set a level: a joint factor sets each of its keys, a whole section is updated key by key, a key is replaced."""
    if is_joint(name):
        for key, value in level.items():
            if key != "label":
                _apply(tables, key, value)
        return
    if name in SECTIONS:
        tables[name] = {**tables[name], **{k: v for k, v in level.items() if k != "label"}}
        return
    # a term may hold dots itself: truth.np.log(age), model.null.np.log(age)
    depth = 1 if name.startswith("truth.") else 2 if name.startswith("model.null.") else -1
    # From the front, for as many dots as the sections have.
    *path, last = name.split(".", depth)
    table = tables
    for part in path:
        inner = table.get(part, _usual(tables, part) if table is tables.get("population") else None)
        table[part] = dict(inner) if isinstance(inner, Mapping) else {}
        table = table[part]
    # Levels may be tables, which later factors change.
    table[last] = copy.deepcopy(level)


def _usual(tables: Tables, name: str) -> Any:
    """Return what the population has for a parameter that the file leaves out: one effect as a factor leaves the
    others."""
    law = known_laws().get(str(tables["population"].get("law", "random-intercept")))
    field: dataclasses.Field[Any] | None = getattr(law, "__dataclass_fields__", {}).get(name)
    if field is None:
        return None
    factory = field.default_factory
    return field.default if factory is dataclasses.MISSING else factory()

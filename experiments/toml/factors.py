"""Factors: dotted keys and their levels, crossed into cells."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from nestbench.experiments.toml.fields import Problems, show
from nestbench.sim.errors import did_you_mean

SECTIONS = ("population", "layout", "model")

Tables = dict[str, Any]
Level = Mapping[str, Any]


def check(factors: Any, problems: Problems) -> dict[str, list[Any]]:
    """Return the factors that can be used, noting what is wrong with the others."""
    if not isinstance(factors, Mapping):
        problems.add(f"factors should be a table of dotted keys and their levels, got {show(factors)}")
        return {}
    usable = {}
    for name, levels in factors.items():
        problem = _problem(name, levels)
        if problem:
            problems.add(problem)
        else:
            usable[name] = list(levels)
    return usable


def cross(tables: Tables, factors: Mapping[str, list[Any]]) -> Iterator[tuple[Level, Tables]]:
    """Yield, for each cell, its levels by factor and the tables with them set; the first factor is the slowest."""
    for chosen in itertools.product(*factors.values()):
        changed = copy.deepcopy(tables)
        for name, level in zip(factors, chosen, strict=True):
            _apply(changed, name, level)
        yield {name: shown(level) for name, level in zip(factors, chosen, strict=True)}, changed


def shown(level: Any) -> Any:
    """Return a level as it stands in tables of results: a scalar as it is, a list or table as a short text.

    The key ``label`` of a table, if there, is its text.
    """
    if isinstance(level, Mapping):
        return str(level.get("label") or ", ".join(f"{k}={shown(v)}" for k, v in level.items()))
    if isinstance(level, (list, tuple)):
        return ", ".join(str(shown(item)) for item in level)
    return level


def is_joint(name: str) -> bool:
    """Whether a factor's levels are tables of dotted keys that change together."""
    return name.split(".")[0] not in SECTIONS


def _problem(name: str, levels: Any) -> str | None:
    if not isinstance(levels, (list, tuple)) or not levels:
        return f'factors."{name}" should be a list of at least one level, got {show(levels)}'
    if any(level in levels[:i] for i, level in enumerate(levels)):
        return f'factors."{name}" has a level twice: {show(levels)}; each level makes its own cells'
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
    *path, last = name.split(".")
    table = tables
    for part in path:
        inner = table.get(part)
        table[part] = dict(inner) if isinstance(inner, Mapping) else {}
        table = table[part]
    table[last] = copy.deepcopy(level)

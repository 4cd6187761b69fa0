"""Which combinations of factor levels an experiment makes: all of them, or those that ``only`` and ``exclude`` leave.

A pattern names some factors with the levels that fit; a combination fits a pattern if it does so in every factor named.
Levels are compared by `identity`, since 1 and 1.0 are the same level to whoever wrote the file.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nestbench.experiments.toml.fields import Problems, show
from nestbench.sim.errors import did_you_mean

FILTERS = ("only", "exclude")
"""Keys of ``[factors]`` that are no factors but patterns of combinations to make or to leave out."""

MOST = 10_000
"""Bound on the conditions of an experiment, and a tenth of that on combinations before some are left out."""

TOO_MANY = f"an experiment has at most {MOST} conditions: split it, or let keys vary together"

Level = Mapping[str, Any]
Pattern = Mapping[str, Collection[str]]
"""Factor -> `identity` of each level that meets it."""


@dataclass(frozen=True, slots=True)
class Block:
    """Factors that vary together: each row has a level of each; a factor on its own has rows of one."""

    names: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class Crossing:
    """What is crossed, and which combinations are made.

    Attributes
    ----------
    blocks : tuple of Block
        Crossed with each other, the first the slowest.
    only, exclude : tuple of Pattern
        A combination is made if it meets one of `only` (where there are any) and none of `exclude`.
    """

    blocks: tuple[Block, ...] = ()
    only: tuple[Pattern, ...] = ()
    exclude: tuple[Pattern, ...] = ()

    @property
    def levels(self) -> dict[str, list[Any]]:
        """Each factor's levels, in the order first named."""
        return {
            name: list({identity(row[i]): row[i] for row in block.rows}.values())
            for block in self.blocks
            for i, name in enumerate(block.names)
        }

    def combinations(self) -> Iterator[Level]:
        """Yield the combinations that are made: factor -> level as it stands in the file."""
        for rows in itertools.product(*(block.rows for block in self.blocks)):
            combination = {
                name: level
                for block, row in zip(self.blocks, rows, strict=True)
                for name, level in zip(block.names, row, strict=True)
            }
            if self._made(combination):
                yield combination

    def _made(self, combination: Level) -> bool:
        """Whether a combination fits one of `only`, where there are any, and none of `exclude`."""
        if not self.only and not self.exclude:
            return True
        names = {name: identity(level) for name, level in combination.items()}
        kept = not self.only or any(_meets(names, pattern) for pattern in self.only)
        return kept and not any(_meets(names, pattern) for pattern in self.exclude)


def identity(level: Any) -> str:
    """Return a text that equal levels share: 1 and 1.0, but not true; tables whatever the order of their keys."""
    return json.dumps(_json_level(level), sort_keys=True, default=str)


def shown(level: Any) -> Any:
    """Return a level as it stands in tables of results: a scalar as it is, a list or table as a short text.

    The key ``label`` of a table, if there, is its text.
    """
    if isinstance(level, Mapping):
        return str(level.get("label") or ", ".join(f"{k}={shown(v)}" for k, v in level.items()))
    if isinstance(level, (list, tuple)):
        return ", ".join(str(shown(item)) for item in level)
    return level


def bounded(crossing: Crossing, problems: Problems) -> bool:
    """Whether there are few enough combinations to look at each; notes it if not."""
    combinations = math.prod(len(block.rows) for block in crossing.blocks)
    if combinations > 10 * MOST:
        problems.add(f"factors make {combinations} combinations; {TOO_MANY}")
    return combinations <= 10 * MOST


def filtered(crossing: Crossing, factors: Mapping[str, Any], problems: Problems) -> Crossing:
    """Return a crossing with the patterns of its table, noting those that no combination meets."""
    before = problems.times
    kept = Crossing(
        crossing.blocks,
        only=_patterns("only", crossing, factors, problems),
        exclude=_patterns("exclude", crossing, factors, problems),
    )
    if problems.times > before:
        return crossing
    number = sum(1 for _ in kept.combinations())
    if not number:
        problems.add("factors leave out every combination: check only and exclude")
    if number > MOST:
        problems.add(f"factors make {number} conditions; {TOO_MANY}")
    return kept if 0 < number <= MOST else Crossing()


def _patterns(
    key: str, crossing: Crossing, factors: Mapping[str, Any], problems: Problems
) -> tuple[Pattern, ...]:
    """Return the patterns under a key, noting what isn't one."""
    tables = factors.get(key, [])
    if not isinstance(tables, (list, tuple)) or not all(isinstance(one, Mapping) for one in tables):
        problems.add(
            f"factors.{key} should be a list of tables, each with levels by factor, got {show(tables)}"
        )
        return ()
    return tuple(_pattern(f"factors.{key}[{i}]", t, crossing, problems) for i, t in enumerate(tables, 1))


def _pattern(where: str, table: Mapping[str, Any], crossing: Crossing, problems: Problems) -> Pattern:
    """Return one pattern, noting factors that aren't, levels they don't have, and that no combination fits it: a
    pattern without effect is a mistake, and the file would seem to do what it doesn't.
    """
    known = crossing.levels
    before = problems.times
    if not table:
        problems.add(f"{where} should name at least one factor with its level; factors: {', '.join(known)}")
    pattern = {}
    for name, levels in table.items():
        if name not in known:
            problems.add(
                f"{where} names {show(name)}, which is no factor.{did_you_mean(name, known)} "
                f"Factors: {', '.join(known) or 'none'}"
            )
            continue
        meant = _meant(levels, {key: identity(level) for level in known[name] for key in _names_of(level)})
        if meant is None:
            problems.add(
                f'{where}."{name}" should be a level of that factor, or a list of some, got {show(levels)}; '
                f"levels: {show([shown(level) for level in known[name]])}"
            )
        pattern[name] = meant or ()
    alone = Crossing(crossing.blocks, only=(pattern,))
    if problems.times == before and not any(True for _ in alone.combinations()):
        problems.add(f"{where} fits no combination of the factors: {show(table)}")
    return pattern


def _names_of(level: Any) -> tuple[str, str]:
    """What a level may be called in a pattern: itself, or its text in results."""
    return identity(level), identity(shown(level))


def _meant(wanted: Any, known: Mapping[str, str]) -> frozenset[str] | None:
    """Return the levels that are meant, one or those of a list; None if any is none."""
    if identity(wanted) in known:
        return frozenset([known[identity(wanted)]])
    if not isinstance(wanted, (list, tuple)) or not wanted:
        return None
    levels = [known.get(identity(one)) for one in wanted]
    return None if None in levels else frozenset(one for one in levels if one is not None)


def _meets(names: Mapping[str, str], pattern: Pattern) -> bool:
    """Whether a combination, by identities of its levels, fits a pattern."""
    return all(names[factor] in levels for factor, levels in pattern.items())


def _json_level(level: Any) -> Any:
    """Return a level as JSON values in which equal levels look the same."""
    if isinstance(level, Mapping):
        return {str(key): _json_level(value) for key, value in level.items()}
    if isinstance(level, (list, tuple)):
        return [_json_level(item) for item in level]
    # TOML tells 1 from 1.0; who writes it doesn't mean to.
    whole = isinstance(level, float) and level.is_integer()
    return int(level) if whole else level

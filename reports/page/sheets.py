"""Tables of methods by conditions laid out for a page: the way round that fits it, in as many sheets as it takes.

A table wider than the page hides columns on a screen and loses them in print. Conditions stand across where their
words and all entries fit; else they stand down, where long words have room, and methods are spread over sheets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil
from typing import Any

from nestbench.reports.figures.letters import text_width, wrapped
from nestbench.reports.page.breaks import LONG, tied
from nestbench.reports.tokens import tokens

WIDTH, PADDING = 940, 20
"""Room for a table, and what a column has beside its words; px. Prints are laid out at 957 px (A4) or more."""

ENTRY, HEAD, LEAST = 14.4, 12.8, 58
"""Sizes of entries and heads, least width of a column (page.css); px."""

LINES = 2
"""Lines that a head may take where conditions stand across."""

WORDS, NAME = 260, 160
"""Most room for a condition's words and for a method's name beside their rows, px."""

Entry = Mapping[str, Any]
Rows = Sequence[tuple[str, Sequence[Entry]]]
"""Methods with an entry a condition."""


@dataclass(frozen=True, slots=True)
class Group:
    """Rows under words they share; `words` may be empty."""

    words: str
    rows: list[tuple[str, list[Entry]]]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table: what its rows are, the rows of its head as (words, columns), its groups of rows."""

    corner: str
    heads: list[list[tuple[str, int]]]
    groups: list[Group]

    @property
    def columns(self) -> int:
        """How many columns there are, that of the rows' names included."""
        return 1 + sum(span for _, span in self.heads[-1])


def sheets(
    conditions: Sequence[Sequence[str]], tables: Mapping[str, Rows], across: bool
) -> dict[str, list[Sheet]]:
    """Return tables by term as sheets; each condition is given by its levels in words, each entry knows its
    condition.

    Parameters
    ----------
    conditions : sequence of sequence of str
    tables : mapping
        Term -> rows of (method, entries).
    across : bool
        Conditions in columns, as far as they find room.
    """
    laid = _across if across else _down
    return {
        term: laid(
            conditions, [(label, [{**e, "cell": i} for i, e in enumerate(line)]) for label, line in rows]
        )
        for term, rows in tables.items()
    }


def fit_across(conditions: Sequence[Sequence[str]], tables: Sequence[Mapping[str, Rows]]) -> bool:
    """Return whether conditions may stand across in all the tables of a page."""
    every = [row for table in tables for rows in table.values() for row in rows]
    names = max((_name(label, NAME) for label, _ in every), default=0.0)
    entries = max((_word(tied(str(e["text"])), ENTRY) for _, line in every for e in line), default=0.0)
    room = (WIDTH - names - PADDING) / max(1, len(conditions)) - PADDING
    if room < max(LEAST - PADDING, entries):
        return False
    heads = [(words, span * (room + PADDING) - PADDING) for row in _spans(conditions) for words, span in row]
    return all(len(wrapped(words, width, HEAD)) <= LINES for words, width in heads)


def _across(conditions: Sequence[Sequence[str]], rows: Rows) -> list[Sheet]:
    """Return one sheet with conditions in columns: easiest to read while there are few."""
    return [Sheet("Method", _spans(conditions), [Group("", [(label, list(line)) for label, line in rows])])]


def _down(conditions: Sequence[Sequence[str]], rows: Rows) -> list[Sheet]:
    """Return sheets with conditions in rows, and as many methods in each as find room."""
    words = max(_name(name, WORDS) for _, part in _grouped(conditions) for name, _ in part)
    room = WIDTH - words - PADDING
    columns = [_column(label, line) for label, line in rows]
    # The fewest sheets that could hold all, evenly filled; wide methods that stand together may need more.
    each = ceil(len(rows) / max(1, ceil(sum(columns) / room)))
    while each > 1 and any(sum(columns[i : i + each]) > room for i in range(0, len(rows), each)):
        each -= 1
    return [_sheet(conditions, rows[i : i + each]) for i in range(0, len(rows), each)]


def _sheet(conditions: Sequence[Sequence[str]], rows: Rows) -> Sheet:
    """Return a sheet of some methods, conditions in rows."""
    groups = [
        Group(words, [(name, [line[i] for _, line in rows]) for name, i in part])
        for words, part in _grouped(conditions)
    ]
    return Sheet("Condition", [[(label, 1) for label, _ in rows]], groups)


def _grouped(conditions: Sequence[Sequence[str]]) -> list[tuple[str, list[tuple[str, int]]]]:
    """Return neighbours that differ in their last level alone below the words of the others; none if none do."""
    apart = [(", ".join(levels[:-1]), levels[-1], i) for i, levels in enumerate(conditions)]
    groups = [
        (words, [(name, i) for _, name, i in part]) for words, part in groupby(apart, key=lambda one: one[0])
    ]
    if len(groups) < len(conditions):
        return groups
    return [("", [(", ".join(levels), i) for i, levels in enumerate(conditions)])]


def _column(label: str, line: Sequence[Entry]) -> float:
    """Return the width that a method's column needs: of its name and of its widest entry."""
    entries = max((_word(tied(str(entry["text"])), ENTRY) for entry in line), default=0.0)
    return max(LEAST, entries + PADDING, _word(label, HEAD) + PADDING)


def _name(text: str, most: float) -> float:
    """Return the room that words take beside their row, in lines of at most a width."""
    return max(min(most, text_width(text, ENTRY)), _word(text, ENTRY))


def _word(text: str, size: float) -> float:
    """Return the width of the widest part of a text that the page doesn't break."""
    words = [
        part for word in text.split(" ") for part in (tokens(word) if len(word) > LONG else word.split("-"))
    ]
    return max(text_width(f"{part}-", size) for part in words)


def _spans(heads: Sequence[Sequence[str]]) -> list[list[tuple[str, int]]]:
    """Merge equal neighbours of the header's rows: (words, columns)."""
    depth = max((len(head) for head in heads), default=0)
    rows: list[list[tuple[str, int]]] = []
    for level in range(depth):
        row: list[tuple[str, int]] = []
        previous: list[str] | None = None
        for head in heads:
            prefix = list(head[: level + 1])
            # By all levels above too: an equal level below another head is another one.
            if prefix == previous:
                row[-1] = (row[-1][0], row[-1][1] + 1)
            else:
                row.append((prefix[-1] if len(prefix) > level else "", 1))
            previous = prefix
        rows.append(row)
    return rows

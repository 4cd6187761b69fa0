"""A history as a file: JSON lines, sorted, so that two branches that both added a run can be merged line by line.

Git's union driver (``*.jsonl merge=union`` in ``.gitattributes``) keeps both sides' lines; nothing depends on their
order, and lines of one run and series that are there twice count once. Without it, deleting the three kinds of marker
lines that git wrote is the merge.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from nestbench.experiments.files import write_atomically
from nestbench.history.entry import FORMAT, Entry, entry_of_plain
from nestbench.sim.errors import InvalidInput
from nestbench.sim.files import read_file
from nestbench.sim.visible import visible_in

_MARKERS = ("<<<<<<<", "=======", ">>>>>>>", "|||||||")


def load(path: Path) -> list[Entry]:
    """Return the lines of a history, in order; none where there is no file yet.

    Raises
    ------
    InvalidInput
        The file can't be read, or a line isn't one of a history; the message names it.
    """
    if not path.exists():
        return []
    try:
        text = read_file(path).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"expected {path} to be a history, got a file that can't be read ({error}); name another with --file"
        ) from None
    lines = [(k, line.strip()) for k, line in enumerate(text.splitlines(), 1) if line.strip()]
    return sorted_entries(_entry(path, number, line) for number, line in lines)


def save(entries: Sequence[Entry], path: Path) -> None:
    """Write a history, whole or not at all."""
    lines = (json.dumps(one.plain, ensure_ascii=False, allow_nan=False) for one in entries)
    write_atomically(path, "".join(f"{line}\n" for line in lines).encode())


def with_run(entries: Sequence[Entry], run: Iterable[Entry]) -> list[Entry]:
    """Return a history with a run, in place of what it had of the same commit and seed.

    Raises
    ------
    InvalidInput
        The history is of another study.
    """
    new = list(run)
    studies = {one.study for one in entries}
    for one in new[:1]:
        if studies and one.study not in studies:
            raise InvalidInput(
                f"expected a run of '{', '.join(sorted(studies))}', which the history is of, got one of '{one.study}'; "
                "keep a file for each study: --file OTHER"
            )
    runs = {one.run for one in new}
    return sorted_entries([*(one for one in entries if one.run not in runs), *new])


def sorted_entries(entries: Iterable[Entry]) -> list[Entry]:
    """Return lines by series, then date; of those of one run and series the last date's, once."""
    kept = {(one.series, one.run): one for one in sorted(entries, key=lambda one: one.date)}
    return sorted(
        kept.values(), key=lambda one: (one.where, one.method, one.term, one.date, one.commit, one.seed)
    )


def _entry(path: Path, number: int, line: str) -> Entry:
    """Return a line's entry."""
    if line.startswith(_MARKERS):
        raise InvalidInput(
            f"expected a merged history, got git's '{line[:7]}' in line {number} of {path}; delete the marker lines, "
            f"keep all others, and spare yourself the next one: echo '{path.name} merge=union' >> .gitattributes"
        )
    try:
        plain = json.loads(line)
        if plain["format"] != FORMAT:
            raise ValueError(f"format {plain['format']!r}")
        # A terminal and a figure will show its names.
        return entry_of_plain(visible_in(plain))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise InvalidInput(
            f"expected a line of a history (format {FORMAT}) in line {number} of {path}, got {_why(error)}; take the "
            "line out or restore it (git checkout), or use the nestbench that wrote it"
        ) from None


def _why(error: Exception) -> str:
    """Return what is wrong with a line."""
    if isinstance(error, json.JSONDecodeError):
        return f"no JSON ({error.msg}, column {error.colno})"
    return f"none: {error} is missing" if isinstance(error, KeyError) else f"another: {error}"

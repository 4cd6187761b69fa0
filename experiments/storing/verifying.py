"""Checks of a store against its own checksums."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from nestbench.experiments.files import checked
from nestbench.experiments.storing.journal import Entry
from nestbench.sim.errors import StoreError


def damaged(folder: Path, entries: Iterable[Entry]) -> Iterator[tuple[Entry, str]]:
    """Yield the finished tasks of a run with a file that is not what was stored, and what is wrong with it."""
    for entry in entries:
        for path, sha256, size in entry.files:
            try:
                checked(folder / path, sha256, size)
            except StoreError as error:
                yield entry, f"{path} {error}"
                break

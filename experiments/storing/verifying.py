"""Checks of a store against its own checksums."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from nestbench.experiments.storing.journal import Entry


def damaged(folder: Path, entries: Iterable[Entry]) -> Iterator[tuple[Entry, str]]:
    """Yield the finished tasks of a run with a file that is not what was stored, and what is wrong with it."""
    for entry in entries:
        for path, sha256, size in entry.files:
            wrong = _wrong(folder / path, sha256, size)
            if wrong:
                yield entry, f"{path} {wrong}"
                break


def _wrong(file: Path, sha256: str, size: int) -> str:
    try:
        data = file.read_bytes()
    except OSError as error:
        return f"can't be read ({error.strerror})"
    if len(data) != size:
        return f"has {len(data)} bytes where {size} were stored"
    if hashlib.sha256(data).hexdigest() != sha256:
        return "has other bytes than were stored"
    return ""

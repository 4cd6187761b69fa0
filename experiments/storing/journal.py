"""The journal of a run: one line a finished task, with the checksum of each of its files.

Lines are only ever appended, after the files they name are safely on disk. A line torn by a crash doesn't parse or
doesn't match its own checksum and counts as not written: its task is done again, with the same bytes.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nestbench.experiments.plan import Task
from nestbench.experiments.storing.files import unwritable

NAME = "journal"


@dataclass(frozen=True, slots=True)
class Entry:
    """A finished task: its place in the plan, its files as (path, sha256, bytes), and what its fits came to."""

    task: Task
    files: tuple[tuple[str, str, int], ...]
    fits: int
    unusable: int
    seconds: float

    def line(self) -> bytes:
        """Return the entry as a line of the journal."""
        t = self.task
        body = json.dumps(
            {
                "task": [t.cell, t.start, t.stop, list(t.estimators), t.audit],
                "files": [list(file) for file in self.files],
                "fits": self.fits,
                "unusable": self.unusable,
                "seconds": round(self.seconds, 4),
            },
            separators=(",", ":"),
        ).encode()
        return b"%08x %s\n" % (zlib.crc32(body), body)


def read_journal(path: Path) -> dict[str, Entry]:
    """Return the entries by task key; torn or damaged lines are left out, the last entry of a task counts."""
    if not path.exists():
        return {}
    found = (_parse(line) for line in path.read_bytes().split(b"\n"))
    return {entry.task.key: entry for entry in found if entry is not None}


def append(path: Path, entries: Iterable[Entry]) -> None:
    """Append entries and force them to disk; a torn last line is closed first."""
    try:
        with open(path, "ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                torn = file.read(1) != b"\n"
                file.write(b"\n" if torn else b"")
            file.write(b"".join(entry.line() for entry in entries))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise unwritable(path, error) from error


def _parse(line: bytes) -> Entry | None:
    check, _, body = line.partition(b" ")
    try:
        if int(check, 16) != zlib.crc32(body):
            return None
        data = json.loads(body)
        cell, start, stop, estimators, audit = data["task"]
        task = Task(cell, start, stop, tuple(estimators), audit)
        files = tuple((str(p), str(s), int(n)) for p, s, n in data["files"])
        return Entry(task, files, data["fits"], data["unusable"], data["seconds"])
    except (ValueError, KeyError, TypeError):
        return None

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

from nestbench.experiments.files import open_own, unwritable
from nestbench.experiments.plan import Task
from nestbench.sim.errors import StoreError
from nestbench.sim.files import read_file

NAME = "journal"


@dataclass(frozen=True, slots=True)
class Entry:
    """A finished task: its place in the plan, its files as (path, sha256, bytes), what its fits came to, and the labels
    of methods that didn't give the same numbers twice."""

    task: Task
    files: tuple[tuple[str, str, int], ...]
    fits: int
    unusable: int
    seconds: float
    unrepeatable: tuple[str, ...] = ()

    def line(self) -> bytes:
        """Return the entry as a line of the journal: the CRC-32 of its JSON, then the JSON."""
        t = self.task
        values = {
            "task": [t.cell, t.start, t.stop, list(t.estimators), t.audit],
            "files": [list(file) for file in self.files],
            "fits": self.fits,
            "unusable": self.unusable,
            "seconds": round(self.seconds, 4),
        }
        # Only where there is something to say: journals of sound methods keep their bytes.
        if self.unrepeatable:
            values["unrepeatable"] = list(self.unrepeatable)
        body = json.dumps(values, separators=(",", ":")).encode()
        return b"%08x %s\n" % (zlib.crc32(body), body)


def read_journal(path: Path) -> dict[str, Entry]:
    """Return the entries by task key; torn or damaged lines are left out, the last entry of a task counts.

    Raises
    ------
    StoreError
        There is a journal that can't be read.
    """
    try:
        data = read_file(path)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StoreError(
            f"expected a readable journal {path}, got '{error.strerror}'; restore it, or run anew with -o"
        ) from error
    entries = (_parse(line) for line in data.split(b"\n"))
    return {entry.task.key: entry for entry in entries if entry is not None}


def append(path: Path, entries: Iterable[Entry]) -> None:
    """Append entries and force them to disk; a torn last line is closed first.

    A crash may leave half a line. It must stay a line of its own, so that what follows it can be read.
    """
    try:
        with open(open_own(path, os.O_RDWR | os.O_APPEND), "ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                # Its own line then, which doesn't parse, in place of spoiling the next.
                torn = file.read(1) != b"\n"
                file.write(b"\n" if torn else b"")
            file.write(b"".join(entry.line() for entry in entries))
            file.flush()
            # What the journal names must survive a power cut, or a run would believe in files that aren't.
            os.fsync(file.fileno())
    except OSError as error:
        raise unwritable(path, error) from error


def _parse(line: bytes) -> Entry | None:
    """Return the entry of a line, None for one that is torn, damaged or no entry of ours."""
    check, _, body = line.partition(b" ")
    try:
        if int(check, 16) != zlib.crc32(body):
            return None
        data = json.loads(body)
        cell, start, stop, estimators, audit = data["task"]
        task = Task(cell, start, stop, tuple(estimators), audit)
        files = tuple((str(p), str(s), int(n)) for p, s, n in data["files"])
        unrepeatable = tuple(str(label) for label in data.get("unrepeatable", ()))
        numbers = int(data["fits"]), int(data["unusable"]), float(data["seconds"])
        entry = Entry(task, files, *numbers, unrepeatable)
    # A stranger's line may be anything: JSON nested thousands deep is a RecursionError, no ValueError.
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return entry if _plausible(entry) else None


def _plausible(entry: Entry) -> bool:
    """Whether an entry is one that a run writes: numbers that count something, and files where its task puts them."""
    task = entry.task
    numbers = (task.cell, task.start, task.stop, *task.estimators)
    # Not isinstance: JSON's true is an int to Python, and would be condition 1.
    counted = all(type(number) is int and number >= 0 for number in numbers) and type(task.audit) is bool
    # Any other path could lead out of the run's directory, to be read, copied by merge or written over.
    return counted and task.start < task.stop and {path for path, _, _ in entry.files} <= set(paths_of(task))


def paths_of(task: Task) -> tuple[str, ...]:
    """Return where a task's files are, within the run directory."""
    kind, _, name = f"{task.key}.parquet".partition("/")
    return (f"{kind}/{name}",) if task.audit else tuple(f"{k}/{name}" for k in (kind, "times", "optima"))

"""What became of a task, as the store takes it: files with their checksums, and counts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from nestbench.experiments.plan import Task


@dataclass(frozen=True, slots=True)
class File:
    """A file to be stored: path within the run directory, bytes, their SHA-256."""

    path: str
    data: bytes
    sha256: str

    @classmethod
    def of(cls, path: str, data: bytes) -> File:
        """Return a file with its checksum."""
        return cls(path, data, hashlib.sha256(data).hexdigest())


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a task.

    Attributes
    ----------
    task : Task
    files : tuple of File
        Estimates, times and audit rows, encoded where they were made: what travels from a worker is bytes.
    fits, unusable : int
    seconds : float
        What the task took, on the worker's clock.
    spent : tuple of float
        Seconds of each method, what they share in each; nothing for audits.
    unrepeatable : tuple of str
        Labels of methods that gave other numbers when a data set was fitted again.
    """

    task: Task
    files: tuple[File, ...]
    fits: int
    unusable: int
    seconds: float
    spent: tuple[float, ...] = ()
    unrepeatable: tuple[str, ...] = ()

"""One writer per run directory, ended by the operating system when its process ends, however it ends.

A lock that a file's existence stands for would outlive a killed process and have to be removed by hand.
"""

from __future__ import annotations

import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from nestbench.experiments.files import open_own, unwritable
from nestbench.sim.errors import StoreError

NAME = "lock"


class Lock:
    """An exclusive lock on a directory, held until `release` or the end of the process."""

    def __init__(self, folder: Path) -> None:
        path = folder / NAME
        self._path = path
        # Without O_TRUNC: until the lock is ours, the text in the file is the holder's.
        self._handle = open_own(path, os.O_RDWR)
        if not _try_lock(self._handle):
            holder = _holder(path)
            os.close(self._handle)
            raise StoreError(
                f"expected '{folder}' to be free, but another run is writing to it{holder}; wait for it, stop it, or "
                "choose another directory with -o DIR (out=...)"
            )
        text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": _now()})
        try:
            os.ftruncate(self._handle, 0)
            # Not pwrite, which Windows lacks.
            os.lseek(self._handle, 0, os.SEEK_SET)
            os.write(self._handle, text.encode())
        except OSError as error:
            self.release()
            raise unwritable(path, error) from error

    def require(self) -> None:
        """Refuse to go on when the file that is locked is no longer the one in the folder.

        Raises
        ------
        StoreError
            Somebody removed or replaced it, so that a second writer may have come in.
        """
        try:
            there = self._handle >= 0 and os.path.samestat(os.fstat(self._handle), os.stat(self._path))
        except OSError:
            there = False
        if not there:
            raise StoreError(
                f"expected to hold the lock {self._path}, but it was removed while this run was writing; what is "
                "stored is kept: make sure that nothing else writes there, and run the same command again"
            )

    def release(self) -> None:
        """Let others in; harmless when repeated."""
        # The file stays. Were it removed, who has it open already would lock a file that no path leads to, and a
        # third could lock the next one of that name beside him.
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _try_lock(handle: int) -> bool:
    """Take the lock without waiting; False if somebody has it."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            # Of the open file, not of the process: it ends with the last handle, however that ends.
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _holder(path: Path) -> str:
    """Return who has the lock, in words; empty where the file doesn't say."""
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return f" (process {holder['pid']} on {holder['host']}, since {holder['since']})"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

"""Files that are either whole or not there."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from nestbench.sim.errors import StoreError

TEMPORARY = ".part"


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a crash at any moment leaves the old one or the new one: temporary, fsync, rename, fsync.

    Raises
    ------
    StoreError
        The disk is full, or the folder can't be written.
    """
    temporary = path.with_name(path.name + TEMPORARY)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except BaseException as error:  # Ctrl-C as well
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise unwritable(path, error) from error
        raise


def unwritable(path: Path, error: OSError) -> StoreError:
    """Return the error for a path that can't be written, saying what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = "free some space and run the same command again: finished tasks are kept"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        advice = "choose a folder you may write to with -o DIR (out=...)"
    else:
        advice = "choose another folder with -o DIR (out=...)"
    return StoreError(f"expected to write {path}, got '{error.strerror}'; {advice}")


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power loss; not every system can open a folder."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

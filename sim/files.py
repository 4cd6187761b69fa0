"""Files that users name or that stand in a run directory, and the folder that nobody else can write to."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path


def read_file(path: Path) -> bytes:
    """Return the bytes of a regular file; a pipe or device is refused, not waited for.

    Raises
    ------
    OSError
        It isn't there, can't be read, or is no regular file.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(handle, "rb") as file:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return file.read()


def own_folder() -> Path:
    """Return a folder that nobody else can write to: what is read from it is run.

    Raises
    ------
    PermissionError
        A folder of that name belongs to somebody else.
    """
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    folder = Path(tempfile.gettempdir()) / f"nestbench-kernels-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    # Not `stat`: somebody else may have put a link there first.
    status = folder.lstat()
    foreign = hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022)
    if not stat.S_ISDIR(status.st_mode) or foreign:
        raise PermissionError(f"{folder} belongs to somebody else")
    return folder

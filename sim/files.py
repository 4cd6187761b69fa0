"""Files that users name or that stand in a run directory, the user's own folders, and the one that nobody else can
write to."""

from __future__ import annotations

import errno
import os
import stat
import sys
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


def cache_folder() -> Path:
    """Return the user's folder for what can be made again: ``$XDG_CACHE_HOME/nestbench``, or the system's own."""
    return _user_folder("XDG_CACHE_HOME", ".cache", "Library/Caches")


def state_folder() -> Path:
    """Return the user's folder for what can't be made again: ``$XDG_STATE_HOME/nestbench``, or the system's own."""
    return _user_folder("XDG_STATE_HOME", ".local/state", "Library/Application Support")


def _user_folder(variable: str, usual: str, on_mac: str) -> Path:
    named = os.environ.get(variable) or (os.environ.get("LOCALAPPDATA") if os.name == "nt" else None)
    # Not `Path.home()`, which raises where nobody has a home: for a user without a name, in a container say.
    home = Path(os.path.expanduser("~"))
    return (Path(named) if named else home / (on_mac if sys.platform == "darwin" else usual)) / "nestbench"


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

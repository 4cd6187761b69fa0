"""Files that are either whole or not there; neither links nor pipes in a run directory lead a reader or writer away.

A run may come from somebody else. Nothing is ever written through a link: temporary files have names that nobody can
foresee and are made new, and what is opened to be appended to must be a file of its own.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from nestbench.sim.errors import StoreError
from nestbench.sim.files import read_file

TEMPORARY = ".part"
LONGEST = 150
"""Characters of a file's name that its temporary file repeats: names may have 255 bytes on most systems."""

_OWN = re.compile(r"\..{1,150}\.[0-9a-f]{16}\.part")
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)
_BINARY = getattr(os, "O_BINARY", 0)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a crash at any moment leaves the old one or the new one: temporary, fsync, rename, fsync.

    A link at `path` is replaced, never followed.

    Raises
    ------
    StoreError
        The disk is full, or the folder can't be written.
    """
    if not path.name:
        raise StoreError(f"expected a file to write, got '{path}', which is a folder; name a file in it")
    temporary = path.with_name(f".{path.name[:LONGEST]}.{secrets.token_hex(8)}{TEMPORARY}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK | _BINARY, 0o666)
        with open(handle, "wb") as file:
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


def open_own(path: Path, flags: int) -> int:
    """Return a handle to a regular file that is no link, made if it isn't there.

    Raises
    ------
    StoreError
        A link, a folder, a pipe, or a file that can't be opened.
    """
    try:
        handle = os.open(path, flags | os.O_CREAT | _NO_LINK | _NO_WAIT | _BINARY, 0o644)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise StoreError(f"expected {path} to be a file of the run, got a link; remove it") from error
        raise unwritable(path, error) from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise StoreError(f"expected {path} to be a file, got something else of that name; remove it")
    return handle


def checked(path: Path, sha256: str, size: int) -> bytes:
    """Return the bytes of a stored file.

    Parameters
    ----------
    path : Path
    sha256 : str
        As the journal has it.
    size : int
        As the journal has it, too: a truncated file is told in these words.

    Raises
    ------
    StoreError
        The file isn't there, can't be read, or has other contents.
    """
    try:
        data = read_file(path)
    except OSError as error:
        raise StoreError(f"can't be read ({error.strerror})") from error
    if len(data) != size:
        raise StoreError(f"has {len(data)} bytes where {size} were stored")
    if hashlib.sha256(data).hexdigest() != sha256:
        raise StoreError("has other bytes than were stored")
    return data


class Files:
    """Stored files as they are read: each is checked once, and again when anybody touched it."""

    def __init__(self) -> None:
        self._checked: dict[Path, tuple[int, ...]] = {}

    def read(self, path: Path, sha256: str, size: int) -> bytes:
        """Return the bytes of a stored file; errors as `checked`."""
        state = _state(path)
        if state and self._checked.get(path) == state:
            return read_file(path)
        data = checked(path, sha256, size)
        self._checked[path] = state
        return data


def _state(path: Path) -> tuple[int, ...]:
    try:
        stat = path.stat()
    except OSError:
        return ()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def stale(folder: Path) -> Iterator[Path]:
    """Yield the temporary files that writers killed in the middle left in a folder."""
    for item in folder.iterdir():
        if _OWN.fullmatch(item.name) and item.is_file() and not item.is_symlink():
            yield item


def folders_of(run: Path) -> Iterator[Path]:
    """Yield a run's folder and all folders in it.

    Raises
    ------
    StoreError
        One of those in it is a link: what is written there would land elsewhere.
    """
    for place, folders, _ in os.walk(run):
        yield Path(place)
        for name in folders:
            own_folder(Path(place) / name)


def own_folder(inside: Path) -> Path:
    """Return a folder inside a run, there or not.

    Raises
    ------
    StoreError
        It is a link.
    """
    if inside.is_symlink():
        raise StoreError(
            f"expected {inside} to be a folder of the run, got a link to elsewhere; replace it by the folder"
        )
    return inside


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

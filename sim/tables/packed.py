"""Packed files: gzip, bzip2 and xz undone, and how much a small file may become."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zipfile
import zlib

from nestbench.sim.errors import InvalidInput

SMALL = 64_000_000
"""Bytes that any packed file may become: reading a table takes some twenty times as much memory."""

RATIO = 100
"""How many times its size a larger file may become; packed tables become 2 to 20 times theirs."""

CELLS = 50_000_000
"""Values that any file may hold: a few bytes can stand for thousands of millions of equal or empty ones."""


def unpacked(data: bytes) -> bytes:
    """Return bytes as they were before gzip, bzip2 or xz.

    Raises
    ------
    OSError, EOFError, ValueError
        They are damaged.
    InvalidInput
        They become far more than a table does.
    """
    for mark, packing in ((b"\x1f\x8b", gzip), (b"BZh", bz2), (b"\xfd7zXZ", lzma)):
        if data.startswith(mark):
            most = max(SMALL, RATIO * len(data))
            try:
                with packing.open(io.BytesIO(data)) as file:
                    content: bytes = file.read(most + 1)  # to the end, where checksums are, if it is a table
            except (zlib.error, lzma.LZMAError) as error:  # neither is an error of the usual kinds
                raise ValueError(str(error)) from error
            _require(len(content), most, "bytes", data)
            return content
    return data


def require_no_bomb(data: bytes) -> None:
    """Refuse an Excel file whose parts become far more than those of a table do, or whose table cells are far apart.

    Raises
    ------
    InvalidInput
    """
    with zipfile.ZipFile(io.BytesIO(data)) as parts:  # which gives no part more bytes than it states
        _require(
            sum(part.file_size for part in parts.infolist()), max(SMALL, RATIO * len(data)), "bytes", data
        )
        for name in parts.namelist():
            if name.startswith("xl/worksheets/"):
                require_few_cells(_cells(parts.read(name)), data)


def require_few_cells(cells: int, data: bytes) -> None:
    """Refuse a file that has far more values, empty ones included, than a table of its size.

    Raises
    ------
    InvalidInput
    """
    _require(cells, max(CELLS, RATIO * len(data)), "values", data)


def _cells(sheet: bytes) -> int:
    """Return the number of table cells that a sheet spans, from its corner to the last row and the last column."""
    columns, rows = (
        set(re.findall(rb'<c [^>]*?r="([A-Z]+)', sheet)),
        re.findall(rb'<row [^>]*?r="(\d+)', sheet),
    )
    width = max((_number(letters) for letters in columns), default=0)
    # Python refuses to read numbers of more than 4300 digits.
    return width * max((int(row[:9]) for row in rows), default=0)


def _number(letters: bytes) -> int:
    """Return the number of a column called A, B, ..., AA, ..."""
    number = 0
    # Longer ones are no column of a sheet; of a million letters the number would take seconds.
    for letter in letters[:6]:
        number = 26 * number + letter - 64
    return number


def _require(got: int, most: int, what: str, data: bytes) -> None:
    if got > most:
        raise InvalidInput(
            f"expected at most {most:,} {what} from a file of {len(data):,} bytes, got more; if it is a table all the "
            "same, save the columns and rows you need as a smaller one"
        )

"""Tables from files as people have them: labels stay labels, numbers become numbers, and what was done is said.

Everything is read as text first. A column becomes numeric when all its values are numbers; a label (a school's id, a
category) never goes through a number, which would merge "1" with "01" and the 18-digit ids of registers.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nestbench.sim.counted import plural
from nestbench.sim.errors import InvalidInput
from nestbench.sim.files import read_file
from nestbench.sim.tables.formats import FORMATS, read_format, refuse_binary, refuse_others
from nestbench.sim.tables.notation import SLIPS, Reading, grouped, is_missing, numbers_of, share_of_numbers
from nestbench.sim.tables.packed import unpacked
from nestbench.sim.visible import is_visible, visible

TRUTHS = {"true": 1.0, "false": 0.0}
SEPARATORS = ",;\t|"
LOOKED_AT = 200
"""Lines that decide about the separator."""


@dataclass(frozen=True, slots=True, eq=False)
class TableFile:
    """A table read from a file, and in words what was done to it: by column, "" for the whole; `truths` are columns of
    TRUE and FALSE, which the table has as 1 and 0."""

    frame: pd.DataFrame
    messages: Mapping[str, str] = field(default_factory=dict)
    truths: frozenset[str] = frozenset()


def read_table(path: Path, labels: Collection[str] = ()) -> TableFile:
    """Return the table in a file.

    Text (comma, semicolon, tab or bar separated; UTF-8, UTF-16 with a mark, else Windows-1252; perhaps packed by gzip,
    bzip2 or xz), Parquet, and what pandas reads where its package is installed: Stata's .dta, SPSS's .sav, .xlsx.

    Parameters
    ----------
    path : Path
    labels : collection of str
        Columns of labels: kept as text, whatever they look like.

    Raises
    ------
    InvalidInput
        There is no such file, it can't be read as a table, or rows don't fit the header: with the line.
    """
    try:
        data = read_file(path)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    return table_of(path, data, labels)


def table_of(path: Path, data: bytes, labels: Collection[str] = ()) -> TableFile:
    """Return the table in the bytes of a file, as `read_table` does.

    Parameters
    ----------
    path : Path
        For messages, and for the format by its ending.
    data : bytes
        Unpacked.
    labels : collection of str
        Columns whose values are names whatever they look like: schools numbered 01, 02, ... stay two digits.
    """
    # Files of R are packed: what to do with them is said before what is wrong with the packing.
    refuse_others(path, _suffix(path))
    try:
        return _table(path, unpacked(data), labels)
    except InvalidInput:
        raise
    except MemoryError as error:
        raise InvalidInput(
            f"expected a table that fits into memory, got {path}; save the columns and rows you need as a smaller one"
        ) from error
    except (OSError, EOFError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> InvalidInput:
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return InvalidInput(f"expected a table in a file, could not read {path} ({why}); check the path")


def _suffix(path: Path) -> str:
    """Return what a file's name says of its kind, packed or not."""
    return next((s for s in reversed(path.suffixes) if s not in (".gz", ".bz2", ".xz")), "").lower()


def _table(path: Path, data: bytes, labels: Collection[str]) -> TableFile:
    suffix = _suffix(path)
    table = TableFile(*read_format(path, data, suffix)) if suffix in FORMATS else _text(path, data, labels)
    if table.frame.empty:
        raise InvalidInput(f"expected rows of data, got none in {path}; the first line must name the columns")
    return table


def _text(path: Path, data: bytes, labels: Collection[str]) -> TableFile:
    """Read bytes as text and the text as a table, each guess with its words."""
    text, encoding = _decoded(path, data)
    # Old programs end a text with DOS's mark of an end of file.
    text, separator = _named_separator(text.rstrip("\x1a"))
    rows, skipped = _rows(path, text, separator or _separator(text))
    header, dropped = _fitted(path, rows)
    lines = pd.Index([line for line, _ in rows[1:]])
    cells = {
        place: pd.Series([row[place] for _, row in rows[1:]], index=lines) for place in range(len(header))
    }
    columns = [_Text.of(name, cells[place], name in labels) for place, name in enumerate(header)]
    decimal = _decimal(columns)
    read = [column.read(decimal) for column in columns]
    frame = pd.concat([values for values, _ in read], axis="columns").reset_index(drop=True)
    frame.columns = pd.Index(header)
    said = {"": "; ".join(filter(None, (encoding, skipped, dropped)))}
    said |= {column.name: words for column, (_, words) in zip(columns, read, strict=True)}
    truths = frozenset(column.name for column in columns if column.says_truth)
    return TableFile(frame, {name: words for name, words in said.items() if words}, truths)


def _named_separator(text: str) -> tuple[str, str]:
    """Return a text and the separator that its first line names for spreadsheets (``sep=;``); the line stays, empty."""
    named = re.match(r"sep=(.)(?=\r?\n|\r)", text)
    return (text[named.end() :], named[1]) if named else (text, "")


_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins with the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def _decoded(path: Path, data: bytes) -> tuple[str, str]:
    """Return a file's text and, where it isn't UTF-8, how it was read.

    Windows-1252 is what older spreadsheets write without saying so; every sequence of bytes is a text in it, so it
    comes last.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            return data.decode(name, errors="replace"), ""
    # Before the encodings that read any bytes as text.
    refuse_binary(path, data)
    try:
        return data.decode("utf-8"), ""
    except UnicodeDecodeError:
        # Five bytes have no letter in it.
        return data.decode("cp1252", errors="replace"), "read as Windows-1252 (Latin-1), for it isn't UTF-8"


def _separator(text: str) -> str:
    """Return the separator that cuts the first lines into the same number of fields, and into most."""
    lines = "\n".join(text[:200_000].splitlines()[:LOOKED_AT])

    def agreement(separator: str) -> tuple[float, int]:
        """Return the share of lines with the usual number of fields under a separator, and that number."""
        try:
            widths = [len(row) for row in csv.reader(io.StringIO(lines), delimiter=separator) if row]
        except csv.Error:
            return 0.0, 0
        usual, times = Counter(widths).most_common(1)[0] if widths else (1, 0)
        return (times / len(widths) if usual > 1 else 0.0), usual

    return max(SEPARATORS, key=agreement)


def _rows(path: Path, text: str, separator: str) -> tuple[list[tuple[int, list[str]]], str]:
    """Return the lines that hold anything, as their numbers and fields, and what was skipped before the header."""
    # newline="", as `csv` asks: else the line breaks within quoted fields are changed.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    try:
        rows = [(reader.line_num, row) for row in reader if len(row) > 1 or (row and row[0].strip())]
    except csv.Error as error:
        raise InvalidInput(f"expected a table in {path}, got line {reader.line_num}: {error}") from error
    width = len(rows[-1][1]) if rows else 0
    comments = 0
    while comments < len(rows) and rows[comments][1][0].startswith("#") and len(rows[comments][1]) != width:
        comments += 1
    if len(rows) - comments < 2:
        raise InvalidInput(f"expected rows of data, got none in {path}; the first line must name the columns")
    return rows[comments:], f"left out {plural(comments, 'line')} of comments (#)" if comments else ""


def _fitted(path: Path, rows: list[tuple[int, list[str]]]) -> tuple[list[str], str]:
    """Return the names of the columns, and in words what was left out.

    Separators that end every row are left out; any other row that doesn't fit the header is refused.
    """
    header = [visible(name).strip() for name in rows[0][1]]
    over = min(len(row) for _, row in rows[1:]) - len(header)
    blank = over > 0 and not any(field.strip() for _, row in rows[1:] for field in row[len(header) :])
    width = len(header) + (over if blank else 0)
    for line, row in rows[1:]:
        if len(row) != width:
            raise InvalidInput(_misfit(path, line, len(row), len(header)))
    nameless = [i for i, name in enumerate(header) if not name]
    empty = nameless == [len(header) - 1] and not any(row[-1].strip() for _, row in rows[1:])
    if blank or empty:
        named = header if blank else header[:-1]
        return named, "left out the empty column after each row's last separator"
    return [name or f"column {i + 1}" for i, name in enumerate(header)], ""


def _misfit(path: Path, line: int, got: int, width: int) -> str:
    """Return what to say of a line with more or fewer fields than the first."""
    return (
        f"expected {width} fields in every line of {path}, as in its first, got {got} in line {line}; "
        "mend the line, or put values that hold the separator in quotes"
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Text:
    """A column as text: what is known of it, by line, and its reading as numbers so far."""

    name: str
    text: pd.Series[Any]
    known: pd.Series[Any]
    label: bool
    reading: Reading | None

    @classmethod
    def of(cls, name: str, raw: pd.Series[Any], label: bool) -> _Text:
        """Return a column of texts, with what its values are as numbers unless they are labels."""
        values = raw.tolist()
        if not is_visible("".join(values)):
            values = [visible(value) for value in values]
        text = pd.Series([value.strip() for value in values], index=raw.index, dtype=object)
        known = text[~is_missing(text)]
        return cls(name, text, known, label, None if label or known.empty else numbers_of(known))

    def read(self, decimal: str) -> tuple[pd.Series[Any], str]:
        """Return the values with missing ones as such, and what is to be said of them."""
        if self.label:
            return self._as_text(), "; ".join(filter(None, (self._missing(), almost_equal(*self._named()))))
        if self.known.empty:
            return pd.Series(np.nan, index=self.text.index), ""
        reading = self.reading
        if reading is None or (decimal == "," and grouped(self.known)):
            reading = numbers_of(self.known, decimal)
        if reading is not None:
            return reading.values.reindex(self.text.index), reading.said.replace("{}", self.name)
        if self.says_truth:
            truths = self.known.str.lower().map(TRUTHS)
            return truths.astype(np.float64).reindex(self.text.index), ""
        return self._as_text(), self._slips() or "; ".join(
            filter(None, (self._missing(), almost_equal(*self._named())))
        )

    @property
    def says_truth(self) -> bool:
        """Whether the values are TRUE and FALSE, and not to stay texts."""
        words = self.known.str.lower() if not self.label and self.reading is None else self.known[:0]
        return bool(len(words) and words.isin(TRUTHS).all())

    def _named(self) -> tuple[str, pd.Series[Any]]:
        """Return name and values that are there, for messages about several columns."""
        return self.name, self.known

    def _as_text(self) -> pd.Series[Any]:
        """Return the column as labels."""
        return self.known.reindex(self.text.index).astype(object)

    def _missing(self) -> str:
        """Name a word that was read as missing among labels: ``NA`` may be Namibia, ``None`` a dose."""
        words = self.text[is_missing(self.text) & (self.text != "")]
        counts = ", ".join(f"'{word}' ({count})" for word, count in words.value_counts().items())
        return f"'{self.name}' holds {counts}, read as missing" if counts else ""

    def _slips(self) -> str:
        """Return what to say where most values are numbers and a few are not; empty elsewhere."""
        share, wrong = share_of_numbers(self.known)
        if share <= SLIPS:
            return ""
        return (
            f"'{self.name}' is text, not numbers, because of {len(wrong)} of {plural(len(self.known), 'value')}: "
            f"{wrong.iloc[0]!r} in row {wrong.index[0]}"
        )


def _decimal(columns: Sequence[_Text]) -> str:
    """Return the sign before decimals that columns show for certain, "" if none does or they differ."""
    signs = {column.reading.decimal for column in columns if column.reading is not None} - {""}
    return signs.pop() if len(signs) == 1 else ""


def almost_equal(name: str, known: pd.Series[Any]) -> str:
    """Name two labels that differ in nothing a reader sees but case, blanks, composition or ``.0``."""
    seen: dict[str, str] = {}
    for label in known.unique():
        seen_as = "".join(sign for sign in label if unicodedata.category(sign) != "Cf")
        folded = " ".join(unicodedata.normalize("NFKC", seen_as).casefold().split())
        folded = re.sub(r"^(\d+)\.0+$", r"\1", folded)
        if (other := seen.setdefault(folded, label)) != label:
            return f"'{name}' has the labels {other!r} and {label!r}, taken as different"
    return ""


def columns_text(names: Sequence[Any], limit: int = 40) -> str:
    """Return the names of columns for a message, many of them cut short."""
    shown = ", ".join(map(str, names[:limit]))
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"

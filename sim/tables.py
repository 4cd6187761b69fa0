"""Tables from files as people have them: labels stay labels, numbers become numbers, and what was done is said.

Everything is read as text first. A column becomes numeric when all its values are numbers; a label (a school's id, a
category) never goes through a number, which would merge "1" with "01" and the 18-digit ids of registers.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import lzma
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nestbench.sim.counted import plural
from nestbench.sim.errors import InvalidInput
from nestbench.sim.files import read_file
from nestbench.sim.visible import visible

MISSING = frozenset(
    {"", ".", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "-nan", "NULL", "null", "None"}
)
"""What stands for a missing value, after trimming; ``.`` is Stata's and SAS's."""

FEW = 0.02
"""Share of values that are no numbers up to which a column of text is said to be a column of numbers with slips."""

TRUTHS = {"true": 1.0, "false": 0.0}
SEPARATORS = ",;\t|"
LOOKED_AT = 200
"""Lines that decide about the separator."""


@dataclass(frozen=True, slots=True, eq=False)
class TableFile:
    """A table read from a file, and in words what was done to it: by column, "" for the whole."""

    frame: pd.DataFrame
    messages: Mapping[str, str] = field(default_factory=dict)


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
        data = unpacked(read_file(path))
    except (OSError, EOFError, ValueError, lzma.LZMAError) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InvalidInput(
            f"expected a table in a file, could not read {path} ({why}); check the path"
        ) from error
    return table_of(path, data, labels)


def table_of(path: Path, data: bytes, labels: Collection[str] = ()) -> TableFile:
    """Return the table in the unpacked bytes of a file, as `read_table` does."""
    suffix = next((s for s in reversed(path.suffixes) if s not in (".gz", ".bz2", ".xz")), "").lower()
    found = _binary(path, data, suffix) if suffix in _READERS else _text(path, data, labels)
    if found.frame.empty:
        raise InvalidInput(f"expected rows of data, got none in {path}; the first line must name the columns")
    return found


def unpacked(data: bytes) -> bytes:
    """Return bytes as they were before gzip, bzip2 or xz."""
    unpack: Callable[[bytes], bytes]
    for mark, unpack in (
        (b"\x1f\x8b", gzip.decompress),
        (b"BZh", bz2.decompress),
        (b"\xfd7zXZ", lzma.decompress),
    ):
        if data.startswith(mark):
            return unpack(data)
    return data


_READERS: Mapping[str, tuple[Callable[..., Any], str]] = {
    ".parquet": (pd.read_parquet, "pyarrow"),
    ".dta": (pd.read_stata, "pandas"),
    ".sav": (pd.read_spss, "pyreadstat"),
    ".xlsx": (pd.read_excel, "openpyxl"),
}


def _binary(path: Path, data: bytes, suffix: str) -> TableFile:
    read, package = _READERS[suffix]
    try:
        # SPSS's reader wants a path: the others take what was read, unpacked.
        return TableFile(pd.DataFrame(read(path if suffix == ".sav" else io.BytesIO(data))))
    except ImportError as error:
        raise InvalidInput(
            f"expected the package {package} to read {path.name}, got none; install it: pip install {package}"
        ) from error
    except Exception as error:  # each reader has errors of its own
        why = str(error).strip().split("\n")[0] or type(error).__name__
        raise InvalidInput(f"expected a {suffix} file, could not read {path}: {why}") from error


def _text(path: Path, data: bytes, labels: Collection[str]) -> TableFile:
    text, encoding = _decoded(path, data)
    separator = _separator(text)
    header, width, dropped = _shape(path, text, separator)
    cells = _cells(path, text, separator, width)
    columns, said = [], {"": "; ".join(filter(None, (encoding, dropped)))}
    for place, name in enumerate(header):
        values, said[name] = _column(name, cells[place], name in labels)
        columns.append(values)
    frame = pd.concat(columns, axis="columns") if columns else pd.DataFrame()
    frame.columns = pd.Index(header)
    return TableFile(frame, {name: words for name, words in said.items() if words})


_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def _decoded(path: Path, data: bytes) -> tuple[str, str]:
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            return data.decode(name, errors="replace"), ""
    if b"\x00" in data[:4096]:
        raise InvalidInput(
            f"expected a table as text, got binary data in {path}; give it the suffix of its kind"
        )
    try:
        return data.decode("utf-8"), ""
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace"), "read as Windows-1252 (Latin-1), for it isn't UTF-8"


def _separator(text: str) -> str:
    """Return the separator that cuts the first lines into the same number of fields, and into most."""
    lines = "\n".join(text[:200_000].splitlines()[:LOOKED_AT])

    def agreement(separator: str) -> tuple[float, int]:
        try:
            widths = [len(row) for row in csv.reader(io.StringIO(lines), delimiter=separator) if row]
        except csv.Error:
            return 0.0, 0
        usual, times = Counter(widths).most_common(1)[0] if widths else (1, 0)
        return (times / len(widths) if usual > 1 else 0.0), usual

    return max(SEPARATORS, key=agreement)


def _shape(path: Path, text: str, separator: str) -> tuple[list[str], int, str]:
    """Return the names of the columns, the fields of a row, and what was left out in words.

    A separator that ends every row is left out; any other row that doesn't fit the header is refused.
    """
    header: list[str] = []
    longer: list[int] = []
    rows = 0
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    try:
        for row in reader:
            if not row:
                continue
            if not header:
                header = [visible(name).strip() for name in row]
                continue
            rows += 1
            if len(row) != len(header):
                blank = len(row) == len(header) + 1 and not row[-1].strip()
                if not blank:
                    raise InvalidInput(_misfit(path, reader.line_num, len(row), len(header)))
                longer.append(reader.line_num)
    except csv.Error as error:
        raise InvalidInput(f"expected a table in {path}, got line {reader.line_num}: {error}") from error
    if not rows:
        raise InvalidInput(f"expected rows of data, got none in {path}; the first line must name the columns")
    if longer and len(longer) < rows:
        raise InvalidInput(_misfit(path, longer[0], len(header) + 1, len(header)))
    nameless = [i for i, name in enumerate(header) if not name]
    if longer or nameless == [len(header) - 1]:
        width = len(header) + bool(longer)
        return (
            header[: len(header) if longer else -1],
            width,
            "left out the empty column after each row's last separator",
        )
    return [name or f"column {i + 1}" for i, name in enumerate(header)], len(header), ""


def _misfit(path: Path, line: int, got: int, wanted: int) -> str:
    return (
        f"expected {wanted} fields in every line of {path}, as in its first, got {got} in line {line}; "
        "mend the line, or put values that hold the separator in quotes"
    )


def _cells(path: Path, text: str, separator: str, width: int) -> pd.DataFrame:
    try:
        cells = pd.read_csv(
            io.StringIO(text),
            sep=separator,
            header=0,
            names=list(range(width)),
            index_col=False,
            dtype=str,
            keep_default_na=False,
            skipinitialspace=True,
        )
    except (ValueError, pd.errors.ParserError) as error:
        raise InvalidInput(f"expected a table in {path}, could not read it: {error}") from error
    return cells


def _column(name: str, raw: pd.Series[Any], label: bool) -> tuple[pd.Series[Any], str]:
    """Return a column's values with missing ones as such, and what is to be said of it."""
    text = raw.astype("object").map(lambda value: visible(value).strip() if isinstance(value, str) else "")
    absent = text.isin(MISSING)
    known = text[~absent]
    if label:
        return text.where(~absent, None), _almost_equal(name, known)
    numbers = pd.to_numeric(known, errors="coerce").astype(np.float64)
    wrong = known[numbers.isna()]
    if not len(wrong):
        return _placed(numbers, text), ""
    truths = known.str.lower().map(TRUTHS)
    if truths.notna().all():
        return _placed(truths.astype(np.float64), text), ""
    commas = known.str.fullmatch(r"[+-]?\d+(,\d+)?([eE][+-]?\d+)?")
    if commas.all():
        decimal = known.str.replace(",", ".", regex=False).astype(np.float64)
        return _placed(
            decimal, text
        ), f"'{name}' has decimal commas: {known.iloc[0]} is read as {decimal.iloc[0]:g}"
    said = ""
    if len(wrong) <= max(3, FEW * len(known)) and len(wrong) < len(known) / 2:
        line = int(wrong.index[0]) + 2
        said = (
            f"'{name}' is text, not numbers, because of {len(wrong)} of "
            f"{plural(len(known), 'value')}: {wrong.iloc[0]!r} in row "
            f"{line}"
        )
    return text.where(~absent, None), said or _almost_equal(name, known)


def _placed(values: pd.Series[Any], like: pd.Series[Any]) -> pd.Series[Any]:
    return values.reindex(like.index)


def _almost_equal(name: str, known: pd.Series[Any]) -> str:
    """Name two labels that differ in nothing a reader sees but case, blanks or composition."""
    seen: dict[str, str] = {}
    for label in known.unique():
        folded = " ".join(unicodedata.normalize("NFKC", label).casefold().split())
        if (other := seen.setdefault(folded, label)) != label:
            return f"'{name}' has the labels {other!r} and {label!r}, taken as different"
    return ""


def columns_text(names: Sequence[Any], limit: int = 40) -> str:
    """Return the names of columns for a message, many of them cut short."""
    shown = ", ".join(map(str, names[:limit]))
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"

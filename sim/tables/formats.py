"""Tables that aren't text: Parquet, Stata, SPSS, Excel. What their readers would pass over in silence is said."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from nestbench.sim.errors import InvalidInput
from nestbench.sim.tables.packed import require_few_cells, require_no_bomb

Said = dict[str, str]
"""Words on what was done, by column; "" for the whole."""


def read_format(path: Path, data: bytes, suffix: str) -> tuple[pd.DataFrame, Said]:
    """Return the table in the unpacked bytes of a file of one of `FORMATS`, and what was done to it.

    Raises
    ------
    InvalidInput
        The bytes are of no such file, or the package that reads it isn't installed.

    Parameters
    ----------
    path : Path
    data : bytes
    suffix : str
        One of `FORMATS`.

    Raises
    ------
    InvalidInput
        The package that reads the format isn't installed, or the bytes are no such file.
    """
    read, package = FORMATS[suffix]
    try:
        return read(path, data)
    except ImportError as error:
        raise InvalidInput(
            f"expected the package {package} to read {path.name}, got none; install it: pip install {package}"
        ) from error
    except (InvalidInput, MemoryError):
        raise
    except Exception as error:  # each reader has errors of its own
        why = str(error).strip().split("\n")[0] or type(error).__name__
        raise InvalidInput(f"expected a {suffix} file, could not read {path}: {why}") from error


def _parquet(path: Path, data: bytes) -> tuple[pd.DataFrame, Said]:
    """Read Parquet; a named index is a column."""
    import pyarrow.parquet as pq

    # Before the table is read: a few bytes may state thousands of millions of equal values.
    stated = pq.read_metadata(io.BytesIO(data))
    require_few_cells(stated.num_rows * stated.num_columns, data)
    # Where pages have checksums, damage shows.
    frame = pd.read_parquet(io.BytesIO(data), engine="pyarrow", page_checksum_verification=True)
    named = [name for name in frame.index.names if name is not None and name not in frame.columns]
    return frame.reset_index(level=named) if named else frame, {}


def _stata(path: Path, data: bytes) -> tuple[pd.DataFrame, Said]:
    """Read Stata's file; value labels that stand for several values are left out, for they would merge what differs."""
    try:
        frame = pd.read_stata(io.BytesIO(data))
    except ValueError as error:
        if "not unique" not in str(error):
            raise
        frame = pd.read_stata(io.BytesIO(data), convert_categoricals=False)
        return frame, {"": "left out the value labels: some stand for several values"}
    return _numbers_back(frame, lambda: pd.read_stata(io.BytesIO(data), convert_categoricals=False))


def _spss(path: Path, data: bytes) -> tuple[pd.DataFrame, Said]:
    """Read an SPSS file."""
    # Its reader wants a path.
    frame = pd.DataFrame(pd.read_spss(path))
    return _numbers_back(frame, lambda: pd.DataFrame(pd.read_spss(path, convert_categoricals=False)))


def _numbers_back(frame: pd.DataFrame, coded: Callable[[], pd.DataFrame]) -> tuple[pd.DataFrame, Said]:
    """Return columns whose labels don't tell their values apart, or name a few alone (9 'refused'), as numbers."""
    labelled = [n for n in frame.columns if isinstance(frame[n].dtype, pd.CategoricalDtype)]
    if not labelled:
        return frame, {}
    numbers, said = coded(), {}
    for name in labelled:
        labels = frame[name].cat.categories
        texts = [label for label in labels if isinstance(label, str)]
        if texts and len(texts) < len(labels):
            shown = ", ".join(map(repr, texts[:3]))
            said[name] = f"'{name}' has labels for some of its values alone ({shown}): read as numbers"
        elif frame[name].nunique() < numbers[name].nunique():
            said[name] = f"'{name}' has labels that stand for several values: read as numbers"
    return frame.assign(**{name: numbers[name] for name in said}), said


def _excel(path: Path, data: bytes) -> tuple[pd.DataFrame, Said]:
    """Read the first sheet of a workbook, with the columns' own names."""
    require_no_bomb(data)
    with pd.ExcelFile(io.BytesIO(data)) as book:
        sheets = [str(name) for name in book.sheet_names]
        frame = pd.DataFrame(pd.read_excel(book, sheet_name=sheets[0]))
        first = pd.DataFrame(pd.read_excel(book, sheet_name=sheets[0], header=None, nrows=1))
    # pandas renames a column that occurs twice: the second would be left out without a word.
    if len(first) and first.shape[1] == frame.shape[1]:
        names = ["" if pd.isna(name) else str(name).strip() for name in first.iloc[0]]
        frame.columns = pd.Index([name or f"column {i + 1}" for i, name in enumerate(names)])
    said = f"read the first of {len(sheets)} sheets, '{sheets[0]}'" if len(sheets) > 1 else ""
    return frame, {"": said} if said else {}


FORMATS: Mapping[str, tuple[Callable[[Path, bytes], tuple[pd.DataFrame, Said]], str]] = {
    ".parquet": (_parquet, "pyarrow"),
    ".dta": (_stata, "pandas"),
    ".sav": (_spss, "pyreadstat"),
    ".xlsx": (_excel, "openpyxl"),
}

OTHERS = frozenset(
    f".{kind}"
    for line in (
        "7z arrow db docx feather h5 hdf5 html json mat ods orc pdf pickle pkl por rda rdata rds",
        "sas7bdat sqlite tar xls xlsb xlsm xml xpt zip zsav",
    )
    for kind in line.split()
)
"""Suffixes of files that hold tables in a form that isn't read."""

OF_R = {
    ".rds": "in R: write.csv(readRDS('{}'), 'table.csv', row.names = FALSE)",
    ".rda": "in R: load('{}'), then write.csv(NAME, 'table.csv', row.names = FALSE) of the table that it holds",
}
OF_R[".rdata"] = OF_R[".rda"]
"""How files of R become text."""


def refuse_others(path: Path, suffix: str) -> None:
    """Refuse a file of a kind that isn't read.

    Raises
    ------
    InvalidInput
    """
    if suffix in OTHERS:
        how = f"; {OF_R[suffix].format(path.name)}" if suffix in OF_R else "; save the table as one of these"
        raise InvalidInput(f"expected a table as text (CSV), {', '.join(FORMATS)}, got {path.name}{how}")


def refuse_binary(path: Path, data: bytes) -> None:
    """Refuse bytes that are no text in an encoding that is read.

    Raises
    ------
    InvalidInput
    """
    if b"\x00" in data[:4096]:
        raise InvalidInput(
            f"expected a table as text, got binary data in {path}; give the file the suffix of its kind "
            f"({', '.join(FORMATS)}), or save the text as UTF-8"
        )

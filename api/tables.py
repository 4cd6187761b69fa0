"""Reading a user's table from a file."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa

from nestbench.sim.errors import InvalidInput


def read_table(path: Path) -> pd.DataFrame:
    """Return a CSV (comma, semicolon or tab separated, by its first line) or Parquet file as a table.

    Raises
    ------
    InvalidInput
        There is no such file, or it can't be read as a table.
    """
    if not path.is_file():
        what = "a directory" if path.is_dir() else "no ordinary file" if path.exists() else "no such file"
        raise InvalidInput(f"expected a CSV file, got {what}: {path}; check the path")
    try:
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    except (OSError, ValueError, pd.errors.ParserError, pa.ArrowInvalid) as error:
        raise InvalidInput(f"expected a CSV file, could not read {path}: {error}") from error
    if frame.empty:
        raise InvalidInput(f"expected rows of data, got none in {path}; the first line must name the columns")
    return frame


def _read_csv(path: Path) -> pd.DataFrame:
    with path.open(encoding="utf-8-sig") as file:
        header = file.readline()
    separator = max(",;\t", key=header.count)
    return pd.read_csv(path, sep=separator, encoding="utf-8-sig", skipinitialspace=True, low_memory=False)

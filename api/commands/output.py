"""Writing tables for users."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def write_csv(frame: pd.DataFrame, file: Path | None) -> None:
    """Write a frame as CSV to a file, or to stdout; floats as the shortest text that reads back the same."""
    from nestbench.experiments.storing.files import unwritable

    if file is None:
        frame.to_csv(sys.stdout, index=False, lineterminator="\n")
        return
    try:
        frame.to_csv(file, index=False, lineterminator="\n")
    except OSError as error:
        raise unwritable(file, error) from error

"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Trust = Annotated[
    bool, typer.Option("--trust", help="Let the code that a run or baseline brings run on this computer.")
]
Table = Annotated[
    Path, typer.Argument(help="A table with one row a student: CSV, Parquet, .dta, .sav, .xlsx.")
]
Formula = Annotated[
    str,
    typer.Option(help="Outcome and terms, also (1 + age | school); names with blanks in `backticks`."),
]
Group = Annotated[str, typer.Option(help="Column of the schools.")]
Random = Annotated[str, typer.Option(help='Random part: "1", or "1 + age" for a random slope.')]
Subgroup = Annotated[
    str | None, typer.Option(help="Column of groups in groups (classes).", show_default=False)
]
Level = Annotated[float, typer.Option(help="Confidence level.")]

"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Trust = Annotated[
    bool, typer.Option("--trust", help="Let the code that a run or baseline brings run on this computer.")
]

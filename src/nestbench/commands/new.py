"""``nestbench new``: a commented experiment to start from.

The schema is written beside it, so that an editor completes and checks the file from its first line on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nestbench.commands.output import say

EXAMPLES = (
    "nestbench new my-study",
    "nestbench new my-study --folder studies",
)


def new(
    name: Annotated[str, typer.Argument(help="Name of the experiment; NAME.toml is written.")],
    folder: Annotated[Path, typer.Option("--folder", help="Where to write it.")] = Path(),
) -> None:
    """Write a commented experiment file to start from, and beside it the schema that editors check it by."""
    from nestbench.commands.schema import refresh_schema
    from nestbench.experiments.toml.template import write_template

    file = write_template(name, folder)
    refresh_schema(file.parent)
    say(f"wrote {file}; run it with: nestbench run {file}")

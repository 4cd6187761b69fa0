"""``nestbench new``: a commented TOML to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def new(
    name: Annotated[str, typer.Argument(help="Name of the experiment; NAME.toml is written.")],
    folder: Annotated[Path, typer.Option("--folder", help="Where to write it.")] = Path(),
) -> None:
    """Write a commented experiment file to start from."""
    from nestbench.experiments.toml.template import write_template

    file = write_template(name, folder)
    typer.echo(f"wrote {file}; run it with: nestbench run {file}")

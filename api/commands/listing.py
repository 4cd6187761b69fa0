"""``nestbench list``: experiments of the catalogue, estimators, populations."""

from __future__ import annotations

from typing import Annotated

import typer


def listing(
    kind: Annotated[str, typer.Argument(help="experiments, estimators or populations.")] = "experiments",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the catalogue of experiments, the estimators, or the populations with their parameters."""
    from nestbench.listing import print_list, to_json

    if as_json:
        typer.echo(to_json(kind))
    else:
        print_list(kind)

"""``nestbench list``: experiments of the catalogue, methods, populations.

What each says of itself is read from its declaration, the one place where it is written.
"""

from __future__ import annotations

from typing import Annotated

import typer

from nestbench.commands import completing

EXAMPLES = (
    "nestbench list",
    "nestbench list methods cluster",
    "nestbench list reml-kr",
)


def listing(
    kind: Annotated[
        str,
        typer.Argument(
            help="experiments, methods or populations; or one of their names.",
            autocompletion=completing.listed,
        ),
    ] = "experiments",
    search: Annotated[
        list[str] | None,
        typer.Argument(help="Only what has these words in it: methods cluster.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the catalogue of experiments, the methods, or the populations with their parameters."""
    from nestbench.commands.inventory import print_list, to_json

    words = " ".join(search or ())
    if as_json:
        typer.echo(to_json(kind, words))
    else:
        print_list(kind, search=words)

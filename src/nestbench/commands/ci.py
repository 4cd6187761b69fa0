"""``nestbench ci``: the accuracy gate of a maintainer's repository.

``init`` writes it, ``comment`` is for its workflow.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nestbench.commands.output import say

EXAMPLES = (
    "nestbench ci init --dry-run --package my-package",
    "nestbench ci init --package my-package",
    "nestbench ci comment comment.md",
)


class Task(StrEnum):
    """What there is to do."""

    INIT = "init"
    COMMENT = "comment"


def ci(
    task: Annotated[
        Task,
        typer.Argument(
            help="init: write the gate's files. comment: post what nestbench check --comment wrote, in a workflow."
        ),
    ],
    place: Annotated[
        Path, typer.Argument(help="init: the repository. comment: the file.", show_default="here")
    ] = Path(),
    package: Annotated[
        str | None,
        typer.Option(help="Its name, where no file of the repository says it.", show_default=False),
    ] = None,
    action: Annotated[
        str | None,
        typer.Option(help="OWNER/REPOSITORY@VERSION that the workflow uses.", show_default="nestbench's own"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the files and write none.")] = False,
) -> None:
    """Set up a gate for a package's accuracy in its own repository.

    init finds out name, code, tests, branch and workflows, and writes a workflow, a study, a plugin that calls the
    package (of packages of the league it works at once; else it is to be filled in) and the first baseline. What is
    there is never overwritten; typed again, it makes what is missing. See docs/gate.md.
    """
    if task is Task.COMMENT:
        _comment(place)
    else:
        _init(place, package, action, dry_run)


def _init(root: Path, package: str | None, action: str | None, dry_run: bool) -> None:
    """Say what the repository is, and write what it lacks."""
    from nestbench.gate.files import methods_of, require_action, usual_action
    from nestbench.gate.repository import look
    from nestbench.gate.starting import USUAL, begin, texts_of, there

    used = require_action(action or usual_action())
    repository = look(root, package)
    say(repository.described())
    for note in repository.notes:
        say(f"note: {note}")
    if not dry_run:
        for line in begin(repository, used):
            say(line)
        return
    for file, text in texts_of(repository, used, methods_of(repository), USUAL).items():
        left = " (there already: would be left as it is)" if there(root / file) else ""
        say(f"\n--- {root / file}{left}\n{text}", nl=False)


def _comment(file: Path) -> None:
    """Post a check's comment; what keeps GitHub from taking it fails nothing."""
    import os

    from nestbench.gate.posting import post
    from nestbench.sim.errors import InvalidInput
    from nestbench.sim.files import read_file

    try:
        text = read_file(file).decode("utf-8", "replace")
    except OSError as error:
        raise InvalidInput(
            f"expected a file written by nestbench check --comment, got {file}: {error.strerror}"
        ) from None
    say(post(text, os.environ))

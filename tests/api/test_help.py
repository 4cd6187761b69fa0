"""Help texts say what their source says: nothing in brackets is eaten as markup."""

from __future__ import annotations

import inspect
import re

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from nestbench.cli import app

GROUP = get_command(app)
COMMANDS = sorted(GROUP.commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", COMMANDS)
def test_brackets_of_help_texts_are_shown(name: str) -> None:
    command = GROUP.commands[name]  # type: ignore[attr-defined]
    written = [command.help or "", *(getattr(p, "help", None) or "" for p in command.params)]
    shown = " ".join(
        re.sub(
            r"[│╭╮╰╯─]", " ", CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "120"}).output
        ).split()
    )
    for text in written:
        for bracketed in re.findall(r"\S*\[[^\]\s]+\]\S*", inspect.cleandoc(text).replace("\\[", "[")):
            assert bracketed in shown, bracketed
    assert name in shown


def test_the_extra_of_query_can_be_read() -> None:
    assert "nestbench[query]" in CliRunner().invoke(app, ["query", "--help"], env={"COLUMNS": "120"}).output

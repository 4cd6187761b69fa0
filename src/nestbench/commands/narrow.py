"""Help in narrow terminals: plain lines that wrap, for frames of columns would cut options and words off."""

from __future__ import annotations

import shutil
from typing import Any, Protocol

from typer.core import TyperCommand, TyperGroup

LEAST = 80
"""Columns from which every option and word of the framed help is whole."""


class _Formatter(Protocol):
    buffer: list[str]
    width: int


class Command(TyperCommand):
    """A command whose help is plain where frames would be too narrow."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help: framed, or plain and without the marks that frames need."""
        plain = _as_asked(self, formatter)
        super().format_help(ctx, formatter)
        _unmarked(formatter, plain)


class Group(TyperGroup):
    """A group of commands whose help is plain where frames would be too narrow."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help: framed, or plain and without the marks that frames need."""
        plain = _as_asked(self, formatter)
        super().format_help(ctx, formatter)
        _unmarked(formatter, plain)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, each with the first paragraph of its help, whole."""
        summaries = [(name, (one.help or "").split("\n\n")[0]) for name, one in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl([(name, " ".join(text.split())) for name, text in summaries])


def _as_asked(command: TyperCommand | TyperGroup, formatter: _Formatter) -> bool:
    """Choose plain lines or frames by the terminal's width; return whether plain."""
    columns = shutil.get_terminal_size().columns
    plain = columns < LEAST
    command.rich_markup_mode = None if plain else "rich"
    if plain:
        formatter.width = columns
    return plain


def _unmarked(formatter: _Formatter, plain: bool) -> None:
    if plain:
        # Examples are escaped for Rich (`cli._epilog`), which isn't asked here.
        formatter.buffer[:] = [text.replace("\\[", "[") for text in formatter.buffer]

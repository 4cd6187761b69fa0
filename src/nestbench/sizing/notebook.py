"""The answer in a notebook: what the terminal says, as small HTML."""

from __future__ import annotations

from nestbench.reports import notebook
from nestbench.sizing.answer import Sizing
from nestbench.sizing.sentences import assumed, caution, closed_line, verdict
from nestbench.sizing.terminal import cells_of, heads


def html_of(sizing: Sizing) -> str:
    """Return the answer: sentences, then the methods."""
    head = ["method", *heads(sizing.question.unknown, sizing.question.target)[1:]]
    return notebook.block(
        notebook.titled(verdict(sizing), ""),
        notebook.line(assumed(sizing.question)),
        *map(notebook.line, (*sizing.limits, *sizing.notes, caution(sizing), closed_line(sizing))),
        notebook.table(head, [cells_of(sizing, answer) for answer in sizing.answers]),
    )

"""The answer in a notebook: what the terminal says, as small HTML."""

from __future__ import annotations

from nestbench.reports import notebook
from nestbench.sizing.answer import Sizing
from nestbench.sizing.sentences import assumed, closed_line, verdict
from nestbench.sizing.terminal import cells_of, heads


def html_of(sizing: Sizing) -> str:
    """Return the answer: sentences, then the methods."""
    head = ["method", *heads(sizing.question.unknown, sizing.question.target)[1:]]
    return notebook.block(
        notebook.titled(verdict(sizing), ""),
        notebook.line(assumed(sizing.question)),
        *(notebook.line(text) for text in (*sizing.limits, *sizing.notes, closed_line(sizing)) if text),
        notebook.table(head, [cells_of(sizing, answer) for answer in sizing.answers]),
    )

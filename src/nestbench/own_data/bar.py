"""What `estimate` tells while it fits: a bar on a terminal, elsewhere lines where it takes long."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Step = Callable[[int, int, str], None]
"""``step(done, of, label)``: so many methods are done, and which one runs now."""

SILENT = 3.0
"""Seconds before lines are printed: what is done by then needs none."""
MANY_ROWS = 20_000


def silent(done: int, of: int, label: str) -> None:
    """Say nothing."""


@contextmanager
def shown(rows: int) -> Iterator[Step]:
    """Return the step that shows progress on stderr, for a table of so many rows."""
    if sys.stderr.isatty():
        with _bar() as step:
            yield step
    else:
        yield _lines(0.0 if rows >= MANY_ROWS else SILENT)


def _lines(after: float) -> Step:
    """Return a step that prints lines, once the work takes longer than a few seconds."""
    started = time.monotonic()

    def step(done: int, of: int, label: str) -> None:
        if time.monotonic() - started >= after:
            print(f"{done + 1} of {of}: {label}" if of > 1 else label, file=sys.stderr, flush=True)

    return step


@contextmanager
def _bar() -> Iterator[Step]:
    """Yield a step that moves a bar on the terminal; it vanishes when the work is done."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def step(done: int, of: int, label: str) -> None:
            # Rich would take `[draws=99]` in a label for a style.
            bar.update(task, completed=done, total=of, description=escape(label))

        yield step

"""The outcome of a check as a comment on a pull request: Markdown that the next comment of the same gate replaces.

The first line is hidden and names the gate, so that whoever posts the comment finds the earlier one (`marker`). The
table has the gravest changes first and stops before GitHub's limit of a comment, 65 536 characters.
"""

from __future__ import annotations

from collections.abc import Sequence

from nestbench.reports.accuracy.changes import FAILING, Change
from nestbench.reports.accuracy.check import Check
from nestbench.reports.accuracy.check_formats import (
    Marks,
    Replayed,
    compared,
    escaped,
    replay,
    seen,
    shown,
    what,
    where,
)
from nestbench.sim.counted import plural

ROWS = 40
"""Changes in the table; the others are counted."""
LONGEST = 200
"""Characters of what stands in one place of the table."""
COMMANDS = 10

HEAD = "| | condition | method | term | measure | before | now | |\n|---|---|---|---|---|---|---|---|"


def marker(gate: str) -> str:
    """Return the hidden line by which a comment of this gate is known again."""
    # Two hyphens would end an HTML comment.
    name = "".join(c if c.isalnum() or c in "._" else "-" for c in gate).replace("--", "-_")
    return f"<!-- nestbench check: {name} -->"


def to_comment(check: Check, run: Replayed = "RUN", again: str = "", failing: Marks = FAILING) -> str:
    """Return the comment of a check.

    Parameters
    ----------
    check : Check
    run : str or callable
        The directory that `again` leaves its run in, or what returns the command to see a data set.
    again : str
        The command that does the same check on another computer.
    failing : Marks
        Marks that make the check fail.
    """
    failed = check.failing(failing)
    parts = [marker(check.baseline), f"### Accuracy of `{check.baseline}`: {in_short(check, failing)}"]
    if check.changes:
        parts += ["", HEAD, *(_row(change, change in failed) for change in check.changes[:ROWS])]
        if (more := len(check.changes) - ROWS) > 0:
            parts += ["", f"{plural(more, 'change')} more."]
    commands = list(dict.fromkeys(c for change in check.changes for c in replay(change, run)))[:COMMANDS]
    if again and check.changes:
        parts += ["", "The same check, and single data sets of it, on your computer:", ""]
        parts += ["```sh", again, *commands, "```"]
    parts += ["", *_folded("How this was compared", [*compared(check), *seen(check), *check.notes])]
    return "\n".join(parts) + "\n"


def in_short(check: Check, failing: Marks = FAILING) -> str:
    """Return the outcome in a few words: ``failed: 2 worse, 1 new failure``."""
    counts = ", ".join(f"{n} {mark}" for mark, n in check.counts().items())
    if check.failing(failing):
        return f"failed: {counts}"
    return f"passed: {counts}" if counts else "as before"


def _row(change: Change, fails: bool) -> str:
    """Return a change as a row; what fails the check stands out."""
    mark = f"**{change.mark.value}**" if fails else change.mark.value
    named = where(change), change.estimator, change.term, change.measure
    numbers = [shown(value) if value is not None else "" for value in (change.before, change.after)]
    said = [_short(text) for text in (*named, *numbers, _rest(change))]
    return f"| {mark} | " + " | ".join(said) + " |"


def _rest(change: Change) -> str:
    """Return what `what` says beside the two numbers, which have columns of their own."""
    both = change.before is not None and change.after is not None
    return what(change).partition("; ")[2] if both else what(change)


def _short(text: str) -> str:
    """Return a text that Markdown shows as it is, cut where it is very long."""
    return escaped(text if len(text) <= LONGEST else text[:LONGEST] + " ...")


def _folded(title: str, sentences: Sequence[str]) -> list[str]:
    """Return sentences that are shown when the title is clicked."""
    return [
        f"<details><summary>{title}</summary>",
        "",
        *(f"- {escaped(one)}" for one in sentences),
        "",
        "</details>",
    ]

"""The errors users can meet, one small tree under one base.

Every message has three beats: what was expected, what was got, what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NestbenchError(Exception):
    """Base of every error raised on purpose; the command line prints it and exits with `exit_code`."""

    exit_code = 2


class InvalidInput(NestbenchError, ValueError):
    """Input that can't be used: a value, a file, a formula, a column."""


class StoreError(NestbenchError):
    """A run directory that can't be read, written, resumed or merged."""


class Interrupted(NestbenchError):
    """A run stopped by the user with its finished tasks kept."""

    exit_code = 130


class WorkersLost(NestbenchError):
    """Nobody is left to do the work: workers die again and again, or a cluster is gone."""

    exit_code = 1

    def __init__(self, why: str, remedy: str) -> None:
        # Both, not the sentence: an exception is unpickled by calling its class with its `args`.
        super().__init__(why, remedy)

    def __str__(self) -> str:
        why, remedy = self.args
        return f"{why}; finished tasks are kept: {remedy} and run the same command again"


def did_you_mean(got: str, allowed: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the nearest allowed names, or an empty string.

    Names that begin with what was typed come first (``ols-cr2`` means ``ols-cr2-satt``, not ``ols-hc2``): up to three,
    the shortest; then those that begin with all but its last character, then the one that is spelt most alike, then
    those that hold it. Case doesn't count.
    """
    names = {str(name).casefold(): str(name) for name in allowed}
    typed = str(got).casefold()
    by_length = sorted(names, key=lambda name: (len(name), name))
    begin = [name for name in by_length if len(typed) > 1 and name.startswith(typed)]
    most = typed[:-1]
    begun = [name for name in by_length if len(most) > 2 and most not in names and name.startswith(most)]
    hold = [name for name in by_length if len(typed) > 2 and typed in name]
    alike = difflib.get_close_matches(typed, by_length, n=1, cutoff=0.6)
    near = [typed] if typed in names else (begin or begun or alike or hold)[:3]
    quoted = [f"'{names[name]}'" for name in near]
    listed = " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)
    return f" Did you mean {listed}?" if quoted else ""


def unknown_name(kind: str, got: str, allowed: Iterable[str]) -> InvalidInput:
    """Return the error for a name that isn't in a registry, listing what is.

    Parameters
    ----------
    kind : str
        What the name should have been of: ``method``, ``population``, ...
    got : str
    allowed : iterable of str
    """
    names = sorted(allowed)
    return InvalidInput(f"unknown {kind} '{got}'.{did_you_mean(got, names)} Known: {', '.join(names)}")

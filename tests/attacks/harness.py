"""What attacks are counted with: commands called in this process under an alarm, their ends, and the table of them.

`NESTBENCH_ATTACKS=6` does six times as many (tests/README.md).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import click
from typer.testing import CliRunner

from nestbench.cli import app
from nestbench.sim.errors import NestbenchError
from nestbench.sim.visible import visible

SECONDS = 120
FAULTS = ("traceback", "hang", "changed number", "code run", "file left", "raw control character")


def many(count: int) -> int:
    """Return how many trials to do instead of so many."""
    return count * int(os.environ.get("NESTBENCH_ATTACKS", "1"))


class Hang(BaseException):
    """A command didn't end."""


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise `Hang` in what takes longer, also where it waits for a pipe."""

    def ring(_: int, __: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class _Rights(ctypes.Structure):
    """Two words of capabilities each, as ``capget(2)`` has them: effective, permitted, inheritable, twice."""

    _fields_ = (("words", ctypes.c_uint32 * 6),)


PAST_ALL_MODES = (1 << 1) | (1 << 2)
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH."""


@contextmanager
def rights_count() -> Iterator[None]:
    """Have the modes of files count for root, too: without its right to read and write whatever they say."""
    if os.geteuid() != 0 or sys.platform != "linux":
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    head, rights = (ctypes.c_uint32 * 2)(0x20080522, 0), _Rights()
    assert libc.capget(head, ctypes.byref(rights)) == 0
    before = rights.words[0]
    rights.words[0] = before & ~PAST_ALL_MODES
    assert libc.capset(head, ctypes.byref(rights)) == 0
    try:
        yield
    finally:
        rights.words[0] = before
        assert libc.capset(head, ctypes.byref(rights)) == 0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended (``ok``, ``words`` or a fault) and all that it said."""

    how: str
    text: str


def invoke(arguments: Sequence[str], seconds: float = SECONDS) -> Ended:
    """Call a command as a user would; what it raises but on purpose is a traceback."""
    try:
        with alarm(seconds):
            done = CliRunner().invoke(app, list(arguments))
    except Hang:
        return Ended("hang", "")
    error = done.exception
    if isinstance(error, Hang):
        return Ended("hang", "")
    if error is not None and not isinstance(error, (SystemExit, NestbenchError, click.ClickException)):
        return Ended("traceback", f"{type(error).__name__}: {error}\n{done.output}")
    if isinstance(error, NestbenchError):
        return Ended("words", f"{visible(str(error))}\n{done.output}")  # as `main` does
    return Ended("words" if done.exit_code else "ok", done.output)


@dataclass(slots=True)
class Tally:
    """Ends of trials by command, and each fault in words."""

    title: str
    ends: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    faults: list[str] = field(default_factory=list)

    def add(self, command: str, how: str, what: str = "") -> None:
        """Count an end."""
        self.ends[command][how] += 1
        if how in FAULTS:
            self.faults.append(f"{how}: {command}: {what}")

    def total(self) -> int:
        """Return the number of trials."""
        return sum(counts["trials"] for counts in self.ends.values())

    def table(self) -> str:
        """Return the counts, a line a command; faults all have a column."""
        others = sorted({how for counts in self.ends.values() for how in counts} - {"trials", *FAULTS})
        heads = ["trials", *others, *FAULTS]
        rows = [(name, *(str(self.ends[name][head]) for head in heads)) for name in sorted(self.ends)]
        rows.append(("all", *(str(sum(c[head] for c in self.ends.values())) for head in heads)))
        lines = [(self.title, *heads), *rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join("  ".join(t.rjust(w) for t, w in zip(line, widths, strict=True)) for line in lines)

    def settle(self) -> None:
        """Print the table; no fault may be in it."""
        print(f"\n{self.table()}")
        assert not self.faults, f"{self.table()}\n" + "\n".join(self.faults[:40])

"""What a run tells while it runs: a bar on a terminal, plain lines elsewhere, nothing when told to be quiet."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Protocol, Self


class Progress(Protocol):
    """Hears of the tasks of a run; a context manager around it."""

    def begin(self, title: str, seconds: float, done: float) -> None:
        """A run starts: its name, its expected cost (rough seconds of one core), the part already stored."""

    def advance(self, seconds: float, fits: int, unusable: int) -> None:
        """A task was stored: its expected cost, its fits, those without a usable answer."""

    def note(self, text: str) -> None:
        """Something to say once."""

    def __enter__(self) -> Self:
        """Start showing."""

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop showing."""


class Quiet:
    """Says nothing."""

    def begin(self, title: str, seconds: float, done: float) -> None:
        """Say nothing."""

    def advance(self, seconds: float, fits: int, unusable: int) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class Lines(Quiet):
    """Plain lines on stderr, one every few seconds: for logs and pipes."""

    def __init__(self, every: float = 10.0) -> None:
        self.every = every

    def begin(self, title: str, seconds: float, done: float) -> None:
        """Say what starts."""
        self.total, self.done, self.first = seconds, done, done
        self.fits = self.unusable = 0
        self.started = self.said = time.monotonic()
        self._say(f"{title}: {_share(done, seconds)} stored" if done else f"{title}: starting")

    def advance(self, seconds: float, fits: int, unusable: int) -> None:
        """Say how far it is, if it's time to, and at the end."""
        self.done += seconds
        self.fits += fits
        self.unusable += unusable
        now = time.monotonic()
        finished = self.done >= self.total * (1 - 1e-9)
        if finished or now - self.said >= self.every:
            self.said = now
            rate = self.fits / max(now - self.started, 1e-9)
            rest = (self.total - self.done) * (now - self.started) / max(self.done - self.first, 1e-9)
            left = f"took {_clock(now - self.started)}" if finished else f"{_clock(rest)} left"
            self._say(
                f"{_share(self.done, self.total)}, {self.fits} fits ({rate:.0f}/s), {self.unusable} unusable, {left}"
            )

    def note(self, text: str) -> None:
        """Say it."""
        self._say(text)

    def _say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


class Bar(Quiet):
    """A rich progress bar on stderr: share done, rate, failures, time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
        from rich.progress import TimeRemainingColumn as Left

        self.console = Console(stderr=True)
        self.bar: Any = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn(
                "{task.fields[fits]} fits ({task.fields[rate]:.0f}/s), {task.fields[unusable]} unusable"
            ),
            TimeElapsedColumn(),
            TextColumn("left"),
            Left(elapsed_when_finished=False),
            console=self.console,
        )

    def begin(self, title: str, seconds: float, done: float) -> None:
        """Show the bar."""
        from rich.markup import escape

        self.started, self.fits, self.unusable = time.monotonic(), 0, 0
        self.task = self.bar.add_task(
            escape(title), total=seconds, completed=done, fits=0, rate=0.0, unusable=0
        )

    def advance(self, seconds: float, fits: int, unusable: int) -> None:
        """Move the bar."""
        self.fits += fits
        self.unusable += unusable
        rate = self.fits / max(time.monotonic() - self.started, 1e-9)
        self.bar.update(self.task, advance=seconds, fits=self.fits, rate=rate, unusable=self.unusable)

    def note(self, text: str) -> None:
        """Print above the bar."""
        self.console.print(text, markup=False, highlight=False)

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()


def automatic() -> Progress:
    """Return a bar on a terminal, lines elsewhere."""
    return Bar() if sys.stderr.isatty() else Lines()


def _share(done: float, total: float) -> str:
    return f"{100 * done / total if total else 100:.0f} %"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"

"""What a run tells while it runs: a bar on a terminal, plain lines elsewhere, nothing when told to be quiet."""

from __future__ import annotations

import contextlib
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Protocol, Self

from nestbench.experiments.running.costs import Standing
from nestbench.sim.counted import plural

SILENCE = 8.0
"""Seconds after which a run says what it is doing, if no task was stored."""


class Progress(Protocol):
    """Hears of the tasks of a run; a context manager around it."""

    def begin(self, title: str, standing: Standing) -> None:
        """A run starts: its name, and what is stored already."""

    def advance(self, standing: Standing) -> None:
        """A task was stored: how far the run is now."""

    def note(self, text: str) -> None:
        """Something to say once."""

    def doing(self, text: str) -> None:
        """What goes on while no task is stored: the last sign of life."""

    def __enter__(self) -> Self:
        """Start showing."""

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop showing."""


class Quiet:
    """Says nothing."""

    def begin(self, title: str, standing: Standing) -> None:
        """Say nothing."""

    def advance(self, standing: Standing) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def doing(self, text: str) -> None:
        """Say nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class Lines(Quiet):
    """Plain lines on stderr, at the first task and then one every few seconds: for logs and pipes."""

    def __init__(self, every: float = 10.0) -> None:
        self.every = every

    def begin(self, title: str, standing: Standing) -> None:
        """Say what starts."""
        self.said: float | None = None
        stored = f"{_share(standing)} stored" if standing.share else "starting"
        self._say(f"{title}: {stored}")

    def advance(self, standing: Standing) -> None:
        """Say how far it is, if it's time to, and at the end."""
        now = time.monotonic()
        if standing.finished or self.said is None or now - self.said >= self.every:
            self.said = now
            words = [_share(standing), *_fits(standing)]
            if standing.finished:
                words.append(f"took {_clock(standing.seconds)}")
            elif standing.left is not None:
                words.append(f"{_clock(standing.left)} left")
            self._say(", ".join(words))

    def note(self, text: str) -> None:
        """Say it."""
        self._say(text)

    def doing(self, text: str) -> None:
        """Say it."""
        self._say(text)

    def _say(self, text: str) -> None:
        """Print to stderr at once: stdout is for results, and a pipe would hold a line back."""
        print(text, file=sys.stderr, flush=True)


class Bar(Quiet):
    """A rich progress bar on stderr: share done, rate, failures, time passed and left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn
        from rich.progress import TimeElapsedColumn as Elapsed

        self.console = Console(stderr=True)
        self.bar: Any = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[words]}"),
            Elapsed(),
            TextColumn("{task.fields[left]}"),
            console=self.console,
        )

    def begin(self, title: str, standing: Standing) -> None:
        """Show the bar."""
        from rich.markup import escape

        self.task = self.bar.add_task(
            escape(title), total=1.0, completed=standing.share, words="starting", left=""
        )

    def advance(self, standing: Standing) -> None:
        """Move the bar."""
        known = standing.left is not None and not standing.finished
        left = f"{_clock(standing.left or 0.0)} left" if known else ""
        words = ", ".join(_fits(standing))
        self.bar.update(self.task, completed=standing.share, words=words, left=left)

    def note(self, text: str) -> None:
        """Print above the bar."""
        self.console.print(text, markup=False, highlight=False)

    def doing(self, text: str) -> None:
        """Say it in the bar."""
        self.bar.update(self.task, words=text)

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()


def automatic() -> Progress:
    """Return a bar on a terminal, lines elsewhere."""
    return Bar() if sys.stderr.isatty() else Lines()


@contextlib.contextmanager
def alive(progress: Progress, activity: Callable[[], str], every: float = SILENCE) -> Iterator[None]:
    """Say every so many seconds what goes on, and for how long, while nothing else has something to tell.

    Compilation and first fits can take a minute in which nothing is stored: silence would look like a hang.

    Parameters
    ----------
    progress : Progress
    activity : callable
        Returns what goes on, in words, when it is asked.
    every : float
        Seconds.
    """
    begun, over = time.monotonic(), threading.Event()

    def tell() -> None:
        """Speak until it is over."""
        while not over.wait(every):
            progress.doing(f"{activity()}, {_clock(time.monotonic() - begun)} so far")

    teller = threading.Thread(target=tell, name="alive", daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def _share(standing: Standing) -> str:
    """Return the share of work done in words: rounded down, for 100 % is said when nothing is left and not before."""
    return f"{math.floor(100 * standing.share)} %" if not 0 < standing.share < 0.01 else "under 1 %"


def _fits(standing: Standing) -> list[str]:
    """Return counts of fits and their rate."""
    rate = f"{standing.rate:.0f}" if standing.rate >= 10 else f"{standing.rate:.1f}"
    return [
        f"{standing.fits:,} of {plural(standing.wanted, 'fit')} ({rate}/s)",
        f"{standing.unusable} unusable",
    ]


def _clock(seconds: float) -> str:
    """Return seconds as minutes and seconds, with hours where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"

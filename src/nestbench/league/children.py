"""Fits in child processes: what crashes, hangs, prints or can't be imported is told, and the rest goes on."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from nestbench.league.asked import Asked

START = 120.0
"""Seconds in which a package must be imported."""
LOSSES = {"hung": 5, "crashed": 50}
"""Children that a way may lose; what is left then isn't run. One that hangs takes all the time that a fit may take,
one that crashes a start: a package that ends its process in one condition is fitted in the others."""
STEP = 0.02
ONE_THREAD = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "RAYON", "POLARS", "NUMBA")

Job = tuple[int, pd.DataFrame, Asked]
"""A data set by its number in the job."""
Line = dict[str, Any]


@dataclass
class Watched:
    """What a child has said, and what was under way.

    Attributes
    ----------
    lines : dict
        Number of a data set -> what became of it.
    under_way : int or None
    ready : bool
        Whether the package could be imported.
    """

    lines: dict[int, Line] = field(default_factory=dict)
    under_way: int | None = None
    ready: bool = False

    def take(self, text: str) -> None:
        """Take what a child wrote."""
        for line in map(json.loads, text.splitlines()):
            if "start" in line:
                self.under_way = line["start"]
            elif "done" in line:
                self.lines[line["done"]], self.under_way = line, None
            else:
                self.ready = True


class Stopped(Exception):
    """Nobody waits for the fits any more."""


def fit_all(
    place: str, way: str, jobs: Sequence[Job], seconds: float, stop: threading.Event | None = None
) -> dict[int, Line]:
    """Return what became of each data set: a line of `child.fitted`, or ``{"lost": "hung" | "crashed", "why": ...}``.

    Parameters
    ----------
    place : str
        Module or file of the package.
    way : str
    jobs : sequence of (int, DataFrame, Asked)
    seconds : float
        Wall time that a fit may take.
    stop : Event
        Ends the child under way once it is set: a thread hears of no signal, a child in its own session of no Ctrl-C.

    Raises
    ------
    Stopped
        `stop` was set.
    """
    stop = stop or threading.Event()
    found: dict[int, Line] = {}
    lost = dict.fromkeys(LOSSES, 0)
    while left := [job for job in jobs if job[0] not in found]:
        watched, how, why = _child(place, way, left, seconds, stop)
        found |= watched.lines
        if not watched.ready:
            # It is installed and can't be imported: nothing that comes later could go better.
            return found | {job[0]: {"lost": how, "why": f"can't be imported: {why}"} for job in left}
        if watched.under_way is not None:
            found[watched.under_way] = {"lost": how, "why": why}
        lost[how] += 1
        if lost[how] == LOSSES[how]:
            rest = {"lost": "not run", "why": f"{lost[how]} children of this way {how} before"}
            return found | {job[0]: rest for job in jobs if job[0] not in found}
    return found


def _child(
    place: str, way: str, jobs: Sequence[Job], seconds: float, stop: threading.Event
) -> tuple[Watched, str, str]:
    """Run one child as far as it comes; return what it said, and how and why it ended."""
    with tempfile.TemporaryDirectory(prefix="nestbench-league-") as folder, contextlib.ExitStack() as files:
        job, results, printed = (Path(folder) / name for name in ("job", "results", "printed"))
        job.write_bytes(pickle.dumps({"place": place, "way": way, "data": list(jobs)}))
        results.touch()
        child = subprocess.Popen(
            [sys.executable, "-m", "nestbench.league.child", str(job), str(results)],
            stdin=subprocess.DEVNULL,
            stdout=files.enter_context(printed.open("wb")),
            stderr=subprocess.STDOUT,
            env=os.environ
            | {f"{name}_NUM_THREADS": "1" for name in ONE_THREAD}
            # What a package leaves in temporary files goes with the job's folder, however its process ends.
            | {"POLARS_MAX_THREADS": "1", "TMPDIR": folder},
            cwd=folder,
            start_new_session=True,
        )
        watched = Watched()
        try:
            hung = _watch(child, results, watched, seconds, stop)
        finally:
            _end(child)
        said = printed.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    if hung:
        return (
            watched,
            "hung",
            f"took longer than {seconds if watched.ready else START:g} s",
        )
    code = child.returncode
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return watched, "crashed", f"{how}{': ' + said[-1][:300] if said else ''}"


def _watch(
    child: subprocess.Popen[bytes], results: Path, watched: Watched, seconds: float, stop: threading.Event
) -> bool:
    """Read what a child writes until it ends; return whether it took too long over one thing."""
    since, whole = time.monotonic(), ""
    for text in _grown(child, results):
        if stop.is_set():
            raise Stopped
        if text:
            since, whole = time.monotonic(), whole + text
            lines, _, whole = whole.rpartition("\n")
            watched.take(lines)
        elif time.monotonic() - since > (seconds if watched.ready else START):
            return True
    return False


def _grown(child: subprocess.Popen[bytes], results: Path) -> Iterator[str]:
    """Yield what a file has grown by, now and then, until its writer has ended."""
    with results.open(encoding="utf-8") as file:
        while child.poll() is None:
            yield file.read()
            time.sleep(STEP)
        yield file.read()


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a child with all that it started: a fit that hangs in compiled code runs no handler."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()

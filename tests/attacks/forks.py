"""Commands in processes of their own, made by `server`: to be killed, and to run at once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.experiments.running.test_ends import members


@dataclass(slots=True)
class Child:
    """A command under way: its process, which leads a session, and where what it says goes."""

    pid: int
    output: Path

    def said(self) -> str:
        """Return all that it said."""
        return self.output.read_text(encoding="utf-8", errors="replace")


@dataclass(slots=True)
class Forks:
    """The server's end here."""

    process: subprocess.Popen[str]
    scratch: Path
    started: list[Child] = field(default_factory=list)

    def _ask(self, *words: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def start(self, arguments: list[str], folder: Path) -> Child:
        """Start a command in a folder."""
        output = self.scratch / f"said-{len(self.started)}"
        child = Child(self._ask("start", arguments, str(folder), str(output)), output)
        self.started.append(child)
        return child

    def wait(self, child: Child, seconds: float = 120) -> int | None:
        """Return a command's exit code, None if it doesn't end in time."""
        found: int | None = self._ask("wait", child.pid, seconds)
        return found

    def left(self, child: Child, seconds: float = 15) -> list[int]:
        """Return the processes of a command's session that are still there after some seconds."""
        limit = time.monotonic() + seconds
        while members(child.pid) and time.monotonic() < limit:
            time.sleep(0.1)
        return members(child.pid)


@contextmanager
def forks(scratch: Path) -> Iterator[Forks]:
    """Start the server, and leave nothing of what it started behind."""
    scratch.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("server.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=scratch,
    )
    made = Forks(process, scratch)
    try:
        yield made
    finally:
        process.kill()
        process.communicate()
        for child in made.started:
            for pid in members(child.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

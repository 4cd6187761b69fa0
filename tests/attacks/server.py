"""A process that has imported everything and makes others by forking: many commands at once, each started in no time.

Reads a JSON list a line: ``["start", arguments, folder, output]`` answers the process's number, ``["wait", number,
seconds]`` its exit code or null. Run as a script: pytest's own process has threads, and must not be forked.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time


def imported() -> None:
    """Import what commands import when they run."""
    import nestbench.experiments.running.start
    import nestbench.reports.accuracy.baseline
    import nestbench.reports.exports.query
    import nestbench.reports.exports.write
    import nestbench.reports.figures.kinds
    import nestbench.reports.words.summary  # noqa: F401


def start(arguments: list[str], folder: str, output: str) -> int:
    """Fork a command into a session of its own; in the child this ends in the command's own end."""
    from nestbench.cli import main

    child = os.fork()
    if child:
        return child
    os.setsid()
    os.chdir(folder)
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for handle in (1, 2):
        os.dup2(file, handle)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["nestbench", *arguments]
    main()
    sys.exit(0)


def wait(child: int, seconds: float) -> int | None:
    """Return a child's exit code, minus the signal's number if one ended it; None if it doesn't end in time."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    return None


def serve() -> None:
    """Do what is asked until nothing is."""
    imported()
    while line := sys.stdin.readline():
        what, *rest = json.loads(line)
        answer = start(*rest) if what == "start" else wait(*rest)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        serve()

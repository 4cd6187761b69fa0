"""Commands in processes of their own, with what they said; Ctrl-C reaches them as it reaches us."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_GRACE = 30.0
"""Seconds in which a process that was interrupted may put away what it has."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: its exit code (None: it took too long) and what it said."""

    code: int | None
    out: str
    err: str

    @property
    def last(self) -> str:
        """The last line that it said, on stderr if on either."""
        lines = (self.err.strip() or self.out.strip()).splitlines()
        return lines[-1].strip()[:400] if lines else ""

    @property
    def error(self) -> str:
        """The first line in which pip names an error, else the last one."""
        lines = [line.strip() for line in self.err.splitlines()]
        return next((line[:400] for line in lines if line.lower().startswith("error")), self.last)


def ended(command: Sequence[str], folder: Path | None = None, seconds: float | None = None) -> Ended:
    """Run a command to its end.

    Parameters
    ----------
    command : sequence of str
    folder : Path, optional
        Where it runs.
    seconds : float, optional
        Wall time after which it is killed.
    """
    # What the caller's PYTHONPATH holds would come before the version that an environment was made for; and so would
    # the folder it is typed in, which may well be the package's own source tree, by `python -m`.
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    env["PYTHONSAFEPATH"] = "1"
    with subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            return Ended(None, out, err)
        except KeyboardInterrupt:
            _let_end(process)
            raise
    return Ended(process.returncode, out, err)


def _let_end(process: subprocess.Popen[str]) -> None:
    """Wait until a process that was interrupted, too, has put away what it has; not for ever."""
    try:
        process.communicate(timeout=_GRACE)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()

"""The commit that a run belongs to: as asked for, or that of the repository one stands in."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

from nestbench.history.recording import Commit
from nestbench.sim.errors import InvalidInput

CHANGES = "+changes"
"""Behind the name of a commit whose files were edited."""


def commit_here(file: Path, name: str | None = None, date: str | None = None) -> Commit:
    """Return the commit of a run.

    Parameters
    ----------
    file : Path
        The history, which may be edited: a run isn't another one for that.
    name, date : str, optional
        Instead of git's: any word; ISO 8601.

    Raises
    ------
    InvalidInput
        No repository and no name, or a date that is none.
    """
    now = datetime.now(UTC)
    if name is None:
        commit = _git("rev-parse", "--short=12", "HEAD")
        if not commit:
            raise InvalidInput(
                f"expected a git repository with a commit in {Path.cwd()}, got none; name the run's commit or version: "
                "--commit NAME"
            )
        edited = _git("status", "--porcelain", "--untracked-files=no", "--", f":(exclude){file}", ".")
        name = commit + (CHANGES if edited else "")
        written = now.isoformat(timespec="seconds") if edited else _git("show", "-s", "--format=%cI", "HEAD")
        date = date or written
    return Commit(name, _utc(date or now.isoformat(timespec="seconds")))


def _utc(date: str) -> str:
    """Return a date in UTC, so that texts sort as dates do."""
    try:
        return datetime.fromisoformat(date).astimezone(UTC).isoformat(timespec="seconds")
    except ValueError:
        raise InvalidInput(
            f"expected --date as in ISO 8601, got '{date}'; e.g. 2026-11-26 or 2026-11-26T10:00:00+01:00"
        ) from None


def _git(*arguments: str) -> str:
    """Return what git prints here; nothing where there is no git, no repository or no commit."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""

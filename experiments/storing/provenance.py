"""Where numbers come from: versions, processor, commit, command."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PACKAGES = (
    "nestbench",
    "numpy",
    "scipy",
    "pandas",
    "statsmodels",
    "formulaic",
    "numba",
    "pyarrow",
    "joblib",
)


def provenance(workers: int) -> dict[str, Any]:
    """Return what a reader needs to judge or repeat a run on this machine, now.

    Facts of the session, not of the numbers: nothing of it decides a stored estimate, and it differs between the
    sessions of a run that was resumed.
    """
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "packages": packages(),
        "platform": platform.platform(),
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "workers": workers,
        "commit": _commit(),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }


def packages() -> dict[str, str | None]:
    """Return the versions of the packages that numbers can depend on."""
    return {name: _version(name) for name in PACKAGES}


def versions_changed(sessions: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return package -> its versions in order, of those that weren't the same in all sessions of a run."""
    seen: dict[str, list[str]] = {}
    for session in sessions:
        installed = session.get("packages")
        for name, version in (installed if isinstance(installed, Mapping) else {}).items():
            versions = seen.setdefault(str(name), [])
            if str(version) not in versions:
                versions.append(str(version))
    return {name: ", then ".join(versions) for name, versions in seen.items() if len(versions) > 1}


def _version(name: str) -> str | None:
    """Return the version of an installed package, None for one that isn't."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    """Return the name of the processor, as far as the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    # Last, since it is empty on most Linux systems.
    return platform.processor() or platform.machine()


def _commit(file: Path = Path(__file__)) -> str | None:
    """Return the commit of the source tree that a file is part of, with ``+changes`` if it was edited; None if none."""
    here = file.resolve().parents[1]
    try:
        # An installed copy may lie in somebody's own repository, whose commit says nothing of this package.
        _git(here, "ls-files", "--error-unmatch", str(file.resolve()))
        commit = _git(here, "rev-parse", "HEAD")
        # Reports are left out: whatever is edited there, the stored rows are the same.
        changed = _git(
            here, "status", "--porcelain", "--untracked-files=no", "--", ".", "../sim", "../estimators"
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + ("+changes" if changed else "") if commit else None


def _git(folder: Path, *arguments: str) -> str:
    """Return what a git command prints in a folder."""
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
    )
    return done.stdout.strip()

"""The versions of a package between two, as the index has them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from packaging.version import InvalidVersion, Version

from nestbench.bisecting.processes import ended
from nestbench.sim.errors import InvalidInput, did_you_mean

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_LISTED = "Available versions:"


def require_name(package: str) -> None:
    """Refuse what isn't a distribution's name: it is handed to pip, which takes paths, addresses and options, too."""
    if not _NAME.fullmatch(package):
        raise InvalidInput(
            f"expected the name of a package as pip installs it, got '{package}'; e.g. statsmodels"
        )


def version_of(text: str) -> Version:
    """Return a version; `InvalidInput` where a text is none."""
    try:
        return Version(text)
    except InvalidVersion:
        raise InvalidInput(f"expected a version such as 0.14.1, got '{text}'") from None


def listed(python: Path, package: str, early: bool) -> list[str]:
    """Return the versions that the index has, or whatever pip is configured to use.

    Parameters
    ----------
    python : Path
        Of an environment with pip.
    package : str
    early : bool
        Whether pre-releases count.

    Raises
    ------
    InvalidInput
        pip doesn't answer, or knows no such package.
    """
    words = ["-m", "pip", "index", "versions", package, "--disable-pip-version-check", "--no-input"]
    # pip lists those without a wheel for this computer, too: which can be installed is known by trying.
    done = ended([str(python), *words, *(["--pre"] if early else [])])
    for line in done.out.splitlines():
        if line.startswith(_LISTED):
            return [text.strip() for text in line.removeprefix(_LISTED).split(",")]
    raise InvalidInput(
        f"expected the index to list versions of '{package}', got: {done.error or 'nothing'}; look at the name, and "
        "at the network and index that pip uses (pip config list)"
    )


def between(package: str, old: str, new: str, known: Iterable[str]) -> list[str]:
    """Return the versions from `old` to `new`, ascending, both among them.

    Raises
    ------
    InvalidInput
        One of them isn't known, or they are in the wrong order.
    """
    by_version = {Version(text): text for text in known if _is_version(text)}
    low, high = _known(package, old, by_version.keys()), _known(package, new, by_version.keys())
    if not low < high:
        raise InvalidInput(
            f"expected an older version and a newer one, got {old} and {new}; the older comes first"
        )
    return [by_version[one] for one in sorted(by_version) if low <= one <= high]


def _known(package: str, text: str, known: Iterable[Version]) -> Version:
    """Return a version if the index has it."""
    wanted, there = version_of(text), list(known)
    if wanted not in there:
        near = did_you_mean(text, map(str, there))
        raise InvalidInput(
            f"expected a version of {package} that the index has, got {text}.{near} {_shown(sorted(there))}"
        )
    return wanted


def _shown(versions: Sequence[Version], most: int = 12) -> str:
    """Return the newest versions in a sentence."""
    newest = ", ".join(map(str, versions[-most:]))
    return f"Known: {'..., ' if len(versions) > most else ''}{newest}"


def _is_version(text: str) -> bool:
    """Whether a text is a version: old packages have others."""
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True

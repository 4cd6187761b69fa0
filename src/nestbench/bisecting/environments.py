"""A virtual environment for each version of the package: what is installed here, with that package in front.

An environment holds the package in one version, and what pip had to bring with it because what is installed here
doesn't serve it. All else, nestbench included, is read from here: versions differ in nothing but the package, as far as
pip allows, and take megabytes instead of a gigabyte each.
"""

from __future__ import annotations

import json
import shutil
import site
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import nestbench
from nestbench.bisecting.processes import ended
from nestbench.experiments.files import write_atomically
from nestbench.sim.errors import InvalidInput

_MADE = "nestbench-bisect.json"
_OURS = {"pip", "setuptools", "wheel"}
_INSTALL = ("-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet")


class NotInstalled(Exception):
    """pip could not install a version; the text says why."""


@dataclass(frozen=True, slots=True)
class Environment:
    """One version's environment: a folder."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")

    @property
    def packages(self) -> Path:
        """Where it keeps packages."""
        base = {"base": str(self.folder), "platbase": str(self.folder)}
        return Path(sysconfig.get_path("purelib", "venv", base))

    def has(self, wanted: Sequence[str]) -> bool:
        """Whether it was finished, with what is wanted."""
        return self._made.get("asked") == [*wanted]

    @property
    def along(self) -> dict[str, str]:
        """What pip brought with the package: name -> version."""
        found = self._made.get("along", {})
        return {str(name): str(version) for name, version in found.items()}

    @property
    def _made(self) -> dict[str, Any]:
        """What was asked of pip and what came, kept once all was there; nothing where it wasn't finished."""
        try:
            found: dict[str, Any] = json.loads((self.folder / _MADE).read_text(encoding="utf-8"))
            return found
        except (OSError, ValueError):
            return {}

    def begin(self) -> None:
        """Make the environment with pip and what is installed here, or leave the one that is begun.

        Raises
        ------
        InvalidInput
            Python can't make one.
        """
        # Written last: what was interrupted before has no pip, or half of it.
        path = self.packages / "nestbench_bisect.pth"
        if path.is_file():
            return
        self.remove()
        done = ended([sys.executable, "-m", "venv", str(self.folder)])
        if done.code:
            self.remove()
            raise InvalidInput(
                f"expected Python to make a virtual environment in {self.folder}, got: {done.last}; on Debian and "
                "Ubuntu it takes the package python3-venv"
            )
        lines = "".join(f"import site; site.addsitedir({str(place)!r})\n" for place in _places())
        write_atomically(path, lines.encode())

    def install(self, package: str, version: str, build: bool = False, more: Sequence[str] = ()) -> None:
        """Install one version of the package.

        Parameters
        ----------
        package, version : str
        build : bool
            Whether it may be built from source where there is no wheel.
        more : sequence of str
            Packages that it needs and doesn't name.

        Raises
        ------
        NotInstalled
        """
        asked = wanted(package, version, more)
        if self.has(asked):
            return
        self.begin()
        wheels = ["--prefer-binary"] if build else ["--only-binary", ":all:"]
        done = ended([str(self.python), *_INSTALL, *wheels, *asked])
        if done.code:
            hint = (
                "" if build or "No matching distribution" not in done.err else "; --build builds from source"
            )
            raise NotInstalled(done.error + hint)
        brought = {
            one.metadata["Name"]: one.version
            for one in metadata.distributions(path=[str(self.packages)])
            if one.metadata["Name"].lower() not in _OURS and not _same(one.metadata["Name"], package)
        }
        made = {"asked": asked, "along": brought}
        write_atomically(self.folder / _MADE, json.dumps(made).encode())

    def remove(self) -> None:
        """Remove it."""
        shutil.rmtree(self.folder, ignore_errors=True)


def wanted(package: str, version: str, more: Sequence[str]) -> list[str]:
    """Return what pip is asked for."""
    return [f"{package}=={version}", *more]


def _places() -> list[str]:
    """Return where packages are read from here: site-packages, and the folder that nestbench is in."""
    own = Path(nestbench.__file__).parents[1]
    user = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    return list(dict.fromkeys([*site.getsitepackages(), *user, str(own)]))


def _same(first: str, second: str) -> bool:
    """Whether two names are of one distribution: dots, dashes and underscores are one."""
    return first.lower().replace("_", "-").replace(".", "-") == second.lower().replace("_", "-").replace(
        ".", "-"
    )

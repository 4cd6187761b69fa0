"""Trying a version: its environment, the study run in it, the measures of that run."""

from __future__ import annotations

import hashlib
import json
import shutil
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nestbench.bisecting.answers import Answer, Wanted, answer_of, silent
from nestbench.bisecting.environments import Environment, NotInstalled, wanted
from nestbench.bisecting.processes import ended
from nestbench.bisecting.searching import Skipped
from nestbench.experiments.files import write_atomically
from nestbench.experiments.storing.store import Store
from nestbench.sim.errors import StoreError
from nestbench.sim.files import read_file


@dataclass(frozen=True, slots=True)
class Study:
    """What is run under each version.

    Attributes
    ----------
    source : str
        A TOML file or a name of the catalogue.
    methods : tuple of str
        Labels of its methods; none: all.
    changes : mapping
        ``seed`` and ``replications`` instead of its own, where they are asked for.
    workers : int or None
    trust : bool
        Lets the code that it brings run.
    seconds : float or None
        Wall time that a version may take.
    """

    source: str
    methods: tuple[str, ...] = ()
    changes: Mapping[str, Any] = field(default_factory=dict)
    workers: int | None = None
    trust: bool = False
    seconds: float | None = None

    @property
    def mark(self) -> str:
        """What tells its runs from those of another study, or of this one and its plugins before they were edited."""
        file = Path(self.source)
        texts = [read_file(file) if file.is_file() else self.source.encode()]
        texts += [read_file(place) for place in plugins_of(file) if place.is_file()]
        texts.append(json.dumps([self.methods, sorted(self.changes.items())]).encode())
        return hashlib.blake2b(b"\0".join(texts), digest_size=4).hexdigest()


def plugins_of(study: Path) -> list[Path]:
    """Return the files of code that a TOML file names; none where it can't be read, which is said elsewhere."""
    try:
        named = tomllib.loads(read_file(study).decode())["experiment"]["plugins"]
        return [study.parent / name for name in named]
    except (OSError, ValueError, KeyError, TypeError):
        return []


@dataclass(frozen=True, slots=True)
class Trials:
    """Versions of one package on one study, in one folder.

    Attributes
    ----------
    package : str
    study : Study
    wanted : Wanted
    folder : Path
        Holds ``envs/PACKAGE-VERSION`` and ``runs/MARK/PACKAGE-VERSION``.
    build : bool
        Whether versions without a wheel are built from source.
    more : tuple of str
        Packages that are installed with each version.
    tell : callable
        Is told what is under way.
    """

    package: str
    study: Study
    wanted: Wanted
    folder: Path
    build: bool = False
    more: tuple[str, ...] = ()
    tell: Callable[[str], None] = lambda text: None

    def environment(self, version: str) -> Environment:
        """Return a version's environment, made or not."""
        return Environment((self.folder / "envs" / f"{self.package}-{version}").absolute())

    def run_of(self, version: str) -> Path:
        """Return where a version's run is."""
        return (self.folder / "runs" / self.study.mark / f"{self.package}-{version}").absolute()

    def attempt(self, version: str) -> Answer | Skipped:
        """Return the measures of one version; `Skipped` where it can't be installed, or the study doesn't run."""
        environment = self.environment(version)
        try:
            if not environment.has(wanted(self.package, version, self.more)):
                self.tell(f"{self.package} {version}: installing")
                environment.install(self.package, version, self.build, self.more)
        except NotInstalled as error:
            return Skipped(f"can't be installed: {error}")
        self.tell(f"{self.package} {version}: running the study")
        if why := self._run(environment, version):
            return Skipped(why)
        try:
            store = Store.open(self.run_of(version))
            why = silent(store)
            return Skipped(why) if why else answer_of(store, self.wanted)
        except StoreError as error:
            return Skipped(f"left a run that can't be read: {error}")

    def _run(self, environment: Environment, version: str) -> str:
        """Run the study in an environment; return why it isn't finished, if it isn't."""
        out = self.run_of(version)
        job = {
            "source": self.study.source,
            "changes": dict(self.study.changes),
            "methods": list(self.study.methods),
            "out": str(out),
            "workers": self.study.workers,
            "trust": self.study.trust,
        }
        file = out.with_name(f"{out.name}.json")
        write_atomically(file, json.dumps(job).encode())
        child = [str(environment.python), "-m", "nestbench.bisecting.child", str(file)]
        done = ended(child, seconds=self.study.seconds)
        if done.code is None:
            return f"took longer than {self.study.seconds:g} s"
        return f"the study ended with exit code {done.code}: {done.last}" if done.code else ""

    def along(self, version: str) -> dict[str, str]:
        """Return what pip brought with a version."""
        return self.environment(version).along

    def remove(self) -> None:
        """Remove the environments of this package; runs stay."""
        for place in (self.folder / "envs").glob(f"{self.package}-*"):
            shutil.rmtree(place, ignore_errors=True)

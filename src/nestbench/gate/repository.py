"""What a maintainer's repository is, found out without asking: package, code, tests, branch, workflows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nestbench.gate.declared import Declared, declared_in, plain_name, python_for
from nestbench.sim.errors import InvalidInput
from nestbench.sim.files import read_file
from nestbench.sim.visible import visible

WORKFLOWS = Path(".github/workflows")
CODE = ("", "src", "python", "lib")
"""Folders in which a package's own folder usually lies."""
TESTS = ("tests", "test", "testing")
NOT_CODE = {*TESTS, "doc", "docs", "examples", "benchmarks", "scripts", "tools", "build", "dist"}
SHADOWING = ("sim", "estimators", "experiments", "reports", "nestbench")
"""Names that nestbench's own folders have in its tree."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository, as far as its gate needs to know it.

    Attributes
    ----------
    root : Path
    package, module : str
        As it is installed, and as it is imported.
    code : str
        Folder of the module below the root; empty where it wasn't found.
    tests : str
        Folder of its tests, likewise.
    branch : str
        The default branch.
    git : bool
    python : str
        Python of the workflow: ``3.12``.
    workflows : tuple of str
        Names of the workflow files there are.
    notes : tuple of str
        What a maintainer should know of what was found, in sentences.
    """

    root: Path
    package: str
    module: str
    code: str
    tests: str
    branch: str
    git: bool
    python: str
    workflows: tuple[str, ...]
    notes: tuple[str, ...]

    def described(self) -> str:
        """Return what was found, in a sentence."""
        where = f"in {self.code}/" if self.code else "not found in this folder"
        tests = f"tests in {self.tests}/" if self.tests else "no tests (the gate needs none)"
        branch = f"default branch {self.branch}" if self.git else "no git repository"
        others = f"workflows {', '.join(self.workflows)}" if self.workflows else "no workflows yet"
        return (
            f"found: package {self.package}, imported as {self.module} ({where}); {tests}; {branch}; {others}"
        )


def look(root: Path, package: str | None = None) -> Repository:
    """Return what a folder is, as a repository of a Python package.

    Parameters
    ----------
    root : Path
        Its root.
    package : str, optional
        The package's name, where no file says it.

    Raises
    ------
    InvalidInput
        No folder; a folder within a repository; no package in it.
    """
    if not root.is_dir():
        raise InvalidInput(f"expected the folder of a repository, got {root}; name one that exists")
    said = declared_in(root)
    name = package or said.name
    above = _above(root)
    if above is not None and not name:
        raise InvalidInput(
            f"expected the root of a repository, got a folder in {above}; type: nestbench ci init {above}"
        )
    if not name:
        unread = "".join(f" ({note})" for note in said.notes)
        raise InvalidInput(
            f"expected a package's name in pyproject.toml, setup.cfg or setup.py of {root}, got none{unread}; "
            "name it: nestbench ci init --package NAME"
        )
    if plain_name(name) != name:
        raise InvalidInput(f"expected --package as pip installs it, got '{name}'; e.g. my-package")
    folder = _code(root, name, said)
    module = folder.name.removesuffix(".py") if folder else re.sub(r"[-.]+", "_", name)
    python = python_for(said.python)
    git = _git_folder(root)
    return Repository(
        root=root,
        package=name,
        module=module,
        code=folder.relative_to(root).as_posix() if folder else "",
        tests=_tests(root, folder),
        branch=_branch(git) if git else "main",
        git=git is not None,
        python=python or "3.12",
        workflows=tuple(sorted(p.name for p in _files(root / WORKFLOWS, "*.y*ml"))),
        notes=tuple(map(visible, _notes(root, said, python, above))),
    )


def _notes(root: Path, said: Declared, python: str | None, above: Path | None) -> Iterator[str]:
    """Yield what a maintainer should know."""
    yield from said.notes
    if above is not None:
        yield f"{root} lies in the repository {above}: its workflows are read from {above / WORKFLOWS} alone"
    if python is None:
        yield f"the package takes Python {said.python}, nestbench 3.11 or later: the workflow takes 3.12"
    own = [name for name in SHADOWING if (root / name).is_dir()]
    if own:
        folders = ", ".join(f"{name}/" for name in own)
        yield f"{folders}: yours; nestbench imports nothing of that name but itself" + (
            ", and python -m pytest from here finds yours before it" if "nestbench" in own else ""
        )


def _above(root: Path) -> Path | None:
    """Return the repository that a folder lies in; None if it is one itself, or lies in none."""
    place = root.resolve()
    if (place / ".git").exists():
        return None
    return next((parent for parent in place.parents if (parent / ".git").exists()), None)


def _code(root: Path, name: str, said: Declared) -> Path | None:
    """Return the package's folder or file: that of its name, else the only one there is."""
    wanted = _folded(name)
    bases = [root / place for place in dict.fromkeys((*said.places, *CODE)) if (root / place).is_dir()]
    found = [
        one
        for base in bases
        for one in [*_files(base, "*/__init__.py"), *_files(base, "*.py")]
        if one.name != "setup.py"
    ]
    packages = [one.parent if one.name == "__init__.py" else one for one in found]
    for one in packages:
        if _folded(one.name.removesuffix(".py")) == wanted:
            return one
    others = [one for one in packages if one.is_dir() and one.name not in NOT_CODE]
    return others[0] if len(others) == 1 else None


def _tests(root: Path, code: Path | None) -> str:
    """Return the folder of the tests; empty where there are none."""
    inside = [code / name for name in TESTS] if code and code.is_dir() else []
    folder = next((p for p in (*(root / name for name in TESTS), *inside) if p.is_dir()), None)
    if folder is None and code and code.is_dir():
        # statsmodels has its tests in the folder of each subpackage.
        folder = next((p.parent for p in _files(code, "*/tests/__init__.py")), None)
    return folder.relative_to(root).as_posix() if folder else ""


def _git_folder(root: Path) -> Path | None:
    """Return git's own folder of a repository, or of the one that it lies in; None where there is none."""
    place = next((p / ".git" for p in (root, *root.resolve().parents) if (p / ".git").exists()), None)
    if place is None or place.is_dir():
        return place
    # A worktree or a submodule: the file says where it is.
    said = (_first_line(place) or "").removeprefix("gitdir:").strip()
    folder = place.parent / said
    common = _first_line(folder / "commondir")
    return folder / common if common else folder


def _branch(git: Path) -> str:
    """Return the default branch: that of the remote, else the one that is checked out."""
    for file, start in (("refs/remotes/origin/HEAD", "refs/remotes/origin/"), ("HEAD", "refs/heads/")):
        line = (_first_line(git / file) or "").removeprefix("ref:").strip()
        if re.fullmatch(re.escape(start) + r"[\w./+-]+", line):
            return line.removeprefix(start)
    return "main"


def _first_line(file: Path) -> str | None:
    try:
        return (read_file(file).decode("utf-8", "replace").splitlines() or [""])[0]
    except OSError:
        return None


def _files(folder: Path, pattern: str) -> list[Path]:
    """Return files that match, sorted; none where the folder can't be read."""
    try:
        return sorted(one for one in folder.glob(pattern) if one.is_file())
    except OSError:
        return []


def _folded(name: str) -> str:
    """Return a name as PyPI compares names."""
    return re.sub(r"[-_.]+", "_", name).lower()

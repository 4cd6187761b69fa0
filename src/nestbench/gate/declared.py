"""What a package says of itself: its name and the Pythons it runs on, in pyproject.toml, setup.cfg or setup.py.

Nothing of a repository is run: a setup.py is read as text.
"""

from __future__ import annotations

import ast
import configparser
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from nestbench.sim.files import read_file

NEWEST = (3, 12)
PATCHES = (0, 10)
"""Patches of a Python that are looked at: `<=3.12` is met by its first alone, `>3.12.4` by a later one."""
PYTHONS = (NEWEST, (3, 13), (3, 11), (3, 14))
"""Pythons that nestbench runs on; the one that most packages have wheels for first."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What the files of a repository say.

    Attributes
    ----------
    name : str
        As it is installed; empty where none of the files says it.
    file : str
        Which of them says it.
    python : str
        The Pythons it runs on, as written: ``>=3.9,<3.14``; empty: any.
    places : tuple of str
        Folders in which its code may lie, beside the usual ones.
    notes : tuple of str
        What couldn't be read, in sentences.
    """

    name: str = ""
    file: str = ""
    python: str = ""
    places: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def declared_in(root: Path) -> Declared:
    """Return what the first of pyproject.toml, setup.cfg and setup.py that names the package says."""
    found = [reader(root) for reader in (_pyproject, _setup_cfg, _setup_py)]
    first = next((one for one in found if one.name), Declared())
    return Declared(
        first.name,
        first.file,
        next((one.python for one in found if one.python), ""),
        tuple(place for one in found for place in one.places),
        tuple(note for one in found for note in one.notes),
    )


def python_for(wanted: str) -> str | None:
    """Return the Python that a workflow takes, of those that nestbench runs on; None where the package takes none."""
    return next((f"{major}.{minor}" for major, minor in PYTHONS if _allows(wanted, (major, minor))), None)


def _allows(wanted: str, python: tuple[int, int]) -> bool:
    """Whether specifiers allow a Python, by major and minor version: any patch of it that a workflow may install."""
    # Poetry's caret is no sign of Python's own.
    known = re.sub(r"\^\s*(\d+)([\d.]*)", lambda m: f">={m[1]}{m[2]},<{int(m[1]) + 1}", wanted)
    try:
        specifiers = SpecifierSet(known)
    except InvalidSpecifier:
        return True  # what isn't understood is pip's to refuse
    major, minor = python
    return any(specifiers.contains(f"{major}.{minor}.{patch}") for patch in PATCHES)


def _text(file: Path) -> str | None:
    """Return a file's text; None where there is none."""
    try:
        return read_file(file).decode("utf-8", "replace")
    except OSError:
        return None


def _pyproject(root: Path) -> Declared:
    text = _text(root / "pyproject.toml")
    if text is None:
        return Declared()
    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        return Declared(notes=(f"pyproject.toml can't be read ({error}); what it says isn't known",))
    project, tool = _table(content, "project"), _table(content, "tool")
    older = _table(tool, "poetry") or _table(_table(tool, "flit"), "metadata")
    name = project.get("name") or older.get("name") or older.get("dist-name") or older.get("module")
    python = project.get("requires-python") or _table(older, "dependencies").get("python")
    where = _table(_table(_table(tool, "setuptools"), "packages"), "find").get("where")
    places = [_table(tool, "maturin").get("python-source"), *(where if isinstance(where, list) else [where])]
    known = tuple(place for place in map(_string, places) if place)
    return Declared(plain_name(_string(name)), "pyproject.toml", _string(python), known)


def _setup_cfg(root: Path) -> Declared:
    text = _text(root / "setup.cfg")
    if text is None:
        return Declared()
    config = configparser.ConfigParser(interpolation=None)
    try:
        config.read_string(text)
    except configparser.Error as error:
        why = str(error).splitlines()[0]
        return Declared(notes=(f"setup.cfg can't be read ({why}); what it says isn't known",))
    get = config.get
    name = get("metadata", "name", fallback="")
    python = get("options", "python_requires", fallback="")
    place = get("options.packages.find", "where", fallback="")
    return Declared(plain_name(name), "setup.cfg", python, (place,) if place else ())


def _setup_py(root: Path) -> Declared:
    text = _text(root / "setup.py")
    if text is None:
        return Declared()
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return Declared(notes=(f"setup.py can't be read ({error}); what it says isn't known",))
    constants = {
        target.id: node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    given: dict[str, str] = {}
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if ast.unparse(call.func).rpartition(".")[2] == "setup":
            for word in (word for word in call.keywords if word.arg in ("name", "python_requires")):
                given.setdefault(str(word.arg), _string(_value(word.value, constants)))
    return Declared(plain_name(given.get("name", "")), "setup.py", given.get("python_requires", ""))


def _value(node: ast.expr, constants: Mapping[str, Any]) -> Any:
    """Return a constant, or that of a name."""
    return constants.get(node.id) if isinstance(node, ast.Name) else getattr(node, "value", None)


def _table(content: Any, name: str) -> Mapping[str, Any]:
    """Return a table of TOML; an empty one where there is none, or something else."""
    table = content.get(name) if isinstance(content, Mapping) else None
    return table if isinstance(table, Mapping) else {}


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def plain_name(name: str) -> str:
    """Return a name if it is one: a setup.cfg may say ``attr: ...``."""
    return name.strip() if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name.strip()) else ""

"""What the shell completes: names of the catalogue, methods, populations, kinds of figure.

Methods and populations load NumPy and all engines, which takes seconds; a TAB shouldn't. Their names are kept in the
user's cache, under a mark of the code they come from, and made anew when that has changed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from importlib import util
from pathlib import Path

from nestbench.sim.files import cache_folder

Offer = tuple[str, str]
"""A word, and what a shell that can shows beside it."""

ENGINES = ("auto", "reference", "batched")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_PATH = re.compile(r"[\w./\\:~+@-]+")
"""What is offered, a shell is going to type: nothing that it could take for more than a name."""


def experiments(incomplete: str) -> list[Offer]:
    """Complete a name of the catalogue, with its title; files are the shell's own."""
    import tomllib

    from nestbench.experiments import catalog

    names = [name for name in catalog.names() if name.startswith(incomplete)]
    tables = (tomllib.loads(catalog.path_of(name).read_text(encoding="utf-8")) for name in names)
    titled = [
        (name, str(table["experiment"].get("title", ""))) for name, table in zip(names, tables, strict=True)
    ]
    return titled + [(path, "") for path in _tables_in(incomplete)]


def method(incomplete: str) -> list[Offer]:
    """Complete the name of a method."""
    return _starting(incomplete, kept_names()["methods"])


def methods(incomplete: str) -> list[Offer]:
    """Complete the last of several methods with commas."""
    before, comma, last = incomplete.rpartition(",")
    return [(before + comma + name, label) for name, label in method(last)]


def law(incomplete: str) -> list[Offer]:
    """Complete the name of a population."""
    return _starting(incomplete, kept_names()["laws"])


def kind_of_figure(incomplete: str) -> list[Offer]:
    """Complete a kind of figure."""
    from nestbench.reports.figures.kinds import KINDS

    return _starting(incomplete, ((name, kind.says) for name, kind in KINDS.items()))


def engine(incomplete: str) -> list[Offer]:
    """Complete an engine."""
    return _starting(incomplete, ((name, "") for name in ENGINES))


def listed(incomplete: str) -> list[Offer]:
    """Complete what `nestbench list` lists: a kind, or one of their names."""
    kinds = _starting(incomplete, ((kind, "") for kind in ("experiments", "methods", "populations")))
    return [*kinds, *_starting(incomplete, experiments(incomplete)), *method(incomplete), *law(incomplete)]


def kept_names() -> dict[str, list[Offer]]:
    """Return the names of methods and populations from the user's cache, or load and keep them."""
    file, mark = _cache(), _mark()
    # A cache that can't be read is none: completion must never fail.
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept["mark"] == mark:
            return {kind: _pairs(kept[kind]) for kind in ("methods", "laws")}
    names = _loaded_names()
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        # Needn't be written whole or not at all: half a file is no JSON, and made anew.
        file.write_text(json.dumps({"mark": mark, **names}), encoding="utf-8")
    return names


def _loaded_names() -> dict[str, list[Offer]]:
    """Load all methods and populations, which takes seconds, and return their names."""
    from nestbench.estimators.methods import registry
    from nestbench.sim.laws.registry import known_laws

    methods = [(name, estimator.info.label) for name, estimator in registry.known().items()]
    return {"methods": methods, "laws": [(name, "") for name in known_laws()]}


def _starting(incomplete: str, offers: Iterable[Offer]) -> list[Offer]:
    """Return the offers that begin with what was typed."""
    return [(name, said) for name, said in offers if name.startswith(incomplete)]


def _pairs(kept: list[list[str]]) -> list[Offer]:
    """Return kept names, without what no name may look like."""
    # The file may have been changed by others, and a shell types what it says.
    return [(name, " ".join(said.split())) for name, said in kept if _NAME.fullmatch(name)]


def _tables_in(incomplete: str) -> Iterator[str]:
    """Yield the TOML files and run directories that a path may become."""
    folder = Path(os.path.dirname(incomplete))
    with contextlib.suppress(OSError):
        for path in sorted(folder.iterdir()):
            fits = str(path).startswith(incomplete) and _PATH.fullmatch(str(path))
            if fits and (path.suffix == ".toml" or path.is_dir()):
                yield str(path)


def _cache() -> Path:
    """Return where names are kept."""
    return cache_folder() / "names.json"


def _mark() -> list[object]:
    """What the names depend on: the version, the code of methods and populations, and what other packages offer."""
    from importlib import metadata  # which loads more than most commands

    specs = (util.find_spec(f"nestbench.{room}") for room in ("estimators", "sim"))
    folders = [Path(place) for spec in specs if spec for place in spec.submodule_search_locations or ()]
    # A checkout changes without its version.
    newest = max((file.stat().st_mtime_ns for folder in folders for file in folder.rglob("*.py")), default=0)
    groups = ("nestbench.estimators", "nestbench.populations")
    offered = sorted(
        f"{point.name}={point.value}" for group in groups for point in metadata.entry_points(group=group)
    )
    return [metadata.version("nestbench"), newest, offered]

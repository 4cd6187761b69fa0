"""Own methods and populations from outside the package: decorators and plugin files (entry points: `sim.entry_points`).

A plugin file is an ordinary Python file named in the TOML's ``plugins``. It is loaded under a module name made of its
content's hash, in the main process and in every worker, so functions in it travel between processes by name and an
edited file is another module.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from nestbench.estimators.estimator import Estimator, Info
from nestbench.estimators.methods import registry
from nestbench.experiments.experiment import Plugin, content_of
from nestbench.experiments.files import write_atomically
from nestbench.experiments.frame_engine import Method, own_method
from nestbench.sim.errors import InvalidInput, StoreError
from nestbench.sim.files import own_folder
from nestbench.sim.laws.registry import add_law
from nestbench.sim.user_code import user_code

NAME = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}"
"""What a method may be called: names stand in files, tables, pages and on command lines."""

M = TypeVar("M", bound=Method)
L = TypeVar("L", bound=type)

_REGISTERED: dict[str, list[Estimator | type]] = {}
"""Module name -> what its decorators made, to be added again when an older content of a file is loaded again."""


def estimator(
    name: str,
    *,
    version: int = 1,
    label: str = "",
    summary: str = "",
    assumes: str = "",
    df: str = "",
    source: str = "",
) -> Callable[[M], M]:
    """Return a decorator that makes a method of a function ``(frame, model) -> table of terms``.

    The function gets one data set as a DataFrame and the `Model`, and, if it has a parameter ``rng``, the replication's
    own generator of random numbers; it returns a DataFrame (terms as index, or in a
    column ``term``) or a mapping of term to mapping, with ``estimate`` and ``std_error`` and, if it has them, ``df``,
    ``p_value``, ``lower``, ``upper`` (made from ``df`` otherwise; normal without it). A number instead of a table is an
    estimate alone. A p-value made here is that of the test of `model.null`; one that is returned is taken as it is, so
    a function with tests of its own reads `model.null_of(term)`. Exceptions become fits with status FAILED, warnings
    become messages. The function is returned unchanged.
    """

    if re.fullmatch(NAME, name) is None:
        raise InvalidInput(
            f"expected a method's name of letters, digits, '.', '_', '+' and '-', got {name!r}; choose another"
        )

    def register(function: M) -> M:
        text = summary or (function.__doc__ or "").strip().split("\n")[0] or name
        info = Info(label or name, text, assumes or "not stated", df or "as returned", source or "user")
        method = own_method(name, version, info, function)
        registry.add(method)
        _REGISTERED.setdefault(getattr(function, "__module__", ""), []).append(method)
        return function

    return register


def population(law: L) -> L:
    """Class decorator that adds a population, see `nestbench.sim.laws.registry.add_law`."""
    add_law(law)
    _REGISTERED.setdefault(law.__module__, []).append(law)
    return law


def load_file(file: Path) -> list[str]:
    """Load a file with methods of one's own; return their names.

    Raises
    ------
    InvalidInput
        There is no such file, it can't be run, or it has no method.
    """
    if not file.is_file():
        raise InvalidInput(f"expected a Python file with methods, got no such file: {file}")
    before = dict(registry.known())
    load_plugin(Plugin.at(file.resolve()))
    names = [name for name, method in registry.known().items() if before.get(name) is not method]
    if not names:
        raise InvalidInput(
            f"expected a method in {file}, got none; put @nestbench.estimator('my-method') above a function "
            "(frame, model) -> table of terms"
        )
    return names


def load_plugin(plugin: Plugin) -> None:
    """Run a plugin file once in this process; its decorators register what it defines.

    Raises
    ------
    InvalidInput
        The file changed since the experiment was read, or running it failed.
    """
    name = f"nestbench_plugin_{plugin.sha256[:16]}"
    if name in sys.modules:
        for registered in _REGISTERED.get(name, []):
            registry.add(registered) if isinstance(registered, Estimator) else add_law(registered)
        return
    content = content_of(plugin.path)
    if hashlib.sha256(content).hexdigest() != plugin.sha256:
        raise InvalidInput(
            f"the plugin file {Path(plugin.path).name} changed during the run; start the run again"
        )
    spec = importlib.util.spec_from_file_location(name, plugin.path)
    if spec is None or spec.loader is None:
        raise InvalidInput(f"expected a Python file (.py) as plugin, got {plugin.path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with user_code():
            # What was hashed, not what Python finds: compiled files beside a stranger's plugin may hold anything.
            exec(compile(content, _place(plugin, content), "exec", dont_inherit=True), module.__dict__)
    except InvalidInput:
        del sys.modules[name]
        raise
    except Exception as error:
        del sys.modules[name]
        raise InvalidInput(
            f"the plugin file {Path(plugin.path).name} can't be run: {type(error).__name__}: {error}"
        ) from error


def _place(plugin: Plugin, content: bytes) -> str:
    """Return where Python and numba take a plugin's code to be: a copy that nobody but this user can write beside.

    numba keeps what it compiled (``njit(cache=True)``) in pickles beside the code, and runs what it finds there: in a
    stranger's run directory that may be anything.
    """
    try:
        folder = own_folder() / f"plugin-{plugin.sha256[:32]}"
        folder.mkdir(mode=0o700, exist_ok=True)
        file = folder / Path(plugin.path).name
        if not file.is_file() or file.read_bytes() != content:
            write_atomically(file, content)
    except (OSError, StoreError):
        return f"<{Path(plugin.path).name}>"  # no place: cached compilation is refused by numba
    return str(file)

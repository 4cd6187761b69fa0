"""Shared by all tests: fixes hypothesis's examples, and makes `tests.*` importable.

`tests.*` is imported without putting the root's `sim`, `reports`, ... on the path; `--hypothesis-profile explore` draws
new examples.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile("fixed")

ROOT = Path(__file__).parent

# A collection walks all that a worker ever loaded, a gigabyte in the end: an eighth of the time, at Python's threshold.
gc.set_threshold(100_000, 20, 50)

if "tests" not in sys.modules or not hasattr(sys.modules["tests"], "__path__"):
    _spec = importlib.util.spec_from_file_location(
        "tests", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    assert _spec is not None
    assert _spec.loader is not None
    _package = importlib.util.module_from_spec(_spec)
    sys.modules["tests"] = _package
    _spec.loader.exec_module(_package)

from tests.browsing import browser as browser  # noqa: E402  # the fixture; `tests` can be imported only now

ABSENT = {
    "linux": [] if sys.platform.startswith("linux") else [pytest.mark.skip(reason="needs Linux")],
    "posix": [] if os.name == "posix" else [pytest.mark.skip(reason="needs forks, signals or links")],
}
"""Marks of tests that other systems have to leave out."""


REGISTRIES = ("nestbench.estimators.methods.registry", "nestbench.sim.laws.registry")


@pytest.fixture(autouse=True, scope="module")
def _registries_as_before() -> Iterator[None]:
    """Forget the methods and laws that a module's tests added: one of them kills the process that fits it."""
    added = {name: dict(sys.modules[name]._ADDED) for name in REGISTRIES if name in sys.modules}
    yield
    for name in REGISTRIES:
        if name in sys.modules:
            sys.modules[name]._ADDED.clear()
            sys.modules[name]._ADDED.update(added.get(name, {}))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile the kernels of the whole suite before its workers begin, which would each compile the same."""
    config = session.config
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    distributing = getattr(config.option, "tx", None) and not hasattr(config, "workerinput")
    if whole and distributing and not config.option.collectonly:
        subprocess.run([sys.executable, ROOT / "compiling.py"], check=False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(ROOT / "attacks"):  # processes killed, disks filled, rights taken
            item.add_marker("linux")
        for name in filter(item.get_closest_marker, ABSENT):
            for skip in ABSENT[name]:
                item.add_marker(skip)

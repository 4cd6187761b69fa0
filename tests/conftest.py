"""Shared by all tests: makes `tests.*` importable without putting the root's `sim`, `reports`, ... on the path."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).parent

if "tests" not in sys.modules or not hasattr(sys.modules["tests"], "__path__"):
    _spec = importlib.util.spec_from_file_location(
        "tests", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    assert _spec is not None
    assert _spec.loader is not None
    _package = importlib.util.module_from_spec(_spec)
    sys.modules["tests"] = _package
    _spec.loader.exec_module(_package)

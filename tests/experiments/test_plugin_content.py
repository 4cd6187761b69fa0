"""What of a plugin file is run: what was hashed, as one reads it, and nothing that lies beside it."""

from __future__ import annotations

import importlib.util
import marshal
import os
import struct
import sys
from pathlib import Path

import pytest

from nestbench.estimators.methods import registry
from nestbench.experiments.experiment import Plugin, content_of
from nestbench.experiments.plugins import load_plugin
from nestbench.sim.errors import InvalidInput

METHOD = '''
import nestbench

@nestbench.estimator("as-hashed")
def mean(frame, model):
    """A mean."""
    return {"Intercept": {"estimate": frame["grade"].mean(), "std_error": 1.0}}
'''


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plugin:
    (tmp_path / "own.py").write_text(METHOD, encoding="utf-8")
    made = Plugin.at(tmp_path / "own.py")
    monkeypatch.setattr(registry, "_ADDED", {})
    monkeypatch.delitem(sys.modules, f"nestbench_plugin_{made.sha256[:16]}", raising=False)
    return made


def test_a_compiled_file_beside_it_is_not_run(plugin: Plugin, tmp_path: Path) -> None:
    """Python itself would run an unchecked compiled file, whatever the source holds."""
    mark = tmp_path / "ran"
    evil = compile(f"import pathlib; pathlib.Path({str(mark)!r}).touch()", "own.py", "exec")
    cached = Path(importlib.util.cache_from_source(plugin.path))
    cached.parent.mkdir()
    cached.write_bytes(
        importlib.util.MAGIC_NUMBER + struct.pack("<L", 0b01) + b"\0" * 8 + marshal.dumps(evil)
    )
    load_plugin(plugin)
    assert "as-hashed" in registry.known()
    assert not mark.exists()


@pytest.mark.posix
@pytest.mark.parametrize("kind", ["absent", "a pipe", "a folder", "a link to itself"])
def test_a_file_that_cannot_be_read_is_said(plugin: Plugin, kind: str) -> None:
    file = Path(plugin.path)
    file.unlink()
    if kind == "a pipe":
        os.mkfifo(file)
    elif kind == "a folder":
        file.mkdir()
    elif kind == "a link to itself":
        file.symlink_to(file.name)
    for use in (lambda: content_of(file), lambda: Plugin.at(file), lambda: load_plugin(plugin)):
        with pytest.raises(InvalidInput, match="expected the plugin file"):
            use()

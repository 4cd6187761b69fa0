"""The study that is attacked, made once."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks.study import Study, forget, make


@pytest.fixture(scope="session")
def study() -> Iterator[Study]:
    """A study to be copied and harmed, in a folder that others may enter, too; its user named its plugin."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        Path(folder).chmod(0o755)
        patch.setenv("XDG_STATE_HOME", str(Path(folder) / "state"))
        forget(patch, names=True)
        made = make(Path(folder) / "studies" / "whole")
        shutil.copytree(made.run, made.folder / "whole")
        (made.folder / "out").mkdir()
        yield made


@pytest.fixture
def named(study: Study, monkeypatch: pytest.MonkeyPatch) -> Study:
    """The study of this user's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(study.folder.parent.parent / "state"))
    forget(monkeypatch, names=True)
    return study


@pytest.fixture
def foreign(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """The study of somebody else: this user never named its plugin."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    forget(monkeypatch, names=True)
    return study

"""Commands typed in this process: a new one would import for seconds."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nestbench.cli import main


class Cli:
    """Types commands in a folder of its own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self.folder, self.capsys, self.patch = folder, capsys, patch
        patch.chdir(folder)

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """Return exit code, stdout and stderr of a command."""
        self.patch.setattr(sys, "argv", ["nestbench", *arguments])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = self.capsys.readouterr()
        return code, said.out, said.err


TINY = """
[experiment]
name = "tiny"
seed = 4
replications = 12
audit = 0
estimators = ["ols-hc1"]
[layout]
schools = 4
students = 5
[model]
formula = "grade ~ age"
"""
"""A study that runs in no time, for what is done with a baseline."""


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(tmp_path, capsys, monkeypatch)

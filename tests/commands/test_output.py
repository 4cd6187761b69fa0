"""What commands print to people goes through `say`, which shows control characters in place of obeying them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from nestbench.commands.output import say

COMMANDS = Path(__file__).parents[2] / "src/nestbench/commands"

EXACT = {"to_json", "to_csv", "json_of", "schema_text"}
"""What makes text that programs read: written as it is."""


def test_only_text_for_programs_is_echoed_as_it_is() -> None:
    raw = []
    for path in sorted(COMMANDS.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "typer.echo":
                made_by = ast.unparse(node.args[0].func) if isinstance(node.args[0], ast.Call) else ""
                raw.append((path.name, made_by.split(".")[-1]))
    assert {name for name, made_by in raw if made_by not in EXACT} == {"output.py"}
    assert [name for name, _ in raw].count("output.py") == 1


@pytest.mark.parametrize("text", ["in \u202e: 8 of 8", "wrote \x1b[2Jall.csv", "a\tb\nc"])
def test_no_name_moves_the_cursor_or_turns_the_line(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    say(text)
    said = capsys.readouterr().out
    assert said == text.replace("\u202e", "\\u202e").replace("\x1b", "\\x1b") + "\n"


def test_python_m_imports_nothing_from_the_folder_it_is_typed_in(tmp_path: Path) -> None:
    """As `nestbench` doesn't: a package's source tree, not built there, would hide the installed one."""
    (tmp_path / "numpy.py").write_text("raise ImportError('not built')\n")
    done = subprocess.run(
        [sys.executable, "-m", "nestbench", "list"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "random-intercept" in done.stdout

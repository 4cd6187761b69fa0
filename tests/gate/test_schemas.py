"""GitHub's own schemas of actions and workflows hold for ours and for what `ci init` writes; a parser of YAML reads of
`action.yml` what the interpreter of these tests does.

check-jsonschema brings both schemas with it and a parser: `pip install check-jsonschema`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nestbench.gate.files import WORKFLOW, methods_of, usual_action, workflow_text
from nestbench.gate.repository import look
from nestbench.gate.starting import texts_of
from tests.gate.action_steps import inputs, steps

ROOT = Path(__file__).parents[2]
ACTION = ROOT / "action.yml"
REASON = "install check-jsonschema, which has GitHub's schemas"


def complaints(schema: str, *files: Path) -> str:
    """Return what the validator has to say of some files; nothing where they are right."""
    pytest.importorskip("check_jsonschema", reason=REASON)
    words = ["--builtin-schema", f"vendor.github-{schema}", *map(str, files)]
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", *words], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr if done.returncode else ""


@pytest.mark.slow
def test_the_action_is_one() -> None:
    assert not complaints("actions", ACTION)


@pytest.mark.slow
def test_our_workflows_are_some() -> None:
    assert not complaints("workflows", *sorted((ROOT / ".github/workflows").glob("*.yml")))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "python"), [("statsmodels", ">=3.11"), ("mine", ">=3.13")])
def test_what_is_written_is_a_workflow(tmp_path: Path, name: str, python: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f'[project]\nname = "{name}"\nrequires-python = "{python}"\n')
    found = look(tmp_path)
    (tmp_path / "gate.yml").write_text(
        texts_of(found, usual_action(), methods_of(found), 200)[WORKFLOW], encoding="utf-8"
    )
    assert not complaints("workflows", tmp_path / "gate.yml")
    wrong = workflow_text(found, "me/it@v1").replace("runs-on", "runs_on")
    (tmp_path / "wrong.yml").write_text(wrong, encoding="utf-8")
    assert "wrong.yml" in complaints("workflows", tmp_path / "wrong.yml")


def test_the_interpreter_reads_what_a_parser_reads() -> None:
    yaml = pytest.importorskip("ruamel.yaml", reason=REASON)
    read: dict[str, Any] = yaml.YAML(typ="safe").load(ACTION)
    assert {name: str(one["default"]) for name, one in read["inputs"].items()} == inputs(ACTION)
    ours, theirs = steps(ACTION), read["runs"]["steps"]
    assert [one.run.strip() for one in ours] == [_without_comments(one.get("run", "")) for one in theirs]
    assert [one.env for one in ours] == [one.get("env", {}) for one in theirs]
    for name in ("if", "id", "uses", "name", "shell"):
        assert [one.keys.get(name) for one in ours] == [one.get(name) for one in theirs]


def _without_comments(script: str) -> str:
    return "\n".join(line for line in script.splitlines() if not line.startswith("#"))

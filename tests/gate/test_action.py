"""`action.yml`: its words are ours, its steps are done here, by a package that is right and by one that isn't."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from nestbench.cli import app
from nestbench.gate.files import BASELINE, STUDY
from tests.gate.action_steps import Context, Step, inputs, perform, steps
from tests.gate.conftest import Hub

ACTION = Path(__file__).parents[2] / "action.yml"
GROUP = get_command(app)


def test_inputs_name_what_ci_init_writes() -> None:
    given = inputs(ACTION)
    assert (given["study"], given["baseline"]) == (STUDY.as_posix(), BASELINE.as_posix())
    assert {f"inputs.{name}" for name in given} >= {*re.findall(r"inputs\.[\w-]+", ACTION.read_text())}


def test_every_word_given_to_nestbench_is_one_of_its() -> None:
    """Commands and options; that they do what is meant, the slow tests say."""
    script = "\n".join(step.run for step in steps(ACTION))
    commands = {*re.findall(r"\bnestbench (ci comment|[a-z]+) ", script)}
    assert commands == {"check", "report", "baseline", "ci comment"}
    known = {
        option
        for name in ("check", "report", "baseline", "ci")
        for parameter in GROUP.commands[name].params  # type: ignore[attr-defined]
        for option in parameter.opts
    }
    options = {*re.findall(r"(?<![\w$-])(--[a-z]+(?:-[a-z]+)*)", script)}
    assert options <= known
    assert options >= {"--baseline", "--comment", "--badge", "--budget", "--fail-on"}


def test_no_expression_stands_in_a_script() -> None:
    """A branch or a title could be code there: values come by environment variables."""
    assert not [step for step in steps(ACTION) if "${{" in step.run]


METHODS = """
import nestbench
import numpy as np

@nestbench.estimator("mine")
def fit(frame, model):
    x, y = np.column_stack([np.ones(len(frame)), frame["age"]]), frame["grade"].to_numpy()
    beta, rest, *_ = np.linalg.lstsq(x, y, rcond=None)
    error = np.sqrt(np.diag(np.linalg.inv(x.T @ x)) * rest[0] / (len(y) - 2)) * FACTOR
    return {name: {"estimate": b, "std_error": s, "df": len(y) - 2}
            for name, b, s in zip(("Intercept", "age"), beta, error)}
"""
STUDY_TEXT = """
model = { formula = "grade ~ age" }
layout = { schools = 6, students = 8 }
[experiment]
name = "mine"
replications = 30
engine = "reference"
plugins = ["methods.py"]
estimators = ["mine"]
"""


class Gate:
    """A repository with a gate, and a runner for it."""

    def __init__(self, folder: Path, hub: Hub) -> None:
        self.folder, self.hub = folder, hub
        (folder / STUDY).parent.mkdir(parents=True)
        (folder / STUDY).write_text(STUDY_TEXT)
        self.method(1.0)
        (folder / "event.json").write_text('{"pull_request": {"number": 7}}')
        self.command("run", str(STUDY), "-o", "first", "--quiet", "--workers", "1")
        self.command("baseline", "first", "-o", str(BASELINE))

    def method(self, factor: float) -> None:
        text = METHODS.replace("FACTOR", str(factor))
        (self.folder / STUDY).with_name("methods.py").write_text(text)

    def command(self, *words: str) -> None:
        context = self.context("push")
        line = shlex.join(["nestbench", *words])
        assert perform(Step({}, {}, line), context) == 0, context.log

    def context(self, event: str) -> Context:
        """As GitHub has it; packages are not installed again: pip is a word that is believed."""
        bin_folder = Path(sys.executable).parent
        values = {f"inputs.{name}": value for name, value in inputs(ACTION).items()}
        values |= {
            "github.event_name": event,
            "github.action_path": str(ACTION.parent),
            "runner.temp": str(self.folder / "temp"),
            "steps.check.outputs.failed": "",
            "inputs.token": "secret",
            "inputs.install": 'python -c "print(1)" && touch installed',
            "inputs.budget": "0.1s",
            "inputs.options": "--workers 1",
        }
        environment = {
            "PATH": f"{self.folder / 'bin'}:{bin_folder}:/usr/bin:/bin",
            "RUNNER_TEMP": values["runner.temp"],
            "GITHUB_REPOSITORY": "me/mine",
            "GITHUB_EVENT_PATH": str(self.folder / "event.json"),
            "GITHUB_API_URL": self.hub.address,
        }
        return Context(values, self.folder, environment)

    def run(self, event: str) -> tuple[list[int], Context]:
        """Do all steps but the first, which installs Python."""
        (self.folder / "bin").mkdir(exist_ok=True)
        python = self.folder / "bin/python"
        python.write_text('#!/bin/sh\necho "python $*"\n')
        python.chmod(0o755)
        context = self.context(event)
        codes = []
        for step in steps(ACTION)[1:]:
            if codes and codes[-1]:
                break
            codes.append(perform(step, context))
        return codes, context


@pytest.fixture
def gate(tmp_path: Path, hub: Hub) -> Gate:
    return Gate(tmp_path, hub)


@pytest.mark.slow
@pytest.mark.posix
def test_a_pull_request_that_changes_nothing_passes_and_one_that_does_is_red(gate: Gate) -> None:
    codes, context = gate.run("pull_request")
    assert codes[-1] == 0, context.log
    assert (gate.folder / "installed").exists()
    assert f"python -m pip install {ACTION.parent}" in context.log[0]
    made = gate.folder / "temp/nestbench"
    names = {"report.html", "comment.md", "badge.svg", "badge.json", "accuracy.json"}
    assert names <= {one.name for one in made.iterdir()}
    assert (gate.folder / "summary.md").read_text() == (made / "comment.md").read_text()
    assert [one["body"] for one in gate.hub.comments] == [(made / "comment.md").read_text()]
    assert "uses actions/upload-artifact@v4" in context.log

    gate.method(1.05)
    shutil.rmtree(made)  # a runner is used once
    codes, context = gate.run("pull_request")
    assert codes[-1] == 1
    assert codes[:-1] == [0] * (len(codes) - 1), "report, upload and comment come before the red"
    (comment,) = [one["body"] for one in gate.hub.comments]
    assert "| **changed** | condition 0 | mine | age | model_se | " in comment
    assert json.loads((made / "badge.json").read_text())["color"] == "red"
    for line in comment.split("```sh\n")[1].split("```")[0].splitlines()[:2]:
        assert perform(Step({}, {}, f"{line} || test $? -eq 1"), context) == 0, context.log[-1]
    assert "stored row: identical" in context.log[-1], "the lines can be typed elsewhere"


@pytest.mark.slow
@pytest.mark.posix
def test_a_week_goes_on_with_the_week_before(gate: Gate) -> None:
    for pooled in ("one look a call", "pooled with"):
        codes, context = gate.run("schedule")
        assert codes[-1] == 0, context.log
        assert "uses actions/cache@v4" in context.log
        assert pooled in "".join(context.log)
    assert not gate.hub.comments


@pytest.mark.slow
@pytest.mark.posix
def test_a_gate_without_a_baseline_says_so_and_fails(gate: Gate) -> None:
    (gate.folder / BASELINE).unlink()
    codes, context = gate.run("push")
    assert codes[-1] == 2
    assert "expected a baseline file, got .github/nestbench/accuracy.json" in context.log[-1]

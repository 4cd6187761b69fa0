"""Help texts say what their source says, nothing in brackets is eaten as markup, and their examples run."""

from __future__ import annotations

import inspect
import re
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from nestbench.cli import FIRST_STEPS, app

GROUP = get_command(app)
COMMANDS = sorted(GROUP.commands)  # type: ignore[attr-defined]
EXAMPLES: dict[str, tuple[str, ...]] = {
    command.name: sys.modules[command.callback.__module__].EXAMPLES for command in app.registered_commands
}  # type: ignore[misc]


@pytest.mark.parametrize("name", COMMANDS)
def test_brackets_of_help_texts_are_shown(name: str) -> None:
    command = GROUP.commands[name]  # type: ignore[attr-defined]
    written = [command.help or "", *(getattr(p, "help", None) or "" for p in command.params)]
    shown = " ".join(
        re.sub(
            r"[│╭╮╰╯─]", " ", CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "120"}).output
        ).split()
    )
    for text in written:
        for bracketed in re.findall(r"\S*\[[^\]\s]+\]\S*", inspect.cleandoc(text).replace("\\[", "[")):
            assert bracketed in shown, bracketed
    assert name in shown


def test_the_extra_of_query_can_be_read() -> None:
    assert "nestbench[query]" in CliRunner().invoke(app, ["query", "--help"], env={"COLUMNS": "120"}).output


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_ends_with_examples_that_can_be_copied(name: str, columns: int) -> None:
    """Whole, on a line each."""
    shown = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": str(columns)}).output
    lines = [line.strip() for line in shown[shown.index("Examples:") :].splitlines() if line.strip()]
    assert lines[1:] == list(EXAMPLES[name])
    assert all(len(line) <= columns for line in shown.splitlines())


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_no_option_or_word_of_a_help_is_cut(name: str, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of its own would take seconds: the frames' width is read when typer is loaded, so it's set here."""
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", columns)
    words = [*filter(None, [name]), "--help"]
    shown = CliRunner().invoke(app, words, env={"COLUMNS": str(columns)}).output
    lines = re.sub(r"[│╭╮╰╯─]", " ", shown)
    command = GROUP.commands[name] if name else GROUP  # type: ignore[attr-defined]
    assert "…" not in lines
    options = [one for p in command.params if p.param_type_name == "option" for one in p.opts]
    assert {*options} <= {*re.split(r"[\s,]+", lines)}
    if not name:
        for other in COMMANDS:
            told = GROUP.commands[other].help.split("\n\n")[0].replace("\\[", "[")  # type: ignore[attr-defined]
            assert " ".join(told.split()) in " ".join(lines.split())


@pytest.mark.parametrize("columns", [60, 80])
def test_the_first_help_ends_with_first_steps(columns: int) -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": str(columns)}).output
    lines = [line.strip() for line in shown[shown.index("Examples:") :].splitlines() if line.strip()]
    assert lines[1:] == list(FIRST_STEPS)
    assert {shlex.split(line)[1] for line in lines[1:]} <= set(COMMANDS)


@pytest.mark.parametrize("example", [one for each in EXAMPLES.values() for one in each])
def test_every_example_is_a_command(example: str) -> None:
    """Its options exist and its values are of their types; names are those there are."""
    program, name, *words = shlex.split(example.split(" > ")[0])
    assert program == "nestbench"
    GROUP.commands[name].make_context(name, words)  # type: ignore[attr-defined]


METHODS = """
import nestbench
import numpy as np

@nestbench.estimator("mean")
def mean(frame, model):
    y, n = frame[model.formula.split("~")[0].strip()], len(frame)
    return {"Intercept": {"estimate": y.mean(), "std_error": y.std(ddof=1) / np.sqrt(n), "df": n - 1}}
"""
TRIAL = """
[experiment]
name = "trial"
replications = 1000
estimators = ["ols-cr1s-t"]

[population]
law = "random-intercept"
icc = 0.1
effects = { treated = 0.5 }

[layout]
schools = 20
students = 10
treated_schools = 10

[model]
formula = "grade ~ treated"
"""
LEAGUE = '{"format": "nestbench league 1", "standings": []}'


def tables() -> dict[str, pd.DataFrame]:
    """Results of other studies, as the examples of `read` name them."""
    rng = np.random.default_rng(1)
    rows = [(method, r) for method in ("ols", "gee") for r in range(20)]
    frame = pd.DataFrame(rows, columns=["method", "rep"])
    frame = frame.assign(n=10, estimate=rng.normal(0.5, 0.1, 40), se=rng.uniform(0.08, 0.12, 40))
    wide = pd.DataFrame({"rep": range(20), "ols": rng.normal(size=20), "gee": rng.normal(size=20)})
    twice = pd.concat([frame.assign(baseline=1), frame.assign(baseline=2, n=20)], ignore_index=True)
    others = frame.rename(columns={"estimate": "b", "se": "se.b"})
    return {"results.csv": frame, "others.csv": others, "wide.csv": wide, "results.parquet": twice}


SHORT = {
    "run": ["--replications", "4", "--estimators", "ols,ols-cr1s-t"],
    "check": ["--replications", "4"],
    "time": ["--rounds", "1"],
    "advise": ["--replications", "100", "--methods", "reml-kr"],
    "league": ["--data-sets", "1", "-c", "balanced"],
    "size": ["--methods", "means,ols"],
    "test": ["--replications", "20", "--skip", "coverage", "--skip", "size"],
}
"""Options that are added to an example's, so that a test has time for it."""
FIRST = ("simulate", "new", "run", "baseline")
MAY_FAIL = {"check", "test"}
"""Commands whose exit code 1 is an answer."""


@pytest.mark.slow
def test_every_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after another in one folder, with few replications."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_methods.py").write_text(METHODS)
    (tmp_path / "trial.toml").write_text(TRIAL)
    (tmp_path / "new.json").write_text(LEAGUE)
    for file, table in tables().items():
        table.to_parquet(file) if file.endswith("parquet") else table.to_csv(file, index=False)
    for extra in (
        ["-o", "runs/before"],
        ["-o", "runs/after"],
        *(["--shard", f"{i}/2", "-o", f"parts/{i}"] for i in (1, 2)),
    ):
        done = CliRunner().invoke(app, ["run", "few-schools", *SHORT["run"], *extra])
        assert done.exit_code == 0, done.output
    for name in sorted(EXAMPLES, key=lambda name: (FIRST.index(name) if name in FIRST else 9, name)):
        for example in EXAMPLES[name]:
            command, _, file = example.partition(" > ")
            words = shlex.split(command)[1:]
            # `bisect` asks an index for versions; its own tests have one.
            if name == "bisect" or (name == "query" and not find_spec("duckdb")):
                continue
            again = name == "run" and words[1:2] == ["runs/few-schools"]
            done = CliRunner().invoke(app, words + ([] if again else SHORT.get(name, [])))
            assert done.exit_code in ({0, 1} if name in MAY_FAIL else {0}), f"{example}\n{done.output}"
            assert not isinstance(done.exception, Exception) or name in MAY_FAIL, example
            if file:
                (tmp_path / file).write_text(done.stdout)

"""One of a thing is not several: what every command prints of a study of one condition, method and data set."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from nestbench.cli import app

THINGS = (
    "checks|columns|comparisons|conditions|data sets|draws|effects|fits|figures|files|methods|numbers|others|"
    "pairs|parts|places|problems|replications|rows|schools|estimands|students|studies|tasks|terms|tests|values|workers"
)
ONE = re.compile(
    rf"(?<![\w.,:=-])1 (?!by )(?:[a-z]+ )?(?:{THINGS})\b|\b1 [a-z ]*(?:{THINGS[:-1]})? (?:have|are|were|lie)\b"
)
STUDY = """
[experiment]
name = "one"
seed = 4
replications = 1
audit = 1
estimators = ["reml-z"]
[population]
effects = { Intercept = 50.0, age = 2.0 }
[layout]
schools = {schools}
students = 4
[model]
formula = "grade ~ age"
[factors]
"layout.treated_schools" = [1]
"""


def typed(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


def test_sentences_with_a_plural_of_one_are_seen() -> None:
    for wrong in (
        "1 conditions, 1 pairs",
        "of 1 finished tasks",
        "0 of 1 conditions have",
        "in 1 condition are",
        "(1 fits",
    ):
        assert ONE.search(wrong), wrong
    for right in (
        "1 condition of 4 students",
        "0.1 fits",
        "1 of 2 conditions",
        "condition 1: schools",
        "1 condition has",
        "n-1 rows",
    ):
        assert not ONE.search(right), right


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.toml").write_text(STUDY.replace("{schools}", "3"))
    commands = {
        "plan": ["plan", "one.toml", "--workers", "1"],
        "run": ["run", "one.toml", "--workers", "1", "-o", "run"],
        "part": ["run", "one.toml", "--workers", "1", "--shard", "1/2", "-o", "part"],
        "merge": ["merge", "part", "-o", "joined"],
        "merged": ["merge", "run", "-o", "whole"],
        "store": ["verify", "run", "--store"],
        "verify": ["verify", "run", "--replications", "1"],
        "baseline": ["baseline", "run", "-o", "accuracy.json"],
        "unfinished": ["baseline", "part", "-o", "part.json"],
        "check": ["check", "run", "-b", "accuracy.json"],
        "fresh": ["check", "one.toml", "-b", "accuracy.json", "--seed", "5", "--workers", "1"],
        "markdown": [
            "check",
            "one.toml",
            "-b",
            "accuracy.json",
            "--seed",
            "5",
            "--workers",
            "1",
            "--markdown",
        ],
        "compare": ["compare", "run", "run", "--all"],
        "report": ["report", "run", "--format", "html,md,latex,svg"],
        "part report": ["report", "part", "--format", "html,md,latex"],
        "time": ["time", "one.toml", "--schools", "3", "--students", "1", "--rounds", "1"],
        "replay": ["replay", "run", "--cell", "0", "--replication", "0"],
        "simulate": ["simulate", "one.toml", "--replication", "0"],
    }
    told = {name: typed(*arguments).output for name, arguments in commands.items()}
    pages = [
        path
        for folder in ("run", "part")
        for path in Path(folder).iterdir()
        if path.suffix in {".html", ".md", ".tex"}
    ]
    script = re.compile(r"<(script|style).*?</\1>|<[^>]*>", re.S)
    return told | {str(path): script.sub(" ", path.read_text(encoding="utf-8")) for path in pages}


@pytest.mark.slow
def test_one_of_a_thing_is_not_several(said: dict[str, str]) -> None:
    wrong = {name: found for name, text in said.items() if (found := [m[0] for m in ONE.finditer(text)])}
    assert not wrong
    assert "1 condition, 1 pair of condition and method" in said["baseline"]
    assert len([name for name in said if name.endswith((".html", ".md"))]) >= 3

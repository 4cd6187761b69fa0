"""`nestbench ci` and the forms of `nestbench check` that a workflow needs, as typed."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from nestbench.commands import check
from nestbench.experiments.running.resolving import resolve
from nestbench.reports.accuracy.baseline_file import read_baseline
from tests.commands.conftest import TINY, Cli


def with_baseline(cli: Cli) -> None:
    (cli.folder / "tiny.toml").write_text(TINY)
    assert cli("run", "tiny.toml", "-o", "run", "--quiet", "--workers", "1")[0] == 0
    assert cli("baseline", "run", "-o", "accuracy.json")[0] == 0


def test_a_dry_run_shows_all_files_and_writes_none(cli: Cli) -> None:
    (cli.folder / "pyproject.toml").write_text('[project]\nname = "pyfixest"\n')
    (cli.folder / "sim").mkdir()
    code, out, _ = cli("ci", "init", "--dry-run")
    assert code == 0
    assert out.startswith(
        "found: package pyfixest, imported as pyfixest (not found in this folder); no tests"
    )
    assert "note: sim/: yours" in out
    assert 'add_ways("pyfixest", "feols CRV1", "feols CRV3")' in out
    assert sorted(p.name for p in cli.folder.iterdir()) == ["pyproject.toml", "sim"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("init",), "expected a package's name in pyproject.toml, setup.cfg or setup.py of ., got none"),
        (("init", "nowhere"), "expected the folder of a repository, got nowhere"),
        (("init", "--package", "x", "--action", "y"), "expected an action as OWNER/REPOSITORY@VERSION"),
        (("comment", "none.md"), "expected a file written by nestbench check --comment, got none.md"),
        (("comment",), "expected a file written by nestbench check --comment, got ."),
    ],
)
def test_wrong_input_is_said(cli: Cli, words: tuple[str, ...], message: str) -> None:
    code, _, error = cli("ci", *words)
    assert code == 2
    assert message in error


def test_a_comment_outside_of_a_workflow_is_none(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_EVENT_PATH", raising=False)
    (cli.folder / "comment.md").write_text("text\n")
    assert cli("ci", "comment", "comment.md") == (0, "no comment: this run is for no pull request\n", "")


def test_a_check_writes_comment_and_badges_whose_lines_can_be_typed(cli: Cli) -> None:
    with_baseline(cli)
    forms = ("--comment", "c.md", "--badge", "b.svg", "--badge", "b.json")
    passed = cli("check", "tiny.toml", "-q", "--workers", "1", *forms)
    assert passed[0] == 0
    assert "as before" in (cli.folder / "c.md").read_text()
    assert json.loads((cli.folder / "b.json").read_text())["message"] == "as before"
    (cli.folder / "tiny.toml").write_text(TINY.replace("hc1", "hc3"))
    failed = cli("check", "tiny.toml", "-q", "--workers", "1", "--fail-on", "not-comparable", *forms)
    assert failed[0] == 2, "nothing in common is no outcome"
    wrong = cli("check", "tiny.toml", "--badge", "b.png")
    assert wrong[0] == 2
    assert "end in .svg or .json" in wrong[2]


def test_a_comments_first_line_is_the_same_check(cli: Cli) -> None:
    """Of other data with their seed and number, since nobody else would draw them; of more fits with their bound."""
    with_baseline(cli)
    before = read_baseline(cli.folder / "accuracy.json")
    plain = ["nestbench", "check", "my study.toml", "--baseline", "accuracy.json"]
    for changes, words in (
        ({}, []),
        ({"seed": 5, "replications": 9}, ["--seed", "5", "--replications", "9"]),
        ({"reference_replications": 7}, []),
        ({"reference_replications": 7, "estimators": ["mixedlm"]}, ["--bound", "7"]),
    ):
        drawn = resolve("tiny.toml", changes)
        line = check._again("my study.toml", Path("accuracy.json"), before, drawn)
        assert shlex.split(line) == [*plain, *words]
    assert check._again(None, Path("accuracy.json")) == "nestbench check --baseline accuracy.json"


def test_a_budget_is_spent_on_other_data_and_goes_on_next_time(cli: Cli) -> None:
    with_baseline(cli)
    for before in ("", "pooled with"):
        code, out, error = cli(
            "check", "tiny.toml", "-q", "--workers", "1", "--budget", "0.1s", "-o", "weekly"
        )
        assert code == 0, out
        assert before in error
        assert (
            "one look a call, each at a false-alarm rate of 0.0001: a year of weekly calls has at most 0.0052"
            in error
        )
        assert "seed 4 in the baseline" in out
    assert len([*(cli.folder / "weekly").iterdir()]) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("tiny.toml", "--budget", "soon"), "expected a time as 30m"),
        (("tiny.toml", "--budget", "1s", "--seed", "3"), "expected --budget or --seed, got both"),
        (("run", "--budget", "1s"), "is a run: --seed, --replications, --bound, --budget"),
    ],
)
def test_budgets_that_cannot_be_are_refused(cli: Cli, words: tuple[str, ...], message: str) -> None:
    with_baseline(cli)
    code, _, error = cli("check", *words)
    assert code == 2
    assert message in error

"""The commands around runs, as a user types them: output, files, exit codes, never a traceback."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from nestbench.experiments.storing.store import Store
from tests.commands.conftest import Cli

TOML = """
[experiment]
name = "small"
estimators = ["ols", "means"]
replications = 8
[population]
icc = 0.2
[layout]
schools = 4
students = 5
[model]
formula = "grade ~ age + resources"
[factors]
"layout.students" = [5, 8]
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    file = tmp_path / "small.toml"
    file.write_text(TOML)
    return file


def test_run_writes_report_and_tables_and_resumes(cli: Cli, small: Path) -> None:
    code, out, err = cli("run", "small.toml", "--workers", "1")
    assert code == 0, err
    folder = cli.folder / "runs" / "small"
    assert "report.html" in out
    assert "100 %, 32 of 32 fits" in err
    table = pd.read_csv(folder / "performance.csv")
    assert set(table["estimator"]) == {"ols", "means"}
    assert len(pd.read_parquet(folder / "performance.parquet")) == len(table)
    assert (folder / "report.html").read_text().lstrip().lower().startswith("<!doctype html>")
    before = (folder / "journal").read_bytes()
    code, _, err = cli("run", "small.toml", "--workers", "1")
    assert (code, (folder / "journal").read_bytes()) == (0, before)
    code, _, err = cli("run", "runs/small", "--workers", "1", "--replications", "10", "--quiet")
    assert (code, err) == (0, "")
    assert (folder / "journal").read_bytes().startswith(before)
    assert len((folder / "journal").read_bytes()) > len(before)


def test_new_then_run_with_other_methods(cli: Cli) -> None:
    code, out, _ = cli("new", "mine")
    assert code == 0
    assert "nestbench run mine.toml" in out
    text = (cli.folder / "mine.toml").read_text()
    (cli.folder / "mine.toml").write_text(
        text.replace("[6, 10, 30]", "[6]").replace("[0.0, 0.05, 0.2]", "[0.2]")
    )
    options = "--replications 2 --estimators ols,ols-cr1s-t --seed 3 -o here --workers 1"
    code, out, err = cli("run", "mine.toml", *options.split())
    assert code == 0, err
    assert set(pd.read_csv("here/performance.csv")["estimator"]) == {"ols", "ols-cr1s-t"}


def test_simulate_writes_one_data_set(cli: Cli, small: Path) -> None:
    code, out, _ = cli("simulate", "small.toml", "--cell", "1", "--replication", "3")
    assert code == 0
    assert out.splitlines()[0] == "grade,age,gender,resources,treated,school"
    assert len(out.splitlines()) == 1 + 4 * 8
    code, again, _ = cli("simulate", "small.toml", "--cell", "1", "--replication", "3", "--csv", "data.csv")
    assert (code, again) == (0, "")
    assert (cli.folder / "data.csv").read_text() == out
    code, options, _ = cli("simulate", "--schools", "3", "--students", "2", "--icc", "0.5")
    assert len(options.splitlines()) == 7


def test_replay_equals_the_stored_row(cli: Cli, small: Path) -> None:
    cli("run", "small.toml", "--workers", "1", "--quiet")
    code, out, _ = cli("replay", "runs/small", "--cell", "1", "--replication", "5", "--csv", "data.csv")
    assert code == 0
    assert out.count("stored row: identical") == 2
    assert len(pd.read_csv("data.csv")) == 4 * 8
    code, out, _ = cli("replay", "runs/small", "--cell", "1", "--replication", "5", "--estimator", "means")
    assert out.count("stored row") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "nowhere.toml"], "expected a TOML file or a catalogue name"),
        (["run", "broken.toml"], "expected a TOML file, got 'broken.toml'"),
        (["run", "small.toml", "--estimators", "olss"], "Did you mean 'ols'?"),
        (["run", "small.toml", "--estimators", ""], "at least one"),
        (["run", "small.toml", "--replications", "-1"], "greater than or equal to 1"),
        (["run", "small.toml", "--seed", "-1"], "experiment.seed"),
        (["run", "small.toml", "--engine", "fast"], "'auto', 'reference' or 'batched'"),
        (["run", "small.toml", "--workers", "0"], "workers >= 1"),
        (["run", "small.toml", "-o", "small.toml"], "small.toml"),
        (["run", "small.toml", "-o", "full"], "thesis.txt"),
        (["simulate", "--icc", "1.2"], "population.icc in [0, 1)"),
        (["simulate", "--schools", "1"], "layout.schools"),
        (["simulate", "--students", "-4"], "layout.students"),
        (["simulate", "small.toml", "--schools", "3"], "got both"),
        (["simulate", "small.toml", "--cell", "2"], "condition from 0 to 1"),
        (["simulate", "--csv", "nowhere/data.csv"], "nowhere"),
        (["replay", "full", "--cell", "0", "--replication", "0"], "expected a run directory"),
        (["new", "small"], "there already"),
        (["new", "a/b"], "expected a name"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(
    cli: Cli, small: Path, arguments: list[str], said: str
) -> None:
    (cli.folder / "broken.toml").write_text("[experiment")
    (cli.folder / "full").mkdir()
    (cli.folder / "full" / "thesis.txt").write_text("precious")
    code, _, err = cli(*arguments)
    assert code == 2, err
    assert said in err
    assert "Traceback" not in err
    assert small.read_text() == TOML
    assert (cli.folder / "full" / "thesis.txt").read_text() == "precious"


@pytest.mark.posix
@pytest.mark.skipif(getattr(os, "geteuid", int)() == 0, reason="root may write anywhere")
def test_a_directory_without_permission(cli: Cli, small: Path) -> None:
    (cli.folder / "locked").mkdir(mode=0o500)
    code, _, err = cli("run", "small.toml", "-o", "locked/run")
    assert code == 2
    assert "choose a folder you may write to" in err


def test_parts_are_planned_run_and_merged(cli: Cli, small: Path) -> None:
    code, out, err = cli("plan", "small.toml", "--replications", "40")
    assert code == 0, err
    assert "condition 1: layout.students = 8: " in out
    assert "2 conditions," in out
    code, script, _ = cli("plan", "small.toml", "--slurm", "--shards", "2")
    assert code == 0
    assert "#SBATCH --array=1-2\n" in script
    command = script.splitlines()[-1]
    for index in ("1", "2"):
        words = command.replace("$SLURM_ARRAY_TASK_ID", index).replace('"', "").split()
        assert words[0] == "nestbench"
        code, out, err = cli(*words[1:], "--quiet")
        assert (code, f"part {index} of 2" in out) == (0, True), err
    parts = [f"runs/small-parts/part-{index}" for index in ("1", "2")]
    code, out, err = cli("merge", parts[0], "-o", "half")
    assert "missing: part 2/2" in err
    assert "nestbench run half" in out
    code, out, err = cli("merge", *parts, "-o", "joined")
    assert (code, err) == (0, ""), err
    assert (cli.folder / "joined" / "report.html").exists()
    code, _, err = cli("merge", parts[0], parts[0], "-o", "twice")
    assert (code, "without overlap" in err) == (2, True)


def test_verify_finds_what_is_damaged(cli: Cli, small: Path) -> None:
    cli("run", "small.toml", "--workers", "1", "--quiet")
    code, out, _ = cli("verify", "runs/small", "--store")
    assert (code, "0 tasks damaged" in out) == (0, True)
    victim = next((cli.folder / "runs" / "small" / "fits").rglob("*.parquet"))
    victim.write_bytes(bytes(victim.stat().st_size))
    code, out, _ = cli("verify", "runs/small", "--store")
    assert code == 1
    assert "has other bytes than were stored" in out
    assert "nestbench run runs/small" in out
    assert cli("run", "runs/small", "--workers", "1", "--quiet")[0] == 0
    assert cli("verify", "runs/small", "--store")[0] == 0
    code, out, _ = cli("verify", "runs/small", "--replications", "3")
    assert (code, "0 disagree" in out) == (0, True), out


def test_methods_with_options_on_the_command_line(cli: Cli, small: Path) -> None:
    code, _, err = cli("run", "small.toml", "--estimators", "ols,means:weights=size", "-o", "run", "--quiet")
    assert (code, err) == (0, "")
    assert [e.label for e in Store.open(small.parent / "run").experiment.estimators] == [
        "ols",
        "means(weights=size)",
    ]
    code, _, err = cli("run", "run", "--estimators", "ols,ols")
    assert (code, "each method once, got 'ols' 2 times" in err) == (2, True)
    code, _, err = cli("run", "small.toml", "--estimators", "ols:draws=3")
    assert (code, "has no option 'draws'" in err) == (2, True)

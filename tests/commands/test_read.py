"""`nestbench read`, typed: what it says, where the run goes, and how it ends."""

from __future__ import annotations

from pathlib import Path

import nestbench
from tests.commands.conftest import Cli
from tests.own_results.studies import study


def test_a_table_becomes_a_run_with_its_report(cli: Cli, tmp_path: Path) -> None:
    study(12).rename(columns={"estimate": "theta_hat", "se": "se.theta"}).to_csv("my study.csv", index=False)
    options = ["--estimate", "theta_hat", "--se", "se.theta", "--truth", "0.5", "--factors", "n,errors"]
    code, out, err = cli("read", "my study.csv", *options)
    assert code == 0
    assert "4 conditions, 2 methods, 12 data sets a condition" in out
    assert "Taken as: estimate theta_hat, se se.theta, df df, method method, replication rep" in err
    run = nestbench.load("runs/my-study")
    assert run.finished
    assert (tmp_path / "runs" / "my-study" / "report.html").is_file()
    # The same once more is the same run; with another level it goes beside it.
    assert cli("read", "my study.csv", *options, "-q")[:2] == (0, "")
    assert cli("read", "my study.csv", *options, "--level", "0.9", "-q")[0] == 0
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_a_table_that_cannot_be_read_is_one_message(cli: Cli) -> None:
    code, out, err = cli("read", "nowhere.csv")
    assert (code, out) == (2, "")
    assert err.startswith("nestbench: expected a table in a file, could not read nowhere.csv")

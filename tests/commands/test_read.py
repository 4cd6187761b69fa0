"""`nestbench read`, typed: what it says, where the run goes, and how it ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

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


def written(kind: str) -> bytes:
    """Return the small study as people's programs write it."""
    frame = study(12)
    if kind == "byte order mark":
        return frame.to_csv(index=False).encode("utf-8-sig")
    if kind == "semicolons and decimal commas":
        return frame.to_csv(index=False, sep=";", decimal=",").encode("cp1252")
    if kind == "tabs, UTF-16":
        return frame.to_csv(index=False, sep="\t").encode("utf-16")
    if kind == "thousands":
        frame["estimate"] = [f"{1e6 * value:,.2f}" for value in frame["estimate"]]
        frame["se"] = [f"{1e6 * value:,.2f}" for value in frame["se"]]
        return frame.to_csv(index=False).encode()
    if kind == "duplicated":
        return pd.concat([frame, frame.iloc[:5]]).to_csv(index=False).encode()
    if kind == "missing replications":
        return frame.drop(index=[4, 40, 41]).to_csv(index=False).encode()
    if kind == "constant SE":
        return frame.assign(se=0.1).to_csv(index=False).encode()
    if kind == "only p-values":
        p = np.random.default_rng(1).uniform(size=len(frame))
        return frame.assign(p_value=p).drop(columns=["estimate", "se", "df"]).to_csv(index=False).encode()
    return frame.to_csv(index=False).encode()


SAID = {
    "byte order mark": ["estimate estimate, se se, df df"],
    "semicolons and decimal commas": ["'estimate' has decimal commas"],
    "tabs, UTF-16": ["estimate estimate, se se, df df"],
    "thousands": ["'estimate' has separators of thousands"],
    "duplicated": ["Duplicated: 5 rows repeated an earlier one, left out"],
    "missing replications": [
        "Missing: fits of replications that other methods have, counted as failed: 'plain' 1"
    ],
    "constant SE": ["Constant standard errors, the same in all replications: 'plain' (4 places)"],
    "unknown truth": [
        "No coverage or bias of estimate: its true value isn't in the table; give it with --truth"
    ],
    "only p-values": [
        "P-values alone, without estimates: how often tests reject",
        "taken as two-sided tests of 0",
    ],
}


@pytest.mark.parametrize("kind", SAID)
def test_a_table_as_people_have_it_is_read_and_said(cli: Cli, kind: str) -> None:
    Path("results.csv").write_bytes(written(kind))
    given = (
        []
        if kind in ("unknown truth", "only p-values")
        else ["--truth", "500000" if kind == "thousands" else "0.5"]
    )
    code, _, err = cli("read", "results.csv", "-o", "run", *given)
    assert code == 0, err
    for words in SAID[kind]:
        assert words in err, err
    fits = nestbench.load("run").store.estimates(0)["plain"]
    assert fits.size == 12
    wanted = study(12).query("n == 20 and errors == 'normal' and method == 'plain'")["estimate"].to_numpy()
    if kind not in ("missing replications", "only p-values"):
        unit = 1e6 if kind == "thousands" else 1.0
        np.testing.assert_allclose(fits.estimate[:, 0], unit * wanted, rtol=1e-6)
    assert Path("run/report.html").is_file()


def test_contradicting_rows_and_files_of_r_are_one_message_that_says_what_to_do(cli: Cli) -> None:
    frame = study(12)
    pd.concat([frame, frame.iloc[:3].assign(estimate=9.0)]).to_csv("twice.csv", index=False)
    code, _, err = cli("read", "twice.csv")
    assert (code, "got several with different numbers: 3 rows too many" in err) == (2, True)
    Path("results.rds").write_bytes(b"\x1f\x8b")
    code, _, err = cli("read", "results.rds")
    assert code == 2
    assert "in R: write.csv(readRDS('results.rds'), 'table.csv', row.names = FALSE)" in err


def test_other_null_values_are_typed(cli: Cli) -> None:
    study(12).to_csv("results.csv", index=False)
    code, _, err = cli("read", "results.csv", "-o", "run", "--truth", "0.5", "--null", "0.5")
    assert code == 0
    assert "P-values made here: two-sided tests of the null value of t" in err
    assert (
        cli("read", "results.csv", "-o", "other", "--null", "x=0.5")[2].count(
            "unknown term in the null value 'x'"
        )
        == 1
    )
    assert (
        "expected a null value such as 0.5" in cli("read", "results.csv", "-o", "other", "--null", "half")[2]
    )


COMMANDS = (
    ("report", "run", "--format", "md"),
    ("plot", "run", "-k", "coverage", "-o", "coverage.svg"),
    ("plot", "run", "-k", "zip", "--condition", "1", "--method", "robust", "-o", "zip.svg"),
    ("compare", "run", "other"),
    ("baseline", "run", "-o", "baseline.json"),
    ("check", "run", "--baseline", "baseline.json"),
)


def test_a_run_that_was_read_is_served_by_every_command_that_reads_runs(cli: Cli) -> None:
    study(30).to_csv("results.csv", index=False)
    study(30, seed=2).to_csv("others.csv", index=False)
    for source, run in (("results.csv", "run"), ("others.csv", "other")):
        assert cli("read", source, "--truth", "0.5", "-o", run, "-q")[0] == 0
    for command in COMMANDS:
        code, out, err = cli(*command)
        assert code == 0, (command, err)
        assert out or command[0] == "plot", command
    assert Path("zip.svg").stat().st_size > 1000
    # Standard errors that are half as large are worse than the baseline's.
    study(30).assign(se=lambda f: 0.5 * f["se"]).to_csv("results.csv", index=False)
    assert cli("read", "results.csv", "--truth", "0.5", "-o", "worse", "-q")[0] == 0
    code, out, _ = cli("check", "worse", "--baseline", "baseline.json")
    assert (code, "coverage" in out) == (1, True)


def test_a_run_that_was_read_is_queried(cli: Cli) -> None:
    pytest.importorskip("duckdb", reason="the extra [query] isn't installed")
    study(12).to_csv("results.csv", index=False)
    cli("read", "results.csv", "--truth", "0.5", "-o", "run", "-q")
    code, out, err = cli(
        "query", "run", "select count(*) as rows from performance where measure = 'coverage'"
    )
    assert (code, "8" in out) == (0, True), err

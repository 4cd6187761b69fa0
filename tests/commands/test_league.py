"""``nestbench league`` on a package of the tests' own."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from nestbench.cli import app
from tests.league.running import FAKE

pytestmark = pytest.mark.posix


def test_the_league_is_run_written_and_shown_again(tmp_path: Path) -> None:
    only = ["league", "--add", FAKE, "--only", "fake se,fake right", "-c", "balanced", "--data-sets", "2"]
    done = CliRunner().invoke(app, [*only, "-o", str(tmp_path)])
    assert done.exit_code == 0, done.output
    rows = {line.split()[1]: line.split() for line in done.output.splitlines() if line.startswith("fake ")}
    assert (rows["right"][-2], rows["se"][-2]) == ("0", "1")
    assert (tmp_path / "league.html").exists()
    again = CliRunner().invoke(app, [*only, "--no-run", "-o", str(tmp_path)])
    assert "fake se" in again.output
    one = CliRunner().invoke(
        app, ["league", "--add", FAKE, "--only", "fake se", "-c", "balanced", "--data-set", "1"]
    )
    assert "data set 1: wrong" in one.output
    assert "std_error" in one.output


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--only", "statsmodel"], "statsmodels"), (["-c", "balancd"], "balanced")],
)
def test_an_unknown_name_is_refused_with_the_nearest(options: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["league", *options])
    assert done.exit_code != 0
    assert said in str(done.exception)

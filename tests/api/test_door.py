"""`nestbench estimate` on small files of the kinds that went wrong elsewhere, with the right answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from nestbench.cli import app

CASES = Path(__file__).parent / "cases"


def asked(name: str, *options: str) -> dict[str, Any]:
    """Return what `estimate --json` says of a file."""
    done = CliRunner().invoke(
        app, ["estimate", str(CASES / name), *options, "--json"], catch_exceptions=False
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_it_says_which_methods_use_slopes_and_classes() -> None:
    options = ["--formula", "score ~ ses", "--group", "schoolid", "--subgroup", "classid"]
    methods = ["--estimators", "ols-cr1s-t,reml-satt"]
    found = asked("classes.csv", *options, "--random", "1 + ses", *methods)
    assert found["messages"] == [
        "the random part (1 + ses) is used by: reml-satt",
        "the subgroup (classid) is used by: none of these methods",
    ]
    every = asked("classes.csv", *options, "--random", "1 + ses")
    assert "no random slopes" in every["left_out"]["nested-satt"]

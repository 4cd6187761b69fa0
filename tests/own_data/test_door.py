"""`nestbench estimate` on small files of the kinds that went wrong elsewhere, with the right answers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
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
        "'classid' has labels that occur in several 'schoolid', such as '1': taken as different ones in each",
        "ses: varies within 12 schools",
        "the random part (1 + ses) is used by: reml-satt",
        "the subgroup (classid) is used by: none of these methods",
    ]


def test_a_slope_is_no_school_sd_and_has_no_icc() -> None:
    methods = ["--estimators", "reml-satt,mixedlm,mixedlm-guarded"]
    found = asked("slope-only.csv", "--formula", "y ~ x", "--group", "g", "--random", "0 + x", *methods)
    for fit in found["fits"]:
        assert set(fit["variance"]) - {"score", "iterations"} == {"slope_sd[x]", "residual_sd"}
        assert fit["variance"]["slope_sd[x]"] == pytest.approx(0.8927, abs=1e-4), fit["estimator"]


def test_both_numbers_of_a_random_slope_have_names() -> None:
    methods = ["--estimators", "reml-satt,mixedlm-guarded"]
    found = asked("slope-only.csv", "--formula", "y ~ x", "--group", "g", "--random", "1 + x", *methods)
    exact, guarded = (fit["variance"] for fit in found["fits"])
    assert {"school_sd", "slope_sd[x]", "residual_sd"} <= set(exact)
    assert "icc" not in guarded
    assert guarded["slope_sd[x]"] == pytest.approx(exact["slope_sd[x]"], rel=1e-3)


@pytest.mark.parametrize(("file", "formula"), [("two.csv", "y ~ t"), ("single.csv", "y ~ x")])
def test_what_the_data_cannot_tell_is_not_ok(file: str, formula: str) -> None:
    methods = "reml-satt,mixedlm,mixedlm-guarded,ols-cr1s-t"
    *mixed, ols = asked(file, "--formula", formula, "--estimators", methods)["fits"]
    for fit in mixed:
        assert fit["status"] == "FAILED"
        assert re.search("not identified|can't be told apart", fit["messages"][0]), fit
    assert ols["status"] == "OK"


def test_few_draws_reject_nothing() -> None:
    found = asked("two.csv", "--formula", "y ~ x", "--estimators", "pairs-bootstrap,ols-wild-u")
    for fit, draws in zip(found["fits"], (3, 4), strict=True):
        term = fit["terms"][1]
        assert term["p_value"] >= 1 / draws
        assert (term["lower"], term["upper"]) == ("-inf", "inf")
        assert fit["messages"] == [f"only {draws} different draws: nothing can be rejected at 0.05"]

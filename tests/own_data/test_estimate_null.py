"""``estimate`` with null values: p-values, statistics and headings tell what is tested."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from scipy import stats
from typer.testing import CliRunner

import nestbench
from nestbench.cli import app
from nestbench.own_data.user_data import null_values
from nestbench.sim.errors import InvalidInput
from tests.golden.reference import HERE, golden

PATH = str(HERE / "data" / "unbal8.csv")
MODEL = {"formula": "grade ~ age + funding"}
COMMAND = ("estimate", PATH, "--formula", MODEL["formula"], "--estimators", "ols,ols-wild")


@pytest.fixture
def frame() -> pd.DataFrame:
    return golden("unbal8", "m2").frame()


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, [*COMMAND, *arguments], env={"COLUMNS": "100"}, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_statistic_and_p_are_of_the_value_stated(frame: pd.DataFrame) -> None:
    plain = nestbench.estimate(frame, "ols-cr1s-t", **MODEL)
    got = nestbench.estimate(frame, "ols-cr1s-t", null={"age": 1.5}, **MODEL)
    kept = ["estimate", "std_error", "df", "lower", "upper"]
    pd.testing.assert_frame_equal(got.terms[kept], plain.terms[kept], rtol=1e-10)
    row = got.terms.loc["age"]
    assert row["statistic"] == pytest.approx((row["estimate"] - 1.5) / row["std_error"])
    assert row["p_value"] == pytest.approx(2 * stats.t.sf(abs(row["statistic"]), row["df"]))
    assert row["p_value"] != pytest.approx(plain.terms.loc["age", "p_value"])
    assert "tests of 0 (age: 1.5)" in repr(got)
    assert "tests of" not in repr(plain)


def test_bootstrap_on_a_shifted_column(frame: pd.DataFrame) -> None:
    got = nestbench.estimate(frame, "ols-wild", null={"age": 1.5, "funding": -0.2}, **MODEL)
    shifted = frame.assign(grade=frame["grade"] - 1.5 * frame["age"] + 0.2 * frame["funding"])
    by_hand = nestbench.estimate(shifted, "ols-wild", **MODEL)
    pd.testing.assert_series_equal(got.terms["p_value"], by_hand.terms["p_value"], rtol=1e-12)


def test_the_heading_says_it() -> None:
    assert "p: tests of 0 (age: 1.5; funding: -0.2)" in run("--null", "age=1.5", "--null", "funding=-0.2")
    assert "tests of" not in run()
    assert json.loads(run("--null", "age=1.5", "--json"))["null"] == {"age": 1.5}
    assert "null" not in json.loads(run("--json"))


def test_a_term_that_is_none_is_refused_with_every_method(frame: pd.DataFrame) -> None:
    with pytest.raises(InvalidInput, match="Did you mean 'funding'"):
        nestbench.estimate(frame, "ols", null={"fundin": 0.3}, **MODEL)
    result = CliRunner().invoke(app, [*COMMAND[:4], "--null", "fundin=0.3"], env={"COLUMNS": "300"})
    assert result.exit_code != 0
    assert "Did you mean 'funding'" in result.output + str(result.exception)


def test_texts_of_null_values() -> None:
    assert null_values(["treated=0.3", "C(x == 1)[T.True]=-2"]) == {"treated": 0.3, "C(x == 1)[T.True]": -2.0}
    for given in (["treated"], ["=0.3"], ["treated=much"], ["treated=nan"]):
        with pytest.raises(InvalidInput, match="TERM=VALUE"):
            null_values(given)
    with pytest.raises(InvalidInput, match="two for 'treated'"):
        null_values(["treated=0.3", "treated=0.4"])

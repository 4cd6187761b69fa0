"""Claims of the fixture about df, precision and the same answer; and its table, lookups and replay lines, as used."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nestbench.experiments.running.resolving import resolve
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept
from nestbench.testing.accuracy import Accuracy
from tests.testing.test_pytest_plugin import DF, EFFECTS, SMALL, exact, narrow, project_run


@pytest.fixture
def claims(tmp_path: Path) -> Accuracy:
    return Accuracy(
        folder=tmp_path / "tests", root=tmp_path, scratch=tmp_path / "scratch", test="t.py::test_it"
    )


def one_df_less(frame, model):  # type: ignore[no-untyped-def]
    return exact(frame, model, df=DF - 1)


def half_df(frame, model):  # type: ignore[no-untyped-def]
    return exact(frame, model, df=DF // 2)


def dropping(frame, model):  # type: ignore[no-untyped-def]
    return exact(frame[frame["school"] != frame["school"].iloc[-1]], model)


def test_df_off_by_one(claims: Accuracy) -> None:
    claims.assert_df(exact, equals=DF, on=SMALL)
    claims.assert_df(exact, equals="ols", on=SMALL)
    with pytest.raises(AssertionError, match=r"one_df_less and df = 21 differ in df of .*: 20 and 21"):
        claims.assert_df(one_df_less, equals=DF, on=SMALL)
    with pytest.raises(AssertionError, match="one_df_less and ols differ in df"):
        claims.assert_df(one_df_less, equals="ols", on=SMALL)


BALANCED = Cell(
    RandomIntercept(icc=0.6, effects={**EFFECTS, "age": 0.0}), Layout(10, 8, 4), Model("grade ~ treated")
)


def minus_one(frame, model):  # type: ignore[no-untyped-def]
    """The test of school means with one df less."""
    means = frame.groupby("school")[["grade", "treated"]].mean()
    arms = [means.loc[means["treated"] == arm, "grade"] for arm in (0, 1)]
    pooled = sum(a.var() * (len(a) - 1) for a in arms) / (len(means) - 2)
    error = np.sqrt(pooled * sum(1 / len(a) for a in arms))
    return {
        "treated": {"estimate": arms[1].mean() - arms[0].mean(), "std_error": error, "df": len(means) - 3}
    }


def test_df_of_a_balanced_design(claims: Accuracy) -> None:
    claims.assert_df_balanced("reml-satt", on=BALANCED, replications=20)
    claims.assert_df_balanced(minus_one, on=BALANCED, tolerance=0.2, detect=0.5)
    with pytest.raises(
        AssertionError, match=r"minus_one and balanced df = 8 differ in df of treated: 7 and 8"
    ):
        claims.assert_df_balanced(minus_one, on=BALANCED, detect=0.5)
    with pytest.raises(
        AssertionError, match="ols-cr1s-t and balanced df = 8 differ in df of Intercept: 9 and 8"
    ):
        claims.assert_df_balanced("ols-cr1s-t", on=BALANCED, detect=0.5)


def test_se_within_some_percent(claims: Accuracy) -> None:
    claims.assert_se_calibrated("means", on=BALANCED, terms=["treated"], within=0.25)
    assert claims.rows[-1]["claim"] == "model SE / empirical SE: 1, tolerance 0.25"
    assert str(claims.rows[-1]["seen"]).endswith("; within 25 %: shown")
    claims.assert_se_calibrated(
        "means", on=BALANCED, terms=["treated"], within=0.05, detect=0.5, replications=80
    )
    assert "; within 5 %: not shown (n " in str(claims.rows[-1]["seen"])
    with pytest.raises(AssertionError, match=r"model SE / empirical SE should be 1, tolerance 0\.1"):
        claims.assert_se_calibrated("ols", on=BALANCED, terms=["treated"], within=0.1)
    with pytest.raises(InvalidInput, match="within or tolerance, got both"):
        claims.assert_se_calibrated("means", on=BALANCED, within=0.1, tolerance=0.1)


def test_an_interval_score_beside_a_reference(claims: Accuracy) -> None:
    claims.assert_interval_score("means", than="reml-kr", on=BALANCED, terms=["treated"])
    with pytest.raises(
        AssertionError, match="ols: interval score / interval score of means should be at most 1"
    ):
        claims.assert_interval_score("ols", than="means", on=BALANCED, terms=["treated"])


@pytest.mark.slow
def test_df_by_the_law(claims: Accuracy) -> None:
    claims.assert_df("ols", on=SMALL, terms=["treated"], detect=0.3)
    with pytest.raises(
        AssertionError, match=r"df that the standard errors' variation implies should be what"
    ):
        claims.assert_df(half_df, on=SMALL, terms=["treated"], detect=0.3)


@pytest.mark.slow
def test_a_school_dropped(claims: Accuracy) -> None:
    claims.assert_same_answer(exact, "ols", on=SMALL)
    with pytest.raises(AssertionError, match="dropping and ols differ in estimate of"):
        claims.assert_same_answer(dropping, "ols", on=SMALL)
    claims.assert_as_precise(exact, than="ols", on=SMALL)
    with pytest.raises(
        AssertionError, match=r"dropping: empirical SE / empirical SE of ols should be at most 1"
    ):
        claims.assert_as_precise(dropping, than="ols", on=SMALL, terms=["age"], detect=0.12)


def test_unknown_words_are_refused(claims: Accuracy) -> None:
    with pytest.raises(TypeError, match="tolerence"):
        claims.assert_unbiased(exact, on=SMALL, tolerence=0.1)  # type: ignore[call-arg]


def test_what_became_of_each_claim_is_told(claims: Accuracy) -> None:
    claims.assert_unbiased(exact, on=SMALL, detect=0.5)
    claims.assert_same_answer(exact, "ols", on=SMALL, detect=0.2)
    with pytest.raises(AssertionError):
        claims.assert_se_calibrated(narrow, on=SMALL)
    rows = [(t["claim"], t["method"], t["passed"]) for t in claims.rows]
    assert rows == [
        ("bias: 0, tolerance 0 empirical SE", "exact", True),
        ("same estimate, std_error, df, p_value as ols", "exact", True),
        ("model SE / empirical SE: 1, tolerance 0", "narrow", False),
    ]
    assert all(isinstance(t["n"], int) and t["n"] > 5 and t["seconds"] > 0 for t in claims.rows)
    assert "MCSE" in str(claims.rows[2]["seen"])
    assert "bounds" in str(claims.rows[2]["seen"])


def test_a_baseline_is_found_beside_the_test_or_where_pytest_was_started(claims: Accuracy) -> None:
    study = resolve("few-treated-schools", {"replications": 4, "estimators": ["ols"]})
    with pytest.raises(InvalidInput) as caught:
        claims.assert_no_regression("accuracy.json")
    assert f"no such file in {claims.folder} and {claims.root}" in str(caught.value)
    claims.update = True
    claims.root, beside = claims.folder, claims.folder
    claims.assert_no_regression("accuracy.json", on=study)
    claims.update = False
    (beside / "accuracy.json").rename(beside.parent / "accuracy.json")
    claims.root = beside.parent
    claims.assert_no_regression("accuracy.json")


# --- a session ----------------------------------------------------------------------------------------------------

SESSION = {
    "test_session.py": """
import json
import numpy as np
import pytest
from pathlib import Path
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept

HERE = Cell(RandomIntercept(icc=0.0), Layout(4, 6, 2), Model("grade ~ age"))
SCALE = {"se": 1.0}

def slope(frame, model):
    x = frame["age"] - frame["age"].mean()
    b = (x * frame["grade"]).sum() / (x**2).sum()
    r = frame["grade"] - frame["grade"].mean() - b * x
    return {"age": {"estimate": b, "std_error": SCALE["se"] * np.sqrt((r**2).sum() / 22 / (x**2).sum()), "df": 22}}

def test_unbiased(accuracy):
    accuracy.assert_unbiased(slope, on=HERE, detect=0.5)

def test_biased(accuracy):
    accuracy.assert_unbiased(lambda frame, model: {"age": {"estimate": 1.9, "std_error": 0.1}}, on=HERE, detect=0.5)

def test_own_method(accuracy):
    accuracy.update = True
    accuracy.assert_no_regression("own.json", on="study.toml", estimators=[slope])
    accuracy.update = False
    SCALE["se"] = 1.03
    accuracy.assert_no_regression("own.json", on="study.toml", estimators=[slope])

def test_known_method(accuracy):
    accuracy.update = True
    accuracy.assert_no_regression("known.json", on="study.toml")
    accuracy.update = False
    file = Path(__file__).with_name("known.json")
    content = json.loads(file.read_text())
    record = content["cells"][0]["estimators"]["ols"]
    record["status"], record["digest"] = {"FAILED": "2"}, "0" * 64
    del content["checksum"]
    file.write_text(json.dumps(content))
    accuracy.assert_no_regression("known.json", fail_on=["fixed"])
""",
    "study.toml": """
[experiment]
name = "tiny"
estimators = ["ols"]
replications = 20
[layout]
schools = 4
students = 6
treated_schools = 2
[model]
formula = "grade ~ age"
[factors]
"population.icc" = [0.0, 0.2]
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("workers", [[], ["-n", "2"]])
def test_a_session_ends_with_its_claims_and_its_lines_can_be_pasted(
    tmp_path: Path, workers: list[str]
) -> None:
    for name, text in SESSION.items():
        (tmp_path / name).write_text(text)
    done = project_run(tmp_path, "test_session.py", *workers, quiet=False)
    assert "3 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    table = done.stdout[done.stdout.index("claims of accuracy") :].splitlines()[1:6]
    assert table[0].split()[:4] == ["claim", "method", "n", "seconds"]
    assert sorted(line.split()[0] for line in table[1:]) == ["FAILED", "FAILED", "FAILED", "passed"]
    assert any(
        "as accurate as own.json" in line and "2 pairs of condition and method" in line for line in table
    )
    assert any("MCSE" in line and "bounds" in line for line in table)
    lines = {
        word: next(
            text[text.index("nestbench ") :]
            for text in done.stdout.splitlines()
            if f"nestbench {word}" in text
        )
        for word in ("replay", "simulate")
    }
    for word, line in lines.items():
        typed = [sys.executable, "-m", *shlex.split(line)]
        pasted = subprocess.run(typed, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert pasted.returncode == 0, (word, line, pasted.stderr)
    assert len((tmp_path / "data.csv").read_text().splitlines()) == 25
    quiet = project_run(tmp_path, "test_session.py", "-k", "test_unbiased", *workers)
    assert "1 passed" in quiet.stdout
    assert "claims of accuracy" not in quiet.stdout

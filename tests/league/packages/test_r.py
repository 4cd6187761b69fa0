"""R in the league: the protocol with a stand-in for Rscript that knows R's stored values; R itself where it is."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from scipy.stats import t

from nestbench.league.asked import Asked
from nestbench.league.child import answered, fitted
from nestbench.league.condition import chosen
from nestbench.league.exact import Truths
from nestbench.league.judging import Outcome, judge
from nestbench.league.packages import r
from nestbench.league.running import Settings, draw, entries, named, standings_of

pytestmark = pytest.mark.posix
GOLDEN = Path(__file__).parents[2] / "golden" / "r"
VALUES: dict[str, Any] = json.loads((GOLDEN / "values.json").read_text(encoding="utf-8"))
PLACE = "nestbench.league.packages.r"
STAND_IN = """
import os, shutil, sys
if sys.argv[2] == "-e":
    print("lme4 1.1.31 \\nlmerTest 3.1.3 ")
    raise SystemExit
assert sys.argv[1] == "--vanilla" and "lmerTest::lmer" in open(sys.argv[2]).read()
for line in sys.stdin:
    table, answer, *asked = line.rstrip("\\n").split("\\t")
    shutil.copy(table, os.environ["SENT"])
    with open(os.environ["SENT"] + ".asked", "w") as file:
        file.write("|".join(asked))
    known = os.environ["KNOWN"]
    if known == "dies":
        raise SystemExit(3)
    shutil.copy(known, answer)
    print("a package of R prints", flush=True)
    print("done", flush=True)
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Put a stand-in for Rscript on the path; return the file whose content it answers."""
    (tmp_path / "r.py").write_text(STAND_IN)
    (tmp_path / "Rscript").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{tmp_path / "r.py"}" "$@"\n')
    (tmp_path / "Rscript").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("SENT", str(tmp_path / "sent.csv"))
    monkeypatch.setenv("KNOWN", str(tmp_path / "known.txt"))
    r.versions.cache_clear()
    r.RUNNING.clear()
    yield tmp_path / "known.txt"
    if "process" in r.RUNNING:
        r.RUNNING["process"].kill()
        r.RUNNING["process"].communicate()
    r.RUNNING.clear()
    r.versions.cache_clear()


def lines(quantity: str, names: list[str], values: list[float]) -> str:
    return "".join(f"{quantity}\t{n}\t{v:.17g}\n" for n, v in zip(names, values, strict=True))


def as_r_answers(names: list[str], estimate: list[float], se: list[float], df: list[float]) -> str:
    p = [2 * t.sf(abs(b / s), d) for b, s, d in zip(estimate, se, df, strict=True)]
    parts = {"estimate": estimate, "std_error": se, "df": df, "p_value": p}
    return "".join(lines(quantity, names, values) for quantity, values in parts.items())


def mixed(block: dict[str, Any], ddf: str) -> str:
    kind = block["kr"] if ddf == "Kenward-Roger" else {"se": block["se"], "df": block["satt"]}
    text = as_r_answers(block["terms"], block["fixef"], kind["se"], kind["df"])
    rows = block["varcorr"]
    kinds = [{"Residual": "residual", "c__": "class"}.get(row["grp"], "school") for row in rows]
    text += lines("variance", kinds, [row["vcov"] for row in rows])
    return text + lines("loglik", [""], block["loglik"])


@pytest.mark.parametrize("case", ["s_two", "s_treat3", "s_wild200", "s_classes"])
@pytest.mark.parametrize("way", ["lmerTest", "pbkrtest"])
def test_what_lme4_said_is_right(case: str, way: str, stand_in: Path, tmp_path: Path) -> None:
    one = VALUES[case]
    subgroup = one["subgroup"] or ""
    if subgroup and way == "pbkrtest":
        return
    block = one["nest"] if subgroup else one["ri"]
    data = pd.read_csv(GOLDEN / f"{case}.csv", dtype={"school": str, "class": str})
    asked = Asked(one["formula"], one["group"], subgroup=subgroup)
    chosen_way = r.PACKAGE.way(way)
    stand_in.write_text(mixed(block, chosen_way.fit.keywords["ddf"]))  # type: ignore[attr-defined]
    answer = answered(chosen_way.fit(data, asked))
    exact = Truths(data, asked).of(chosen_way)
    found = judge(answer, exact, chosen_way)
    assert found.outcome in (Outcome.RIGHT, Outcome.NEAR), found
    assert all(number.reported == number.reported for number in found.numbers)
    labels = ",".join(filter(None, ("school", subgroup)))
    sent = (tmp_path / "sent.csv.asked").read_text()
    assert sent == "|".join([chosen_way.fit.keywords["ddf"], asked.lme4, labels, "0.95"])  # type: ignore[attr-defined]
    came = pd.read_csv(tmp_path / "sent.csv", dtype={"school": str, "class": str})
    pd.testing.assert_frame_equal(came, data)


def test_a_wrong_number_of_a_fit_that_lme4_warns_of_is_refused(stand_in: Path) -> None:
    block, way = VALUES["s_two"]["ri"], r.PACKAGE.way("lmerTest")
    data = pd.read_csv(GOLDEN / "s_two.csv", dtype={"school": str})
    asked = Asked(VALUES["s_two"]["formula"], "school")
    text = mixed({**block, "loglik": [block["loglik"][0] - 7.0]}, "Satterthwaite")
    outcomes = []
    for said in (1.0, 0.0):
        stand_in.write_text(text + lines("converged", [""], [said]))
        outcomes.append(judge(answered(way.fit(data, asked)), Truths(data, asked).of(way), way).outcome)
    assert outcomes == [Outcome.WRONG, Outcome.REFUSED]


@pytest.mark.parametrize(("way", "kind"), [("clubSandwich CR2", "CR2"), ("clubSandwich CR3", "CR3")])
def test_what_club_sandwich_said_is_right(way: str, kind: str, stand_in: Path) -> None:
    one = VALUES["s_treat3"]["lm"]
    data = pd.read_csv(GOLDEN / "s_treat3.csv", dtype={"school": str})
    df = one[kind].get("df", [data["school"].nunique() - 1.0] * len(one["terms"]))
    text = as_r_answers(one["terms"], one["coef"], one[kind]["se"], df)
    half = [t.ppf(0.975, d) * s for d, s in zip(df, one[kind]["se"], strict=True)]
    for end, sign in (("lower", -1), ("upper", 1)):
        text += lines(end, one["terms"], [b + sign * h for b, h in zip(one["coef"], half, strict=True)])
    stand_in.write_text(text)
    asked, chosen_way = Asked(VALUES["s_treat3"]["formula"]), r.PACKAGE.way(way)
    found = judge(answered(chosen_way.fit(data, asked)), Truths(data, asked).of(chosen_way), chosen_way)
    assert found.outcome in (Outcome.RIGHT, Outcome.NEAR), found


def test_tables_go_to_r_as_it_reads_them(stand_in: Path, tmp_path: Path) -> None:
    stand_in.write_text("estimate\tx\t1\nloglik\t\t-1\n")
    for name in ("labels-categories", "labels-numbers", "missing-rows"):
        condition = chosen([name])[0]
        data = condition.data_set(0)
        r.PACKAGE.way("lmerTest").fit(data, condition.asked)
        sent = pd.read_csv(tmp_path / "sent.csv", keep_default_na=False, dtype=str)
        assert sent["school"].tolist() == data["school"].astype(str).tolist()
        if "arm" in sent:
            assert set(sent["arm"]) == {"TRUE", "FALSE"}
        assert (sent["grade"] == "").tolist() == data["grade"].isna().tolist()


def test_an_error_of_r_is_a_refusal_and_its_death_too(
    stand_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    condition = chosen(["balanced"])[0]
    stand_in.write_text("error\t\tthere is no package called 'pbkrtest'\n")
    fit = r.PACKAGE.way("pbkrtest").fit
    with pytest.raises(RuntimeError, match="there is no package called 'pbkrtest'"):
        fit(condition.data_set(0), condition.asked)
    # The same process goes on; one that has died is begun anew.
    stand_in.write_text("loglik\t\t-3\nseconds\t\t7.5\n")
    assert fit(condition.data_set(1), condition.asked)["loglik"] == -3.0
    # The time is R's, not that of waiting for it.
    assert 7.5 < fitted(r.PACKAGE.way("pbkrtest"), condition.data_set(1), condition.asked)["seconds"] < 9.0
    r.RUNNING["process"].kill()
    r.RUNNING["process"].communicate()
    r.RUNNING.clear()
    monkeypatch.setenv("KNOWN", "dies")
    with pytest.raises(RuntimeError, match="R ended with exit code 3"):
        fit(condition.data_set(1), condition.asked)


def test_versions_are_those_of_its_packages(stand_in: Path) -> None:
    assert r.PACKAGE.version == "lme4 1.1.31, lmerTest 3.1.3"


def test_without_r_it_is_missing_and_pymer4_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "pymer4-0.9.2.dist-info").mkdir()
    (tmp_path / "pymer4-0.9.2.dist-info" / "METADATA").write_text("Name: pymer4\nVersion: 0.9.2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    r.versions.cache_clear()
    settings = Settings(1, (0,))
    drawn = draw(chosen(["balanced"]), settings)
    places = [PLACE, "nestbench.league.packages.pymer4"]
    found = {one.label: standings_of(one, drawn, settings)[0] for one in named(entries(places), [])}
    r.versions.cache_clear()
    assert {label: str(one.outcome) for label, one in found.items()} == {
        "R lmerTest": "missing",
        "R pbkrtest": "missing",
        "R clubSandwich CR2": "missing",
        "R clubSandwich CR3": "missing",
        "pymer4 lmer": "refused",
    }
    assert found["pymer4 lmer"].note.startswith("no R: expected the program on the path")
    assert found["pymer4 lmer"].version == "0.9.2"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R isn't installed")
@pytest.mark.parametrize("way", [way.name for way in r.PACKAGE.ways])
def test_r_itself_is_right(way: str) -> None:
    settings = Settings(1, (0, 1))
    drawn = draw(chosen(["balanced", "labels-text", "missing-schools"]), settings)
    found = standings_of(named(entries([PLACE]), [f"R {way}"])[0], drawn, settings)
    assert {standing.outcome for standing in found} <= {Outcome.RIGHT, Outcome.NEAR}, found

"""From fits to the file, the page and the scripts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nestbench.league.child import fitted
from nestbench.league.condition import chosen
from nestbench.league.judging import Number
from nestbench.league.keeping import FILE, changes, earlier, latest, load, merged, save
from nestbench.league.running import Settings, draw, judged, standings_of
from nestbench.league.showing import failures_words, standing_words, summary
from nestbench.league.standing import Standing
from nestbench.league.writing import PAGE, script_of, write_league
from nestbench.sim.errors import InvalidInput
from tests.league.running import entry

WRONG = Number("std_error", "age", 1.05, 1.0, 0.05, 1e-3)


def standing(way: str = "se", condition: str = "balanced", **changes: object) -> Standing:
    base = Standing(
        "fake",
        way,
        "1.0",
        condition,
        "abcd",
        1,
        2,
        "2026-11-26",
        {"right": 1, "wrong": 1},
        0.1,
        1,
        "",
        (WRONG,),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def test_a_refusal_of_some_is_red_one_of_all_is_not() -> None:
    assert standing(outcomes={"right": 4, "refused": 1}).red
    assert not standing(outcomes={"refused": 5}).red
    assert not standing(outcomes={"right": 4, "within 1e-3": 1}).red
    assert all(standing(outcomes={"right": 4, bad: 1}).red for bad in ("wrong", "hung", "crashed"))


@pytest.mark.parametrize(
    ("outcomes", "outcome", "words", "red"),
    [
        ({"right": 12}, "right", "right", False),
        ({"not judged": 12}, "not judged", "not judged", False),
        ({"not judged": 1, "right": 11}, "right", "11 right, 1 not judged", False),
        (
            {"right": 6, "not judged": 1, "within 1e-3": 5},
            "within 1e-3",
            "11 within 1e-3, 1 not judged",
            False,
        ),
        ({"right": 4, "within 1e-3": 8}, "within 1e-3", "≤ 1e-3", False),
        ({"right": 11, "other convention": 1}, "other convention", "1 other convention, 11 right", False),
        ({"right": 9, "wrong": 1, "refused": 2}, "wrong", "1 wrong, 2 refused, 9 right", True),
        ({"not judged": 11, "wrong": 1}, "wrong", "1 wrong, 11 not judged", True),
        ({"crashed": 1, "hung": 1, "not run": 10}, "crashed", "1 crashed, 1 hung, 10 not run", True),
        ({"refused": 12}, "refused", "refused", False),
        ({"right": 11, "refused": 1}, "refused", "1 refused, 11 right", True),
        ({"wrong": 12}, "wrong", "wrong", True),
    ],
)
def test_an_entry_says_how_all_its_fits_ended(
    tmp_path: Path, outcomes: dict[str, int], outcome: str, words: str, red: bool
) -> None:
    one = standing(outcomes=outcomes, data_sets=12)
    assert (one.outcome, standing_words(one), one.red) == (outcome, words, red)
    write_league([one], [entry("se")], tmp_path, [])
    page = (tmp_path / PAGE).read_text(encoding="utf-8")
    shaded, cell = re.findall(r'<td class="g-(\w+)"[^>]*>(?:<a [^>]*>)?([^<]*)', page)[0]
    assert (cell.replace("\n", " "), shaded == "fails") == (words, red)
    assert json.loads((tmp_path / FILE).read_text())["standings"][0]["outcomes"] == outcomes
    heads, row = summary([one]).splitlines()
    cells = {head: row[end - 1] for head, end in ((m[0], m.end()) for m in re.finditer(r"(\w+ )*\S+", heads))}
    assert {head for head, count in cells.items() if count == "1"} - {"s a fit", "version"} == {
        outcome,
        *(["judged in part"] if len(outcomes) > 1 and "not judged" in outcomes else []),
        *(["red"] if red else []),
    }


@pytest.mark.parametrize(
    ("number", "note", "reason"),
    [
        (WRONG, "", "std_error age 1.05 for 1"),
        (replace(WRONG, reported=1.00123456, exact=1.00100001), "", "std_error age 1.0012 for 1.001"),
        (replace(WRONG, reported=float("nan"), error=float("inf")), "", "std_error age not given, for 1"),
        (
            replace(WRONG, error=1e-5),
            "LinAlgError: Singular matrix; Warning: x",
            "LinAlgError: Singular matrix",
        ),
    ],
)
def test_a_line_says_what_is_wrong(tmp_path: Path, number: Number, note: str, reason: str) -> None:
    one = standing(numbers=(number,), note=note)
    write_league([one], [entry("se")], tmp_path, [])
    page = (tmp_path / PAGE).read_text(encoding="utf-8")
    assert f"<summary>fake 1.0, se: balanced: 1 wrong, 1 right; {reason}</summary>" in page


def test_results_come_back_from_their_file(tmp_path: Path) -> None:
    odd = standing(seconds=float("nan"), numbers=(replace(WRONG, reported=float("nan"), error=float("inf")),))
    save([standing(condition="icc-0"), odd], tmp_path / FILE)
    first, second = load(tmp_path / FILE)
    assert first == standing(condition="icc-0")
    assert repr(second) == repr(odd)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": "other"}', '{"format": "nestbench league 1", "standings": [{}]}']
)
def test_other_files_are_refused_in_words(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"expected .*x\.json to be results of the league"):
        load(tmp_path / "x.json")


def test_versions_stand_beside_each_other_and_the_page_has_the_last() -> None:
    old = standing(version="0.9", date="2026-10-01", outcomes={"right": 2})
    again = standing(date="2026-11-27")
    missing = standing(version="", date="2026-12-01", outcomes={"missing": 2})
    every = merged([old, standing(), again, missing])
    assert every == [old, again, missing]
    assert latest(every) == [again]
    assert earlier(again, every) == [old]
    # Outcomes on other data sets are no history of these.
    assert earlier(replace(again, data="other"), every) == []


def test_the_newest_version_is_shown_whichever_was_run_last() -> None:
    new, old = standing(version="0.10"), standing(version="0.9", date="2026-12-24", outcomes={"right": 2})
    assert latest([new, old]) == [new]
    assert earlier(new, [new, old]) == [old]
    # Of R's packages there are several: the last run.
    r = standing(version="lme4 1.1.31, lmerTest 3.1.3")
    assert latest([replace(r, version="lme4 1.1.37", date="2026-12-01"), r])[0].version == "lme4 1.1.37"


def test_what_changed_between_versions() -> None:
    first, second, third = (standing(version=v, outcomes={"right": 2}) for v in ("0.1", "0.2", "0.3"))
    worse = replace(second, outcomes={"right": 1, "wrong": 1})
    assert changes([first, second, third]) == []
    assert changes([third, worse, first]) == [(first, worse), (worse, third)]
    near = replace(second, outcomes={"within 1e-3": 2})
    assert changes([first, near]) == [(first, near)]
    assert changes([near, replace(third, outcomes={"right": 1, "within 1e-3": 1})]) == []
    # The worst of more data sets is no change.
    assert changes([replace(worse, data_sets=5), first]) == []
    assert changes([replace(worse, data="other"), first]) == []


def test_failures_are_seen_in_proportion_to_the_fits_that_could_show_one() -> None:
    assert standing(outcomes={"right": 11, "wrong": 1}).telling == 12
    # Refused throughout, or alone, it is the package's way, not a failure.
    assert [standing(outcomes=o).telling for o in ({"refused": 12}, {"right": 1}, {"missing": 12})] == [
        0,
        0,
        0,
    ]
    fits = [standing(outcomes={"right": 12}, condition=f"c{k}") for k in range(38)]
    assert failures_words(fits) == "1 %"
    assert pytest.approx(0.99, abs=1e-3) == 1.0 - 0.99**456
    assert failures_words([standing(outcomes={"refused": 12})]) == "-"


def test_the_page_says_what_changed_what_is_judged_and_which_failures_are_seen(tmp_path: Path) -> None:
    one = entry("se")
    few = replace(one, way=replace(one.way, claims=("estimate", "std_error", "p_value")))
    old = standing(version="0.9", outcomes={"right": 2})
    write_league([old, standing()], [few], tmp_path, [])
    page = (tmp_path / PAGE).read_text(encoding="utf-8")
    assert "<td>estimate, SE, p; no df, interval, variances, log-likelihood</td>" in page
    assert "<td>0.9 (2026-11-26)</td><td>right</td><td>1.0 (2026-11-26)</td><td>1 wrong, 1 right</td>" in page
    assert f"<td>{failures_words([standing()])}</td>" in page
    write_league([standing()], [few], tmp_path / "alone", [])
    assert "What changed" not in (tmp_path / "alone" / PAGE).read_text(encoding="utf-8")


def test_the_folder_has_page_file_and_a_script_for_what_is_red(tmp_path: Path) -> None:
    taking_part = [entry("se"), entry("right")]
    right = standing("right", outcomes={"right": 2}, numbers=())
    old = standing(version="0.9", date="2026-10-01", outcomes={"right": 2})
    write_league([old], taking_part, tmp_path, [])
    write_league([standing(), right], taking_part, tmp_path, [])
    page = (tmp_path / PAGE).read_text(encoding="utf-8")
    assert '<details class="opened" id="fake-se-balanced">' in page
    assert "fake-right-balanced" not in page
    assert "0.9 (2026-10-01): right" in page
    assert "nestbench league --only &#34;fake se&#34; --condition balanced --data-set 1 --seed 1" in page
    assert 'href="scripts/fake-se-balanced.py"' in page
    assert not re.search(r"""(src|href)=["'](?!#|scripts/)""", page)
    assert [path.name for path in (tmp_path / "scripts").iterdir()] == ["fake-se-balanced.py"]
    assert len(load(tmp_path / FILE)) == 3


@pytest.mark.parametrize(
    "condition",
    [
        "labels-categories",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("balanced", "missing-schools")),
    ],
)
def test_a_script_needs_nothing_of_ours_and_shows_the_same_numbers(tmp_path: Path, condition: str) -> None:
    red = standing(condition=condition, worst=0)
    path = tmp_path / "bug.py"
    path.write_text(script_of(red, [entry("se")]), encoding="utf-8")
    forbidding = f"import sys, runpy; sys.modules['nestbench'] = None; runpy.run_path({str(path)!r})"
    done = subprocess.run([sys.executable, "-c", forbidding], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (one,) = draw(chosen([condition]), Settings(1, (0,)))
    way = entry("se").way
    found = judged(fitted(way, one.data, one.condition.asked), one, way)
    shown = dict(
        line.rsplit(None, 2)[::2] for line in done.stdout.splitlines()[1:] if line.startswith("std_error age")
    )
    numbers = {(n.quantity, n.term): n for n in found.numbers}
    lines = {
        line.rsplit(None, 2)[0].strip(): line.rsplit(None, 2)[1:] for line in done.stdout.splitlines()[1:]
    }
    reported, exact = map(float, lines["std_error age"])
    assert shown
    assert reported == pytest.approx(numbers["std_error", "age"].reported, rel=1e-12)
    assert exact == pytest.approx(numbers["std_error", "age"].exact, rel=1e-12)
    assert reported / exact == pytest.approx(1.05)


def test_a_slow_way_is_given_fewer_data_sets() -> None:
    one = entry("right")
    slow = replace(one, way=replace(one.way, most=1))
    settings = Settings(1, (0, 1, 2))
    drawn = draw(chosen(["balanced", "eight-schools"]), settings)
    absent = replace(slow, package=replace(slow.package, distribution="no-such-package"))
    assert [s.data_sets for s in standings_of(absent, drawn, settings)] == [1, 1]


def test_the_summary_counts_conditions() -> None:
    text = summary([standing(), standing(condition="icc-0", outcomes={"right": 2})])
    heads, row = text.splitlines()
    assert heads.split()[:3] == ["version", "right", "within"]
    assert row.split() == ["fake", "se", "1.0", "1", ".", ".", ".", ".", "1", ".", ".", ".", "1", "0.1"]


def test_a_version_of_several_packages_is_cut_where_a_terminal_has_no_room() -> None:
    text = summary([standing(version="lme4 1.1.31, lmerTest 3.1.3, pbkrtest 0.5.2")])
    assert "fake se  lme4 1.1.31...  " in text

"""A package that crashes, hangs, prints, changes or isn't there is a standing; the rest goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from nestbench.league import children
from nestbench.league.children import fit_all
from nestbench.league.condition import chosen
from nestbench.league.judging import Outcome
from nestbench.league.keeping import load
from nestbench.league.running import Settings, draw, each_way, entries, named, standings_of
from nestbench.league.writing import write_league
from tests.league import bad_package
from tests.league.running import FAKE, entry, in_children

pytestmark = pytest.mark.posix


def test_a_crash_is_a_cell_and_what_comes_after_is_fitted() -> None:
    # The fake package ends its process where the number of students is even.
    balanced, gaps = in_children("crash", ["balanced", "some-one-student"])
    assert (balanced.outcome, gaps.outcome) == (Outcome.CRASHED, Outcome.CRASHED)
    assert balanced.note == "SIGABRT"
    assert balanced.red


@pytest.mark.slow
def test_what_hangs_is_ended_and_told() -> None:
    (standing,) = in_children("hang", ["balanced"], seconds=0.5)
    assert (standing.outcome, standing.note) == (Outcome.HUNG, "took longer than 0.5 s")
    assert standing.red


def test_an_interrupt_ends_what_is_under_way_and_what_waits() -> None:
    """A way that hangs for ten minutes, and one behind it that hasn't begun: the test would take as long."""
    settings = Settings(1, (0,), seconds=600.0, workers=2)
    ways = each_way(
        [entry("right"), entry("hang"), entry("hang")], draw(chosen(["balanced"]), settings), settings
    )
    through, (standing,) = next(ways)
    assert (through.way.name, standing.outcome) == ("right", Outcome.RIGHT)
    ways.close()


@pytest.mark.slow
def test_a_way_that_crashes_in_a_condition_is_fitted_in_those_behind_it_up_to_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The fake package ends its process where the number of students is even: of 120 and 94, not of 75."""
    names = ["eight-schools", "some-one-student", "five-schools"]
    found = {standing.condition: dict(standing.outcomes) for standing in in_children("crash", names, 3)}
    assert found["eight-schools"] == found["some-one-student"] == {"crashed": 3}
    assert sum(found["five-schools"].get(word, 0) for word in ("right", "within 1e-3")) == 3
    monkeypatch.setitem(children.LOSSES, "crashed", 4)
    found = {standing.condition: dict(standing.outcomes) for standing in in_children("crash", names, 3)}
    assert found["some-one-student"] == {"crashed": 1, "not run": 2}
    assert found["five-schools"] == {"not run": 3}


@pytest.mark.slow
def test_what_prints_is_right_and_counted() -> None:
    (standing,) = in_children("print", ["balanced"])
    assert standing.outcome in (Outcome.RIGHT, Outcome.NEAR)
    assert standing.printed >= 600


@pytest.mark.slow
def test_another_interface_is_a_refusal_with_its_words() -> None:
    (standing,) = in_children("changed", ["balanced"])
    assert (standing.outcome, standing.red) == (Outcome.REFUSED, False)
    assert standing.note == "AttributeError: 'Result' object has no attribute 'params'"


def test_a_package_that_is_not_installed_needs_no_child(tmp_path: Path) -> None:
    place = tmp_path / "absent.py"
    text = Path(FAKE).read_text(encoding="utf-8")
    place.write_text(text.replace('"fake", "numpy", "numpy"', '"fake", "no-such-package", "no_such"'))
    settings = Settings(1, (0,))
    (standing,) = standings_of(
        named(entries([str(place)]), ["fake right"])[0], draw(chosen(["balanced"]), settings), settings
    )
    assert (standing.outcome, standing.version) == (Outcome.MISSING, "")
    assert standing.note == "not installed; pip install no-such-package"


@pytest.mark.slow
def test_a_package_that_can_not_be_imported_is_told(tmp_path: Path) -> None:
    place = tmp_path / "broken.py"
    text = Path(FAKE).read_text(encoding="utf-8")
    place.write_text(text.replace('"fake", "numpy", "numpy"', '"fake", "numpy", "no_such_module"'))
    condition = chosen(["balanced"])[0]
    line = fit_all(str(place), "right", [(7, condition.data_set(0), condition.asked)], 5.0)[7]
    assert line["lost"] == "crashed"
    assert line["why"].startswith("can't be imported: exit code 1: ModuleNotFoundError")


OUTCOMES = {
    **dict.fromkeys(bad_package.ENDS, Outcome.CRASHED),
    **dict.fromkeys(bad_package.REFUSES, Outcome.REFUSED),
    **dict.fromkeys(bad_package.ANSWERS, Outcome.REFUSED),
}
"""What becomes of each kind; of those that answer all the same, their one wrong number is told."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", bad_package.KINDS)
def test_whatever_a_package_does_is_a_cell_of_the_page(kind: str, tmp_path: Path) -> None:
    every = entries([str(Path(bad_package.__file__))])
    settings = Settings(1, (0, 1), seconds=8.0)
    drawn = draw(chosen(["balanced"]), settings)
    ((_, (bad,)),) = each_way(named(every, [f"bad {kind}"]), drawn, settings)
    assert bad.outcome == OUTCOMES.get(kind, Outcome.WRONG), bad
    # It goes on after the first of the two.
    assert sum(bad.outcomes.values()) == 2
    write_league([bad], every, tmp_path, [])
    page = (tmp_path / "league.html").read_text(encoding="utf-8")
    assert f"bad {bad.version}, {kind}: balanced" in page
    assert "\x1b" not in page
    assert load(tmp_path / "league.json")[0].outcomes == bad.outcomes

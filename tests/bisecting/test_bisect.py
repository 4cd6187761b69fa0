"""``nestbench bisect`` on a package of the tests' own: real environments (slow), and what is asked of them."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nestbench.bisecting import asking, environments
from nestbench.bisecting.answers import Answer, Wanted
from nestbench.bisecting.asking import Question, ask
from nestbench.bisecting.environments import Environment
from nestbench.bisecting.processes import Ended, ended
from nestbench.bisecting.searching import Skipped
from nestbench.bisecting.showing import to_json, to_text
from nestbench.bisecting.trying import Study, Trials
from nestbench.sim.errors import Interrupted, InvalidInput
from tests.bisecting.local_index import write_index

KEY = ("ICC 0.1", "ols", "age", "model_se")


@dataclass(frozen=True, slots=True)
class Looked(Trials):
    """Versions whose answers are known beforehand."""

    answers: dict[str, float | str] = field(default_factory=dict)

    def environment(self, version: str) -> Environment:
        return Begun(self.folder / version)

    def attempt(self, version: str) -> Answer | Skipped:
        found = self.answers[version]
        if found == "interrupted":
            raise KeyboardInterrupt
        return Skipped(found) if isinstance(found, str) else {KEY: (found, 0.1, 50)}


class Begun(Environment):
    def begin(self) -> None:
        pass


def looked(
    answers: dict[str, float | str], folder: Path, patch: pytest.MonkeyPatch, **asked: Any
) -> tuple[str, dict[str, Any]]:
    patch.setattr(asking, "listed", lambda *_: list(answers))
    trials = Looked("it", Study("few-schools"), Wanted(), folder, answers=answers)
    outcome = ask(trials, Question(*[*answers][:1], *[*answers][-1:], **asked))
    return to_text(outcome, trials, 0.001), json.loads(to_json(outcome, trials, 0.001))


def test_the_step_is_said_with_its_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: dict[str, float | str] = {
        "1.0": 2.0,
        "1.1": 2.0,
        "1.2": "can't be installed: no wheel",
        "1.3": 2.1,
    }
    text, plain = looked(answers, tmp_path, monkeypatch)
    assert re.search(r"^1\.2 +- +skipped: can't be installed: no wheel$", text, re.M)
    assert "1 measure moved after it 1.1 and not later than 1.3 (1.2 between them gave no answer):" in text
    assert "model_se of age, ols, ICC 0.1: 2 (MCSE 0.1, n 50) -> 2.1 (MCSE 0.1, n 50) [1 MCSE]" in text
    (step,) = plain["steps"]
    assert (step["before"], step["after"], step["untried"]) == ("1.1", "1.3", ["1.2"])
    assert step["moves"][0]["after"] == [2.1, 0.1, 50]


def test_nothing_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: dict[str, float | str] = {"1.0": 2.0, "1.1": 5.0, "1.2": 2.0}
    text, plain = looked(answers, tmp_path, monkeypatch)
    assert "Nothing moved from it 1.0 to 1.2, of 2 versions tried." in text
    assert "1 version not tried" in text
    assert plain["steps"] == []
    _, whole = looked(answers, tmp_path, monkeypatch, every=True)
    assert [(s["before"], s["after"]) for s in whole["steps"]] == [("1.0", "1.1"), ("1.1", "1.2")]


def test_a_second_step_is_hinted_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, plain = looked({"1": 1.0, "2": 2.0, "3": 2.0, "4": 2.0, "5": 3.0}, tmp_path, monkeypatch)
    assert "It moved again between 2 and 5." in text
    assert plain["moved_later"]


def test_an_end_that_cannot_be_tried_and_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match="expected it 2 to run the study, got: took longer"):
        looked({"1": 1.0, "2": "took longer than 3 s"}, tmp_path, monkeypatch)
    with pytest.raises(Interrupted, match="the same command goes on from there"):
        looked({"1": 1.0, "2": "interrupted", "3": 2.0}, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("study", "methods", "conditions", "said"),
    [
        ("few-scools", (), (), "few-schools"),
        ("few-schools", ("olss",), (), "unknown method of the study 'olss'"),
        ("few-schools", (), (99,), r"expected a condition from 0 to \d+, got 99"),
    ],
)
def test_a_study_is_looked_at_before_anything_is_installed(
    study: str,
    methods: tuple[str, ...],
    conditions: tuple[int, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asking, "listed", lambda *_: pytest.fail("asked the index"))
    trials = Trials("it", Study(study, methods), Wanted(conditions=conditions), tmp_path)
    with pytest.raises(InvalidInput, match=said):
        ask(trials, Question("1", "2"))


def test_a_study_that_was_edited_has_other_runs(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("a")
    one = Study(str(file))
    marks = {one.mark, Study(str(file), ("ols",)).mark, Study(str(file), changes={"seed": 2}).mark}
    file.write_text("b")
    marks.add(one.mark)
    assert len(marks) == 4
    file.write_text('[experiment]\nplugins = ["own.py"]')
    for code in ("1", "2"):
        (tmp_path / "own.py").write_text(code)
        marks.add(one.mark)
    assert len(marks) == 6


def test_processes_say_how_they_ended() -> None:
    def run(code: str, seconds: float | None = None) -> Any:
        return ended([sys.executable, "-c", code], seconds=seconds)

    assert (run("print(3)").code, run("print(3)").out) == (0, "3\n")
    failed = run("import sys; print('ERROR: it', 'note', sep='\\n', file=sys.stderr); sys.exit(3)")
    assert (failed.code, failed.error, failed.last) == (3, "ERROR: it", "note")
    assert run("import time; time.sleep(60)", seconds=0.2).code is None


def test_an_environment_that_was_interrupted_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []

    def venv(command: list[str]) -> Ended:
        made.append(Path(command[-1]))
        half = Environment(Path(command[-1]))
        half.python.parent.mkdir(parents=True)
        half.python.touch()
        if len(made) == 1:
            raise KeyboardInterrupt
        return Ended(0, "", "")

    monkeypatch.setattr(environments, "ended", venv)
    one = Environment(tmp_path / "env")
    with pytest.raises(KeyboardInterrupt):
        one.begin()
    one.begin()
    one.begin()
    assert len(made) == 2
    assert "site.addsitedir" in (one.packages / "nestbench_bisect.pth").read_text()


@pytest.mark.slow
@pytest.mark.posix
def test_versions_are_installed_run_and_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Standard errors grow by 5 % at 1.3; 1.2 can't be imported; a second call makes nothing anew."""
    study = write_index(tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    told: list[str] = []
    trials = Trials(
        "nestbench-tiny-fit", Study(str(study), workers=1), Wanted(), tmp_path / "out", tell=told.append
    )
    outcome = ask(trials, Question("1.0", "1.4"))
    assert list(outcome.moved) == [("1.1", "1.3")]
    text = to_text(outcome, trials, 0.001)
    assert (
        "skipped: tiny-mean gave no usable answer in any fit; the first: RuntimeError: broken release" in text
    )
    moved = {move.key: move for move in outcome.moved["1.1", "1.3"]}
    assert {key[1] for key in moved} == {"tiny-mean"}
    (se,) = [move for key, move in moved.items() if key[3] == "model_se"]
    assert se.after[0] == pytest.approx(1.05 * se.before[0])
    assert not {"bias", "empirical_se"} & {key[3] for key in moved}
    assert trials.environment("1.3").has(["nestbench-tiny-fit==1.3"])
    assert not trials.environment("1.3").has(["nestbench-tiny-fit==1.3", "tqdm"])
    assert trials.along("1.3") == {}
    installed = len([line for line in told if "installing" in line])
    ask(trials, Question("1.0", "1.4"))
    assert len([line for line in told if "installing" in line]) == installed
    trials.remove()
    assert not trials.environment("1.3").folder.exists()
    with pytest.raises(InvalidInput, match=r"Did you mean '1\.4'"):
        ask(trials, Question("1.0", "1.44"))


def test_the_folder_it_is_typed_in_comes_before_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be the source tree of the very package, as which it must not be imported."""
    (tmp_path / "colorsys.py").write_text("print('mine')\n")
    monkeypatch.chdir(tmp_path)
    assert ended([sys.executable, "-m", "colorsys"]) == Ended(0, "", "")

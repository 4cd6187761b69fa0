"""`nestbench ci init`: what it writes, what it leaves, and the baseline it makes when it can."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nestbench.gate import starting
from nestbench.gate.files import BASELINE, METHODS, STUDY, WORKFLOW, methods_of, require_action, usual_action
from nestbench.gate.repository import Repository, look
from nestbench.gate.starting import Trial, begin, biased, needed, texts_of
from nestbench.reports.accuracy.baseline import baseline_of
from nestbench.sim.errors import InvalidInput, StoreError
from tests.reports.accuracy.gate_studies import DEFECTS, gate_study, with_defect

FILLED = '''
import nestbench
import numpy as np

@nestbench.estimator("numpy")
def fit(frame, model):
    """The mean, without schools."""
    y = frame["grade"]
    return {"Intercept": {"estimate": y.mean(), "std_error": y.std() / np.sqrt(len(y)), "df": len(y) - 1}}
'''


def repository(root: Path, name: str = "numpy") -> Repository:
    (root / "pyproject.toml").write_text(f'[project]\nname = "{name}"\n')
    return look(root)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies of a few replications: what they find is not looked at."""
    monkeypatch.setattr(starting, "SIZES", (3,))
    monkeypatch.setattr(starting, "USUAL", 3)
    monkeypatch.setattr(starting, "TRIAL", 2)


@pytest.mark.parametrize("name", ["statsmodels", "pyfixest", "mixedlm", "linearmodels", "some-package"])
def test_there_are_30_lines_to_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f'[project]\nname = "{name}"\nrequires-python = ">=3.13"\n')
    found = look(tmp_path)
    texts = texts_of(found, usual_action(), methods_of(found), 200)
    assert {*texts} == {WORKFLOW, STUDY, METHODS}
    assert sum(text.count("\n") for text in texts.values()) <= 30
    assert 'python-version: "3.13"' in texts[WORKFLOW]
    assert max(len(line) for text in texts.values() for line in text.splitlines()) < 250


def test_a_stub_is_written_then_filled_in_then_has_a_baseline(tmp_path: Path, few: None) -> None:
    found = repository(tmp_path)
    said = [*begin(found, "me/nestbench@v1")]
    assert said[0] == f"wrote {tmp_path / WORKFLOW} (13 lines)"
    assert "no fit gave an answer (NotImplementedError: call numpy here" in said[-1]
    assert "import numpy\n" in (tmp_path / METHODS).read_text()
    assert not (tmp_path / BASELINE).exists()
    (tmp_path / METHODS).write_text(FILLED)
    before = (tmp_path / STUDY).read_bytes()
    said = [*begin(found, "me/nestbench@v1")]
    assert [line for line in said if line.startswith("there already")] == said[:3]
    assert "3 replications a condition" in said[3]
    assert (tmp_path / STUDY).read_bytes() == before
    assert json.loads((tmp_path / BASELINE).read_text())["experiment"]["name"] == "numpy-accuracy"
    kept = (tmp_path / BASELINE).read_bytes()
    assert all(line.startswith("there already") for line in begin(found, "me/nestbench@v1"))
    assert (tmp_path / BASELINE).read_bytes() == kept


def test_a_package_that_is_not_installed_has_no_baseline_yet(tmp_path: Path) -> None:
    said = [*begin(repository(tmp_path, "never-published-x"), "OWNER/nestbench@v1")]
    assert "whose OWNER/nestbench@v1 it is (--action)" in said[-2]
    assert said[-1].startswith("no baseline yet: never-published-x isn't installed here; install it")
    assert (tmp_path / METHODS).exists()


@pytest.mark.parametrize(("name", "what"), [("statsmodels", "install a statsmodels"), ("mine", "fill in ")])
def test_what_is_needed_where_no_fit_gives_an_answer(tmp_path: Path, name: str, what: str) -> None:
    assert needed(repository(tmp_path, name)).startswith(what)


def test_a_bias_that_a_baseline_would_keep_is_said() -> None:
    clean = gate_study(400, cells=2, methods=("plain",))
    assert [*biased(baseline_of(clean))] == []
    lost = with_defect(clean, "plain", DEFECTS["a silent zero in 2 % of fits"])
    assert [*biased(baseline_of(lost))] == [], "8 zeros of 400 are no proof"
    (first, _) = biased(baseline_of(with_defect(clean, "plain", DEFECTS["sign of one term flipped"])))
    assert first.startswith(
        "note: plain is biased now, population.icc 0.0: gender[T.male] by -1.99 (MCSE 0.0052"
    )


def test_files_of_ones_own_are_left(tmp_path: Path) -> None:
    (tmp_path / WORKFLOW).parent.mkdir(parents=True)
    (tmp_path / WORKFLOW).write_text("mine\n")
    said = [*begin(repository(tmp_path, "never-published-x"), "me/nestbench@v1")]
    assert said[0] == f"there already, left as it is: {tmp_path / WORKFLOW}"
    assert (tmp_path / WORKFLOW).read_text() == "mine\n"


@pytest.mark.posix
def test_a_link_that_leads_nowhere_is_left(tmp_path: Path) -> None:
    (tmp_path / METHODS).parent.mkdir(parents=True)
    (tmp_path / METHODS).symlink_to("nowhere.py")
    said = [*begin(repository(tmp_path, "never-published-x"), "me/nestbench@v1")]
    assert f"there already, left as it is: {tmp_path / METHODS}" in said
    assert (tmp_path / METHODS).is_symlink()


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    """A file where a folder has to be: as a read-only repository, but for root too."""
    (tmp_path / ".github").write_text("")
    with pytest.raises(StoreError, match="expected to write"):
        [*begin(repository(tmp_path, "never-published-x"), "me/nestbench@v1")]


@pytest.mark.parametrize(("seconds", "replications"), [(0.01, 1000), (0.1, 500), (0.25, 200), (9.0, 200)])
def test_a_check_takes_as_many_replications_as_there_is_time_for(seconds: float, replications: int) -> None:
    assert Trial(seconds, {}).replications == replications


@pytest.mark.slow
def test_a_slow_method_is_given_fewer_replications(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fit of .05 s in two conditions: 600 replications a minute; those of a process of its own are counted."""
    monkeypatch.setattr(starting, "TRIAL", 2)
    found = repository(tmp_path)
    texts = texts_of(found, "me/nestbench@v1", methods_of(found), 200)
    slow = FILLED.replace("    y = frame", "    import time; time.sleep(0.05)\n    y = frame")
    tried = starting.trial({**texts, METHODS: slow})
    assert isinstance(tried, Trial)
    assert 0.1 <= tried.seconds < 5.0
    assert tried.replications <= 500


def test_the_action_is_a_name_that_a_workflow_can_use() -> None:
    assert require_action("me/nestbench@v1.2.0") == "me/nestbench@v1.2.0"
    for wrong in ("nestbench", "me/nestbench", "me/nestbench@v1\nrun: x", 'x" }'):
        with pytest.raises(InvalidInput, match="expected an action as OWNER/REPOSITORY@VERSION"):
            require_action(wrong)


@pytest.mark.slow
def test_a_package_of_the_league_works_at_once(tmp_path: Path, few: None) -> None:
    said = [*begin(repository(tmp_path, "statsmodels"), "me/nestbench@v1")]
    assert "wrote" in said[-2]
    assert "statsmodels 0." in said[-2]
    assert (
        'add_ways("statsmodels", "MixedLM", "MixedLM powell", "OLS cluster", '
        in (tmp_path / METHODS).read_text()
    )
    content = json.loads((tmp_path / BASELINE).read_text())
    assert "statsmodels-gee" in content["methods"]
    assert len(content["cells"]) == 2

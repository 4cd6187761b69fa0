"""Cells in several processes: the same answers as in one."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import nestbench
from nestbench.experiments.storing.store import Store
from nestbench.reports import parallel as cellwise
from nestbench.reports.measures.performance import performance_table
from nestbench.reports.page.survey import survey

STUDY = """
[experiment]
name = "small"
seed = 3
replications = 30
estimators = ["ols", "ols-cr1s-t"]
[population]
law = "random-intercept"
[layout]
schools = 6
students = 5
[model]
formula = "grade ~ age + resources"
group = "school"
[factors]
"population.icc" = [0.0, 0.2, 0.4]
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("cellwise")
    file = folder / "small.toml"
    file.write_text(STUDY)
    return Store.open(nestbench.run(file, out=folder / "run", workers=1).directory)


@pytest.mark.parametrize(
    "forks",
    [pytest.param(True, marks=pytest.mark.linux), pytest.param(False, marks=pytest.mark.slow)],
)
def test_processes_change_nothing(store: Store, monkeypatch: pytest.MonkeyPatch, forks: bool) -> None:
    here = survey(store, workers=1)
    monkeypatch.setattr(cellwise, "LONG", 0)
    monkeypatch.setattr(cellwise, "FORKS", forks)
    there = survey(store, workers=2)
    pd.testing.assert_frame_equal(there.table, here.table)
    assert there.matrices == here.matrices
    assert there.remarks == here.remarks
    assert there.failures == here.failures


def test_the_survey_has_the_performance_table(store: Store) -> None:
    pd.testing.assert_frame_equal(survey(store).table, performance_table(store))


def test_short_runs_start_no_process(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cellwise, "pool", None)
    monkeypatch.setattr(cellwise, "forked", None)
    assert [index for index, _ in enumerate(cellwise.over_cells(store, lambda results, cell: cell, 2))] == [
        0,
        1,
        2,
    ]


COLUMNS = """
"layout.students" = [5, 8]
"population.effects.resources" = [0.0, 0.5]
"""


def test_conditions_with_the_same_columns_follow_one_another(tmp_path: Path) -> None:
    """Answers come in the order of their numbers all the same, each as soon as those before it are there."""
    file = tmp_path / "several.toml"
    file.write_text(STUDY.replace("replications = 30", "replications = 2") + COLUMNS)
    results = Store.open(nestbench.run(file, out=tmp_path / "run", workers=1).directory)
    done: list[int] = []
    answers = cellwise.over_cells(results, lambda _, cell: (done.append(cell), cell)[1], 1)
    assert next(answers) == 0
    assert done == [0]
    assert list(answers) == list(range(1, 12))
    students = [results.experiment.cells[cell].layout.students for cell in done]
    assert students == [5] * 6 + [8] * 6


def test_many_conditions_are_long_however_few_their_fits(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Theory and page take their time a condition."""
    monkeypatch.setattr(cellwise, "A_CONDITION", cellwise.LONG)
    for name in ("pool", "forked"):
        monkeypatch.setattr(cellwise, name, lambda *_: pytest.fail("processes", pytrace=False))
    with pytest.raises(pytest.fail.Exception, match="processes"):
        cellwise.over_cells(store, lambda results, cell: cell, 2)


def test_a_cached_script_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nestbench.reports.figures import vega

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(vega, "bundled", lambda: "made once")
    assert vega.vega_script.__wrapped__() == "made once"
    monkeypatch.setattr(vega, "bundled", lambda: "made again")
    assert vega.vega_script.__wrapped__() == "made once"

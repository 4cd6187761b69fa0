"""SQL over stored rows, and its errors."""

from __future__ import annotations

import builtins
from dataclasses import replace
from typing import Any

import pytest

from nestbench.experiments.storing.rows import all_rows
from nestbench.reports.exports.query import query
from nestbench.sim.errors import InvalidInput
from tests.reports.synthetic import school_study

pytest.importorskip("duckdb", reason="the extra nestbench[query] isn't installed")


@pytest.fixture(scope="module")
def store() -> Any:
    return school_study(reps=20, schools=(6, 10), icc=(0.2,))


def test_counts_and_averages(store: Any) -> None:
    answer = query(
        store, "select estimator, count(*) as n from fits where term = 'age' group by all order by 1"
    )
    assert set(answer["n"]) == {40}
    assert len(answer) == 6
    mean = query(
        store, "select avg(estimate) as m from fits where cell = 1 and estimator = 'ols' and term = 'age'"
    )
    assert mean["m"][0] == pytest.approx(store.cells[1]["ols"].estimate[:, 1].mean())


def test_performance_and_cells_are_tables_too(store: Any) -> None:
    answer = query(
        store,
        'select "layout.schools", value from performance join cells using (cell, "layout.schools") '
        "where measure = 'coverage' and estimator = 'ols' and term = 'age' order by 1",
    )
    assert list(answer["layout.schools"]) == [6, 10]


@pytest.mark.parametrize(
    "sql",
    [
        "selct 1",
        "select * from fit",
        "select * from read_csv('/etc/passwd')",
        "select * from '/etc/passwd'",
        "copy (select 1) to '/tmp/nestbench-query-test.csv'",
        "select * from store",
        "",
    ],
)
def test_bad_statements_and_files_are_refused(store: Any, sql: str) -> None:
    with pytest.raises(InvalidInput, match="expected one SQL statement"):
        query(store, sql)


def test_says_how_to_install_duckdb(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "duckdb":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InvalidInput, match=r"pip install 'nestbench\[query\]'"):
        query(store, "select 1")


def test_levels_that_are_lists_are_kept_whole() -> None:
    study = school_study(reps=3, schools=(6,), icc=(0.2,))
    study.experiment = replace(study.experiment, levels=({"layout.students": (10, 30)},))
    rows = all_rows(study)
    assert set(rows["layout.students"]) == {(10, 30)}
    assert len(query(study, "select * from cells")) == 1

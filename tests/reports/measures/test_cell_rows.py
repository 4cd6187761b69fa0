"""A cell read term by term answers as one held whole: every measure, contrast, ranking, remark and failure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nestbench.estimators.estimates import STORED_COLUMNS
from nestbench.experiments.running.start import run_experiment
from nestbench.experiments.storing.store import Store
from nestbench.experiments.toml.reading import experiment_from
from nestbench.reports.comparing.contrasts import contrast_table
from nestbench.reports.comparing.decomposition import decomposition_table
from nestbench.reports.comparing.two_runs import compare_runs
from nestbench.reports.figures.replication_rows import first_data_sets
from nestbench.reports.measures import cell_rows
from nestbench.reports.measures.performance import performance_table
from nestbench.reports.page.survey import CellSeen, see_cell
from tests.memory import peaks

TABLES: dict[str, Any] = {
    "experiment": {
        "name": "parts",
        "seed": 3,
        "replications": 120,
        "reference_replications": 36,
        "audit": 0,
        "estimators": ["ols", "ols-cr2-satt", "reml-satt", "mixedlm", "dummies", "means"],
    },
    "population": {"icc": 0.05, "effects": {"age": 0.0, "resources": 0.5}},
    "layout": {"schools": 4, "students": 5},
    "model": {"formula": "grade ~ age + resources"},
}
"""Few schools: fits fail, terms are missing beside dummies, one method has fewer replications."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return run_experiment(experiment_from(TABLES), tmp_path_factory.mktemp("run") / "run", workers=1)


def same(first: pd.DataFrame, second: pd.DataFrame) -> None:
    """Equal up to the rounding of sums, in any order of rows."""
    by = [c for c in ("cell", "estimator", "term", "measure", "contrast", "step") if c in first.columns]
    left, right = (frame.sort_values(by).reset_index(drop=True) for frame in (first, second))
    pd.testing.assert_frame_equal(left, right, rtol=1e-9, atol=1e-12)


Seen = tuple[CellSeen, pd.DataFrame, pd.DataFrame]


def everything(store: Store) -> Seen:
    return see_cell(store, 0, "ols"), contrast_table(store, "ols"), decomposition_table(store)


@pytest.fixture(scope="module")
def whole(store: Store) -> Seen:
    assert TABLES["experiment"]["replications"] < cell_rows.LONG
    return everything(store)


def by_term(monkeypatch: pytest.MonkeyPatch, longest: int) -> None:
    """Have conditions of more than so many replications read by term."""
    monkeypatch.setattr(cell_rows, "LONG", longest)
    monkeypatch.setattr(cell_rows, "ROWS", 0)


def test_few_rows_are_held_whole_however_long(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell_rows, "LONG", 119)
    length = 120 * sum(map(len, store.names(0).values()))
    for rows, whole in ((length, True), (length - 1, False)):
        monkeypatch.setattr(cell_rows, "ROWS", rows)
        assert (cell_rows.rows_of(store, 0).names is None) is whole


def test_blocks_are_kept_while_they_are_few(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = cell_rows.rows_of(store, 0)
    first = rows.block("ols")
    assert rows.block("reml-satt") is not first
    assert rows.block("ols") is first
    monkeypatch.setattr(cell_rows, "KEPT", 0)
    rows.block("means")
    assert rows.block("ols") is not first


def test_reading_by_term_can_not_be_seen(store: Store, whole: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    by_term(monkeypatch, 119)
    parts = everything(store)
    assert len(whole[0].failures) > 2
    for first, second in zip((whole[0].table, *whole[1:]), (parts[0].table, *parts[1:]), strict=True):
        same(first, second)
    assert list(parts[0].entries) == list(whole[0].entries)
    for at, found in parts[0].entries.items():
        assert replace(found, p=0.0) == replace(whole[0].entries[at], p=0.0)
        assert found.p == pytest.approx(whole[0].entries[at].p, rel=1e-6, nan_ok=True)
    assert parts[0].remarks == whole[0].remarks
    assert parts[0].failures == whole[0].failures
    same(performance_table(store), whole[0].table)


@pytest.mark.parametrize("seed", [3, pytest.param(4, marks=pytest.mark.slow)])
def test_runs_compared_term_by_term(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """A shorter run of the same data sets, and one of others."""
    experiment = TABLES["experiment"] | {"replications": 92, "reference_replications": 16, "seed": seed}
    other = run_experiment(experiment_from(TABLES | {"experiment": experiment}), tmp_path / "run", workers=1)
    whole = compare_runs(store, other)
    assert whole["paired"].all() == (seed == 3)
    by_term(monkeypatch, 40)
    same(compare_runs(store, other), whole)


@pytest.mark.slow
def test_parts_of_runs_are_those_of_the_same_replications(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of which only later replications are stored, as a part made with --shard may be."""
    run_experiment(experiment_from(TABLES), tmp_path / "run", workers=1, block=20)
    later = Store.open(tmp_path / "run")
    for entry in list(later.entries.values()):
        if entry.task.start < 60:
            del later._entries[entry.task.key]
    whole = compare_runs(store, later)
    assert set(whole["n"]) == {60}
    first = see_cell(later, 0, "ols")
    by_term(monkeypatch, 40)
    same(compare_runs(store, later), whole)
    same(see_cell(later, 0, "ols").table, first.table)
    assert list(first_data_sets(later, 0)) == list(later.estimates(0))


def test_replications_within_a_range(store: Store) -> None:
    """Tasks are cut elsewhere than ranges: what is read is the range, whole arrays and no others."""
    whole, some = store.estimates(0), store.estimates(0, range(15, 85))
    assert list(some) == list(whole)
    for label in whole:
        chosen = np.isin(whole[label].replications, range(15, 85))
        for name in (*STORED_COLUMNS, "replications", "status"):
            expected = getattr(whole[label], name)[chosen]
            np.testing.assert_array_equal(getattr(some[label], name), expected)
        texts = [text for text, yes in zip(whole[label].texts(), chosen, strict=True) if yes]
        assert some[label].texts() == texts


def test_terms_by_name(store: Store) -> None:
    """What is read by name is what the whole has of it; a name that nobody has leaves what fits are."""
    whole, known = store.estimates(0), store.names(0)
    for label in whole:
        assert known[label] == (*whole[label].terms, *whole[label].quantities)
    for names in (("age",), ("(school_sd)",), ("resources", "(icc)"), (), ("no such",)):
        some = store.estimates(0, names=names)
        for label in whole:
            expected = whole[label].only(names)
            assert (some[label].terms, list(some[label].quantities)) == (
                expected.terms,
                list(expected.quantities),
            )
            for name in (*STORED_COLUMNS, "replications", "status"):
                np.testing.assert_array_equal(getattr(some[label], name), getattr(expected, name))
            for name, values in expected.quantities.items():
                np.testing.assert_array_equal(some[label].quantities[name], values)
            assert some[label].texts() == expected.texts()


@pytest.mark.slow
def test_a_million_replications_stay_below_800_megabytes(tmp_path: Path) -> None:
    """Memory grows in proportion to replications, by the columns of one term: two points tell where a million is.

    The shorter one, of 2.5 million rows, is read by term already.
    """
    (short, _), (long, _) = (peaks(n, tmp_path, seen=True) for n in (250_000, 400_000))
    assert short + 5.0 * (long - short) <= 800, (short, long)

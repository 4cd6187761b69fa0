"""A cell read in parts answers as one read at once: every measure, contrast, ranking, remark and failure."""

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
from nestbench.reports.measures import in_parts
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
    assert TABLES["experiment"]["replications"] < in_parts.PART
    return everything(store)


@pytest.mark.parametrize("part", [26, 119])
def test_parts_can_not_be_seen(store: Store, whole: Seen, monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    monkeypatch.setattr(in_parts, "PART", part)
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


@pytest.mark.parametrize("seed", [3, 4])
def test_runs_compared_in_parts(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """A shorter run of the same data sets, and one of others."""
    experiment = TABLES["experiment"] | {"replications": 92, "reference_replications": 16, "seed": seed}
    other = run_experiment(experiment_from(TABLES | {"experiment": experiment}), tmp_path / "run", workers=1)
    whole = compare_runs(store, other)
    assert whole["paired"].all() == (seed == 3)
    monkeypatch.setattr(in_parts, "PART", 40)
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
    monkeypatch.setattr(in_parts, "PART", 40)
    same(compare_runs(store, later), whole)
    same(see_cell(later, 0, "ols").table, first.table)
    assert list(in_parts.first_piece(later, 0).labels) == list(later.estimates(0))


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
    times = store.timings(0, range(15, 85))
    assert set(times["replication"]) == set(range(15, 85))


@pytest.mark.slow
def test_memory_does_not_grow_with_replications(tmp_path: Path) -> None:
    """200 000 more replications are 102 MB of stored numbers, several times that with what is computed of them."""
    (short, _), (long, _) = (peaks(n, tmp_path, seen=True) for n in (100_000, 300_000))
    assert long <= short + 40, (short, long)

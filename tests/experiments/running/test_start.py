"""Runs: the same numbers for any workers, blocks and order; resumed, extended, refused."""

from __future__ import annotations

import hashlib
import json
import re
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from statsmodels.regression.mixed_linear_model import MixedLM

from nestbench.estimators.estimates import FitStatus
from nestbench.estimators.estimator import Estimator, Info
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.plan import Task
from nestbench.experiments.running.auditing import audit_run
from nestbench.experiments.running.costs import Standing
from nestbench.experiments.running.progress import Quiet
from nestbench.experiments.running.resolving import resolve
from nestbench.experiments.running.start import run_experiment
from nestbench.experiments.running.work import TaskError, Work, perform
from nestbench.experiments.storing.encoding import AUDIT_COLUMNS
from nestbench.experiments.storing.rows import all_rows
from nestbench.experiments.storing.store import Store
from nestbench.experiments.toml.reading import experiment_from
from nestbench.experiments.toml.writing import to_toml
from nestbench.sim.errors import InvalidInput, StoreError


def bytes_of_fits(folder: Path) -> dict[str, str]:
    files = sorted((folder / "fits").rglob("*.parquet"))
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


class Counter(Quiet):
    """Counts stored tasks and stops the run, as Ctrl-C does, after some."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.tasks, self.stop_after = 0, stop_after

    def advance(self, standing: Standing) -> None:
        self.tasks += 1
        if self.tasks == self.stop_after:
            raise KeyboardInterrupt


def test_workers_and_blocks_cannot_be_seen(tiny: Experiment, tmp_path: Path) -> None:
    one = run_experiment(tiny, tmp_path / "one", workers=1, block=5)
    two = run_experiment(tiny, tmp_path / "two", workers=2, block=5)
    whole = run_experiment(tiny, tmp_path / "whole", workers=1, block=100)
    assert bytes_of_fits(one.folder) == bytes_of_fits(two.folder)
    assert len(bytes_of_fits(one.folder)) == 12
    assert len(bytes_of_fits(whole.folder)) == 4
    pd.testing.assert_frame_equal(all_rows(one), all_rows(whole), check_exact=True)


def test_other_methods_and_cells_change_nothing(tables: dict[str, Any], tmp_path: Path) -> None:
    both = all_rows(run_experiment(experiment_from(tables), tmp_path / "a", workers=1))
    tables["experiment"]["estimators"] = ["means"]
    tables["factors"] = {"population.icc": [0.2, 0.0], "layout.students": [[3, 4, 5, 6], 5]}
    other = all_rows(run_experiment(experiment_from(tables), tmp_path / "b", workers=1))
    keys = ["layout.students", "population.icc", "term", "replication"]

    def sorted_rows(rows: pd.DataFrame) -> pd.DataFrame:
        rows = rows[rows["estimator"] == "means"].astype({"layout.students": str, "term": str})
        return rows.sort_values(keys)[[*keys, "estimate", "std_error", "df"]].reset_index(drop=True)

    pd.testing.assert_frame_equal(sorted_rows(both), sorted_rows(other), check_exact=True)


def test_interrupted_then_resumed_gives_the_same_bytes(tiny: Experiment, tmp_path: Path) -> None:
    undisturbed = run_experiment(tiny, tmp_path / "undisturbed", workers=1, block=4)
    with pytest.raises(Exception, match=r"5 of 12 tasks.*nestbench run"):
        run_experiment(tiny, tmp_path / "stopped", workers=1, block=4, progress=Counter(5))
    counter = Counter()
    resumed = run_experiment(tmp_path / "stopped", workers=1, progress=counter)
    assert counter.tasks == 7
    assert bytes_of_fits(resumed.folder) == bytes_of_fits(undisturbed.folder)
    again = Counter()
    run_experiment(tiny, tmp_path / "stopped", workers=1, progress=again)
    assert again.tasks == 0, "a finished run is left as it is"


def test_extending_adds_only_what_is_new(tiny: Experiment, tmp_path: Path) -> None:
    run_experiment(tiny, tmp_path / "run", workers=1)
    before = bytes_of_fits(tmp_path / "run")
    longer = run_experiment(tiny, tmp_path / "run", workers=1, changes={"replications": 20})
    assert before.items() <= bytes_of_fits(tmp_path / "run").items()
    direct = run_experiment(tiny, tmp_path / "direct", workers=1, changes={"replications": 20})
    pd.testing.assert_frame_equal(all_rows(longer), all_rows(direct), check_exact=True)
    shorter = run_experiment(tiny, tmp_path / "run", workers=1)
    assert shorter.experiment.replications == 20


def test_bounded_methods_stop_at_their_bound(tiny: Experiment, tmp_path: Path) -> None:
    slow = replace(tiny, estimators=tiny.estimators[2:], reference_replications=5)
    slow = replace(slow, estimators=tuple(replace(e, batched=None, agreement=None) for e in slow.estimators))
    store = run_experiment(
        replace(slow, cells=slow.cells[:1], levels=slow.levels[:1]), tmp_path / "r", workers=1
    )
    assert store.estimates(0)["means"].replications.tolist() == [0, 1, 2, 3, 4]


def test_foreign_directories_are_refused(tiny: Experiment, tmp_path: Path) -> None:
    run_experiment(tiny, tmp_path / "run", workers=1)
    before = bytes_of_fits(tmp_path / "run")
    with pytest.raises(StoreError, match="different experiment"):
        run_experiment(tiny, tmp_path / "run", workers=1, changes={"seed": 8})
    assert bytes_of_fits(tmp_path / "run") == before
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.txt").write_text("precious")
    with pytest.raises(StoreError, match=r"thesis\.txt"):
        run_experiment(tiny, tmp_path / "notes", workers=1)
    with pytest.raises(StoreError, match="expected a run directory"):
        Store.open(tmp_path / "notes")


def test_the_default_directory(tiny: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = run_experiment(tiny, workers=1)
    assert first.folder == Path("runs/tiny")
    other = run_experiment(tiny, workers=1, changes={"seed": 8})
    assert other.folder == Path("runs") / f"tiny-{other.experiment.key[:8]}"
    assert run_experiment(tiny, workers=1).folder == first.folder


def test_a_run_is_whole_without_its_toml(tiny: Experiment, tmp_path: Path) -> None:
    store = run_experiment(tiny, tmp_path / "run", workers=1)
    moved = (tmp_path / "run").rename(tmp_path / "elsewhere")
    opened = Store.open(moved)
    assert opened.experiment == store.experiment
    assert opened.missing() == []
    assert opened.provenance["packages"]["numpy"] == np.__version__
    assert json.loads((moved / "manifest.json").read_text())["key"] == tiny.key


def test_times_stand_apart(tiny: Experiment, tmp_path: Path) -> None:
    store = run_experiment(tiny, tmp_path / "run", workers=1)
    times = store.timings(1)
    assert list(times.columns) == ["estimator", "engine", "replication", "seconds"]
    assert len(times) == 3 * 12
    assert (times["seconds"] > 0).all()
    assert np.isnan(store.estimates(1)["ols"].seconds).all()


def test_formulas_are_checked_before_anything_runs(tables: dict[str, Any], tmp_path: Path) -> None:
    tables["model"]["formula"] = "grade ~ agee"
    with pytest.raises(InvalidInput, match="agee"):
        run_experiment(experiment_from(tables), tmp_path / "run", workers=1)
    tables["model"] = {"formula": "grade ~ age", "group": "class"}
    with pytest.raises(InvalidInput, match="group"):
        run_experiment(experiment_from(tables), tmp_path / "run2", workers=1)


def test_a_defect_in_a_method_stops_the_run_with_its_name(tiny: Experiment) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("oops")

    estimator = Estimator("broken", 1, Info("", "", "", "", ""), reference=broken)
    work = Work.of(replace(tiny, estimators=(estimator,)), Task(0, 0, 3, (0,)))
    with pytest.raises(TaskError, match=r"'broken' raised RuntimeError: oops .*replications 0 to 2"):
        perform(work)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"replications": np.array([0, 2, 1])}, "3 fits for 3 data sets, or in another order"),
        ({"df": np.zeros((3, 1))}, "'df' of shape (3, 1) where (3, 3) was expected"),
        ({"status": np.full(3, 9, dtype=np.int8)}, "a status that doesn't exist"),
    ],
)
def test_rubbish_from_an_engine_is_a_defect_not_a_number(
    tiny: Experiment, change: dict[str, Any], said: str
) -> None:
    ols = tiny.estimators[0]

    def rubbish(batch: Any, model: Any, options: Any) -> Any:
        return replace(ols.fit(batch, model, "reference"), **change)

    estimator = Estimator("rubbish", 1, Info("", "", "", "", ""), reference=rubbish)
    work = Work.of(replace(tiny, estimators=(estimator,)), Task(0, 0, 3, (0,)))
    with pytest.raises(TaskError, match=re.escape(said)):
        perform(work)


def test_wrong_numbers_of_workers(tiny: Experiment, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="workers >= 1"):
        run_experiment(tiny, tmp_path / "run", workers=0)


def test_audits_compare_engines_and_blocks_cannot_be_seen(tables: dict[str, Any], tmp_path: Path) -> None:
    tables["experiment"] |= {"estimators": ["ols", "ols-hc1", "reml-z"], "audit": 7, "replications": 9}
    tables["factors"] = {"population.icc": [0.0, 0.2]}
    experiment = experiment_from(tables)
    store = run_experiment(experiment, tmp_path / "run", workers=1)
    audits = store.audits()
    assert list(audits.columns) == list(AUDIT_COLUMNS)
    assert list(zip(audits["cell"], audits["estimator"], strict=True)) == [
        (cell, name) for cell in (0, 1) for name in ("ols", "ols-hc1", "reml-z")
    ]
    assert set(audits["fits"]) == {7}
    assert audits["disagreements"].sum() == 0
    assert audits["worst"].max() < 1e-9
    pd.testing.assert_frame_equal(audits, audit_run(experiment, 7))
    longer = run_experiment(experiment, tmp_path / "run", workers=1, changes={"audit": 8})
    assert set(longer.audits()["fits"]) == {8}


@pytest.mark.slow
def test_every_fit_of_mixedlm_is_held_against_the_exact_maximum(
    tables: dict[str, Any], tmp_path: Path
) -> None:
    tables["experiment"] |= {"estimators": ["ols", "mixedlm"], "audit": 2, "replications": 6}
    experiment = experiment_from(tables)
    store = run_experiment(experiment, tmp_path / "run", workers=1)
    audits = store.audits()
    assert dict(zip(audits["estimator"], audits["fits"], strict=True)) == {"ols": 2, "mixedlm": 6}
    again = audit_run(experiment, 6)
    mixedlm, fresh = (a[a["estimator"] == "mixedlm"].reset_index(drop=True) for a in (audits, again))
    pd.testing.assert_frame_equal(mixedlm, fresh)
    by_reference = run_experiment(experiment, tmp_path / "slow", workers=1, changes={"engine": "reference"})
    assert not len(by_reference.audits())


@pytest.mark.posix
def test_subjects_whose_every_fit_is_lost_do_not_stop_a_run(
    tables: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MixedLM, "fit", lambda _: signal.pause())  # forks inherit it: no fit ends by itself
    tables["experiment"] |= {"estimators": ["mixedlm"], "replications": 3, "fit_timeout": 0.05}
    store = run_experiment(experiment_from(tables), tmp_path / "run", workers=1)
    assert (store.estimates(0)["mixedlm"].status == FitStatus.TIMEOUT).all()
    assert set(store.audits()["fits"]) == {3}


class Notes(Quiet):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def test_fewer_replications_than_there_are_is_said(tiny: Experiment, tmp_path: Path) -> None:
    run_experiment(tiny, tmp_path / "run", workers=1)
    told, full = Notes(), Notes()
    store = run_experiment(tmp_path / "run", workers=1, changes={"replications": 5}, progress=told)
    assert "has 12 replications of each condition already, more than the 5 asked for" in told.said[0]
    assert store.estimates(0)["ols"].size == 12
    run_experiment(tmp_path / "run", workers=1, progress=full)
    assert full.said == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"seed": 8}, "other seed"),
        ({"estimators": ["ols"]}, "other methods"),
        ({"seed": 8, "engine": "reference"}, "other seed and engine"),
    ],
)
def test_another_directory_than_the_name_says_is_explained(
    tiny: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    run_experiment(tiny, workers=1)
    told = Notes()
    other = run_experiment(tiny, workers=1, changes=change, progress=told)
    assert f"runs/tiny holds a run with {why}; this one goes to {other.folder}" in told.said


def test_the_copy_of_a_toml_in_a_run_is_the_run(
    tables: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what was set on the command line, and files found from where it came from; changed, it is a file."""
    monkeypatch.chdir(tmp_path)
    table = {**tables, "experiment": {**tables["experiment"], "replications": 50}}
    Path("study.toml").write_text(to_toml(table))
    first = run_experiment("study.toml", "a", workers=1, changes={"replications": 3, "estimators": ["ols"]})
    copied = run_experiment("a/experiment.toml", "b", workers=1)
    again = run_experiment("a/experiment.toml", "b", workers=1)
    assert copied.experiment.key == again.experiment.key == first.experiment.key
    assert bytes_of_fits(Path("b")) == bytes_of_fits(Path("a"))
    Path("a/experiment.toml").write_text(to_toml({**table, "experiment": {**table["experiment"], "seed": 8}}))
    assert resolve("a/experiment.toml").seed == 8

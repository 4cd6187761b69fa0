"""Runs of before data sets were drawn by statistics: read, extended, replayed and checked as they were drawn."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.running.progress import Quiet
from nestbench.experiments.running.start import run_experiment
from nestbench.experiments.storing.manifest import read_manifest, write_manifest
from nestbench.experiments.storing.store import Store
from nestbench.experiments.toml.reading import experiment_from
from nestbench.experiments.toml.stored import from_stored, to_stored
from nestbench.reports.accuracy.baseline import baseline_of
from nestbench.reports.accuracy.baseline_file import checksum, experiment_of, read_baseline, to_json
from nestbench.reports.accuracy.check import check
from nestbench.reports.comparing.two_runs import compare_runs
from tests.experiments.running.test_start import bytes_of_fits


class Heard(Quiet):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def by_students(tables: dict[str, Any]) -> Experiment:
    """The small experiment as everything was drawn before, of one condition."""
    tables["population"]["version"] = 1
    tables["factors"] = {"population.icc": [0.2]}
    return experiment_from(tables)


def forget_versions(folder: Path) -> None:
    """Make of a run's manifest one of before there were versions."""
    manifest = read_manifest(folder)
    assert manifest is not None
    for cell in manifest["experiment"]["cells"]:
        assert cell["population"].pop("version") == 1
    write_manifest(folder, manifest)


def test_a_run_without_versions_is_read_and_extended_as_it_was_drawn(
    by_students: Experiment, tmp_path: Path
) -> None:
    run_experiment(replace(by_students, replications=6), tmp_path / "old", workers=1)
    forget_versions(tmp_path / "old")
    store = Store.open(tmp_path / "old")
    assert store.experiment.key == by_students.key
    assert store.experiment.cells == by_students.cells
    run_experiment(tmp_path / "old", workers=1, changes={"replications": 12}, block=6)
    whole = run_experiment(by_students, tmp_path / "whole", workers=1, block=6)
    old = Store.open(tmp_path / "old")
    for label, estimates in whole.estimates(0).items():
        np.testing.assert_array_equal(old.estimates(0)[label].estimate, estimates.estimate)
    frames = [
        s.experiment.cells[0].draw(s.experiment.seed, range(7, 8)).replication(0).frame()
        for s in (old, whole)
    ]
    assert frames[0].equals(frames[1])


def test_the_same_file_is_another_run_now(
    by_students: Experiment, tables: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes elsewhere and says why; the two are compared condition by condition, as different data sets."""
    monkeypatch.chdir(tmp_path)
    old = run_experiment(by_students, workers=1)
    forget_versions(old.folder)
    before = bytes_of_fits(old.folder)
    tables["population"].pop("version")
    heard = Heard()
    new = run_experiment(experiment_from(tables), workers=1, progress=heard)
    assert new.folder != old.folder
    assert bytes_of_fits(old.folder) == before
    assert any("ways of drawing data sets (population.version)" in said for said in heard.said)
    compared = compare_runs(Store.open(old.folder), new)
    assert len(compared)
    assert not compared["paired"].any()


def test_a_baseline_without_versions(by_students: Experiment, tables: dict[str, Any], tmp_path: Path) -> None:
    """Its own experiment gives the same numbers; the same file's new data sets are tested as other data."""
    old = run_experiment(by_students, tmp_path / "old", workers=1)
    content = json.loads(to_json(baseline_of(old)))
    assert content["experiment"]["cells"][0]["population"].pop("version") == 1
    (tmp_path / "old.json").write_text(json.dumps({**content, "checksum": checksum(content)}))
    baseline = read_baseline(tmp_path / "old.json")
    assert experiment_of(baseline, tmp_path).key == by_students.key
    outcome = check(baseline, old)
    assert outcome.identical == outcome.pairs > 0
    tables["population"].pop("version")
    new = run_experiment(experiment_from(tables), tmp_path / "new", workers=1)
    outcome = check(baseline, new)
    assert outcome.pairs > 0
    assert outcome.replayed == 0
    assert any("population.version" in note for note in outcome.notes)


def test_what_is_stored_says_how_it_was_drawn(tables: dict[str, Any], tmp_path: Path) -> None:
    """Both versions are written, so that the default may change again."""
    for version in (1, 2):
        tables["population"]["version"] = version
        made = experiment_from(tables)
        stored = to_stored(made)
        assert {cell["population"]["version"] for cell in stored["cells"]} == {version}
        assert from_stored(stored, tmp_path).cells == made.cells

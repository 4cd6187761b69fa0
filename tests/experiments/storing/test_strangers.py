"""Runs of somebody else's, and damaged ones: no code runs, nothing is written elsewhere, no number changes unsaid."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nestbench.estimators.methods import registry
from nestbench.experiments.running.resolving import resolve
from nestbench.experiments.running.start import run_experiment
from nestbench.experiments.running.trusting import open_with_code
from nestbench.experiments.storing.manifest import MANIFEST, MANIFEST_COPY, read_manifest, write_manifest
from nestbench.experiments.storing.merging import merge
from nestbench.experiments.storing.rows import all_rows
from nestbench.experiments.storing.store import Store
from nestbench.experiments.toml import named
from nestbench.experiments.toml.reading import experiment_from
from nestbench.reports.measures.performance import performance_table
from nestbench.sim.errors import InvalidInput, NestbenchError, StoreError
from nestbench.sim.laws import registry as laws
from tests.experiments.conftest import TABLES

PLUGIN = '''
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import nestbench

Path({mark!r}).touch()

@nestbench.estimator("stranger-mean", summary="A mean from far away.")
def mean(frame, model):
    y = frame["grade"].to_numpy()
    return {{"Intercept": {{"estimate": y.mean(), "std_error": y.std(ddof=1) / np.sqrt(len(y))}}}}

@nestbench.population
@dataclass(frozen=True)
class Far:
    """A law from far away."""
    name = "far-law"
    shift: float = 0.0
    @property
    def truth(self):
        return {{"Intercept": self.shift}}
    def frame(self, layout, rng):
        return pd.DataFrame({{"school": np.repeat(range(4), 3), "grade": rng.normal(self.shift, 1.0, 12)}})
'''


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, pd.DataFrame]:
    """A run with a method and a law of a plugin, the mark that its code leaves, and its performance."""
    folder = tmp_path_factory.mktemp("far")
    mark = folder / "code-ran"
    (folder / "far.py").write_text(PLUGIN.format(mark=str(mark)), encoding="utf-8")
    tables = {
        "experiment": {
            "name": "far",
            "estimators": ["ols", "stranger-mean"],
            "plugins": ["far.py"],
            "replications": 6,
            "audit": 0,
        },
        "population": {"law": "far-law"},
        "model": {"formula": "grade ~ 1"},
        "factors": {"population.shift": [0.0, 1.0]},
    }
    store = run_experiment(experiment_from(tables, folder), folder / "run", workers=1)
    return store.folder, mark, performance_table(store)


@pytest.fixture
def foreign(
    made: tuple[Path, Path, pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Path]:
    """The same as if it came from somebody else; and the mark its code leaves."""
    folder, mark, _ = made
    shutil.copytree(folder, tmp_path / "run")
    forget(Store.open(folder), monkeypatch, tmp_path)
    mark.unlink(missing_ok=True)
    return tmp_path / "run", mark


def forget(store: Store, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make this process one that never saw the plugins of a run."""
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    monkeypatch.setattr(named, "_NAMED", set())
    monkeypatch.setattr(registry, "_ADDED", {})
    monkeypatch.setattr(laws, "_ADDED", {})
    for plugin in store.experiment.plugins:
        sys.modules.pop(f"nestbench_plugin_{plugin.sha256[:16]}", None)


def test_reading_a_strangers_run_runs_no_code(
    foreign: tuple[Path, Path], made: tuple[Path, Path, pd.DataFrame], tmp_path: Path
) -> None:
    """The table of a run is the same without its plugins; merging what is stored needs them neither."""
    folder, mark = foreign
    store = Store.open(folder)
    pd.testing.assert_frame_equal(performance_table(store), made[2])
    assert store.experiment.estimators[1].info.summary == "A mean from far away."
    assert store.experiment.cells[1].truth == {"Intercept": 1.0}
    joined, _ = merge([folder], tmp_path / "joined", {"packages": {}})
    assert joined.experiment.key == store.experiment.key
    pd.testing.assert_frame_equal(performance_table(Store.open(joined.folder)), performance_table(store))
    assert not mark.exists()


def test_code_runs_when_it_is_named_or_trusted(foreign: tuple[Path, Path], tmp_path: Path) -> None:
    """Running says which file it would run; --trust, or the same content in a TOML of one's own, lets it."""
    folder, mark = foreign
    with pytest.raises(InvalidInput, match=r"never named in a TOML file: .*far\.py.*--trust"):
        resolve(folder)
    with pytest.raises(InvalidInput, match="the population 'far-law', got none loaded"):
        Store.open(folder).experiment.cells[0].draw(1, range(1))
    assert not mark.exists()
    assert open_with_code(folder, trust=True).experiment.estimators[1].reference is not None
    assert mark.exists()
    with pytest.raises(InvalidInput, match="--trust"):
        open_with_code(folder)  # trust is for the call, not for ever
    named.remember(open_with_code(folder, trust=True).experiment.plugins[0])
    open_with_code(folder)
    named._NAMED.clear()
    open_with_code(folder)  # kept for later processes


def edited(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a run's manifest as a stranger would: with right checksums."""
    manifest = read_manifest(folder)
    assert manifest is not None
    change(manifest)
    write_manifest(folder, manifest)


def put(*path: Any, value: Any) -> Callable[[dict[str, Any]], object]:
    """Return the change that sets a value at a path."""

    def change(manifest: dict[str, Any]) -> None:
        place: Any = manifest
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        put("experiment", "plugins", 0, "name", value="../../far.py"),
        put("experiment", "plugins", 0, "name", value="/etc/far.py"),
        put("experiment", "plugins", 0, "name", value="..\\far.py"),
        put("experiment", "name", value="../../escaped"),
        put("experiment", "name", value=7),
        put("experiment", "seed", value=-1),
        put("experiment", "seed", value=2**70),
        put("experiment", "replications", value=10**23),
        put("experiment", "estimators", value=[]),
        put("experiment", "estimators", 0, value="ols"),
        put("experiment", "estimators", 0, "name", value="unheard-of"),
        put("experiment", "cells", value=None),
        put("experiment", "cells", 0, "population", value={"law": []}),
        put("experiment", "levels", value=[]),
        put("experiment", value=[1]),
        put("rounds", 0, "replications", value=[10**30]),
        put("rounds", 0, "replications", value=[1]),
        put("rounds", value=[]),
        put("block", value=0),
        put("shard", value=[0, "x"]),
        put("sessions", value=3),
        put("provenance", value=[]),
        put("key", value="0" * 16),
        put("format", value=99),
        put("format", value=[]),
    ],
)
def test_manifests_are_validated(
    foreign: tuple[Path, Path], change: Callable[[dict[str, Any]], object]
) -> None:
    """What no run writes is refused in words."""
    folder, mark = foreign
    edited(folder, change)
    with pytest.raises((StoreError, InvalidInput)):
        Store.open(folder)
    assert not mark.exists()


@pytest.mark.parametrize("text", ["[1]", "1", "null", '"x"', "{}", "[" * 100_000, "\x00", ""])
def test_other_json_is_no_manifest(foreign: tuple[Path, Path], text: str) -> None:
    """Valid JSON of another shape is refused in words."""
    for name in (MANIFEST, MANIFEST_COPY):
        (foreign[0] / name).write_text(text, encoding="utf-8")
    with pytest.raises(StoreError):
        Store.open(foreign[0])


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the built-in law."""
    return run_experiment(
        experiment_from(TABLES), tmp_path_factory.mktemp("small") / "run", workers=1, block=4
    ).folder


@pytest.fixture
def whole(small: Path, tmp_path: Path) -> Store:
    """A copy of it to be harmed."""
    shutil.copytree(small, tmp_path / "run")
    return Store.open(tmp_path / "run")


def journal_line(body: dict[str, Any]) -> bytes:
    text = json.dumps(body).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


@pytest.mark.parametrize(
    "path", ["../out.txt", "/tmp/out.txt", "fits/../../out.txt", "lock", "manifest.json"]
)
def test_journal_paths_are_those_of_their_task(whole: Store, tmp_path: Path, path: str) -> None:
    """A line that names another file is no line of a run: nothing is read from there, nothing copied to there."""
    store = whole
    data = b"secret"
    entry = next(iter(store.entries.values()))
    task = [entry.task.cell, entry.task.start, entry.task.stop, list(entry.task.estimators), entry.task.audit]
    files = [[path, hashlib.sha256(data).hexdigest(), len(data)]]
    line = journal_line({"task": task, "files": files, "fits": 1, "unusable": 0, "seconds": 0.0})
    (tmp_path / "out.txt").write_bytes(data)
    with open(store.folder / "journal", "ab") as file:
        file.write(line)
    assert all(
        name.startswith(("fits/", "times/", "audit/", "optima/"))
        for found in Store.open(store.folder).entries.values()
        for name, _, _ in found.files
    )
    merge([store.folder], tmp_path / "deep" / "joined", {"packages": {}})
    assert sorted(p.name for p in (tmp_path / "deep").iterdir()) == ["joined"]


@pytest.mark.posix
@pytest.mark.parametrize("name", ["lock", "journal"])
def test_links_of_a_run_are_not_written_through(whole: Store, tmp_path: Path, name: str) -> None:
    """What is appended to or truncated must be a file of the run's own."""
    store = whole
    precious = tmp_path / "precious"
    precious.write_text("mine", encoding="utf-8")
    (store.folder / name).unlink()
    (store.folder / name).symlink_to(precious)
    with pytest.raises(StoreError, match="link"):
        run_experiment(store.folder, workers=1, changes={"replications": 20})
    assert precious.read_text(encoding="utf-8") == "mine"


@pytest.mark.posix
def test_folders_of_a_run_that_are_links(whole: Store, tmp_path: Path) -> None:
    """A folder inside a run that leads out is refused before anything is written."""
    store = whole
    (store.folder / "fits").rename(tmp_path / "elsewhere")
    (store.folder / "fits").symlink_to(tmp_path / "elsewhere")
    before = sorted(p.name for p in (tmp_path / "elsewhere").rglob("*"))
    with pytest.raises(StoreError, match="link to elsewhere"):
        run_experiment(store.folder, workers=1, changes={"replications": 20})
    assert sorted(p.name for p in (tmp_path / "elsewhere").rglob("*")) == before


@pytest.mark.posix
def test_temporary_files_can_not_be_foreseen(whole: Store, tmp_path: Path) -> None:
    """Files of the user's that happen to end like a temporary one stay; left-over ones of a killed writer go."""
    store = whole
    precious = tmp_path / "precious"
    precious.write_text("mine", encoding="utf-8")
    (store.folder / "experiment.toml.part").symlink_to(precious)
    (store.folder / "notes.part").write_text("notes", encoding="utf-8")
    (store.folder / "folder.part").mkdir()
    left = store.folder / "fits" / ".x.parquet.0123456789abcdef.part"
    left.write_bytes(b"half")
    run_experiment(store.folder, workers=1, changes={"replications": 20})
    assert precious.read_text(encoding="utf-8") == "mine"
    assert (store.folder / "notes.part").exists()
    assert not left.exists()


def test_a_lock_that_was_removed(whole: Store, tmp_path: Path) -> None:
    """Without its lock a run stops writing: somebody else may have begun."""
    store = Store.create(whole.folder, whole.experiment, {"packages": {}})
    (store.folder / "lock").unlink()
    assert store._lock is not None
    with pytest.raises(StoreError, match="it was removed while this run was writing"):
        store._lock.require()
    store.release()


@pytest.mark.posix
def test_pipes_and_folders_in_place_of_files(whole: Store, tmp_path: Path) -> None:
    """Nothing hangs, nothing ends in a traceback."""
    for victim in ("manifest.json", "journal", "fits"):
        shutil.copytree(whole.folder, tmp_path / victim)
        store = Store.open(tmp_path / victim)
        place = store.folder / victim
        if victim == "fits":
            place = store.folder / next(iter(store.entries.values())).files[0][0]
        place.unlink()
        os.mkfifo(place)
        if victim == "manifest.json":
            (store.folder / MANIFEST_COPY).unlink()
        with pytest.raises(StoreError):
            all_rows(Store.open(store.folder))


@pytest.mark.slow
def test_no_flipped_bit_changes_a_number(whole: Store, tmp_path: Path) -> None:
    """One bit anywhere in a run directory: the same table, or the damage is said, or its task is missing."""
    store = whole
    table = performance_table(store)
    rng = random.Random(1)
    files = [f for f in sorted(store.folder.rglob("*")) if f.is_file() and f.name != "lock"]
    counts = {"same": 0, "said": 0, "missing": 0}
    for trial in range(300):
        file = files[trial % len(files)]
        data = file.read_bytes()
        place = rng.randrange(len(data))
        file.write_bytes(data[:place] + bytes([data[place] ^ (1 << rng.randrange(8))]) + data[place + 1 :])
        try:
            opened = Store.open(store.folder)
            if opened.missing():
                counts["missing"] += 1
            else:
                pd.testing.assert_frame_equal(timeless(performance_table(opened)), timeless(table))
                counts["same"] += 1
        except NestbenchError:
            counts["said"] += 1
        file.write_bytes(data)
    print(counts)
    assert sum(counts.values()) == 300
    assert min(counts.values()) > 0


def timeless(table: pd.DataFrame) -> pd.DataFrame:
    """Leave out the seconds: they stand in files of their own."""
    return table[~table["measure"].str.startswith("seconds")].reset_index(drop=True)

"""The store under damage: checksums see it, a run repairs it; one writer at a time; nothing half written."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nestbench.experiments import files
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.running.progress import Quiet
from nestbench.experiments.running.start import run_experiment
from nestbench.experiments.storing.journal import append, read_journal
from nestbench.experiments.storing.lock import Lock
from nestbench.experiments.storing.manifest import read_manifest, write_manifest
from nestbench.experiments.storing.provenance import _commit
from nestbench.experiments.storing.store import Store
from nestbench.experiments.storing.verifying import damaged
from nestbench.experiments.toml.stored import from_stored, to_stored
from nestbench.sim.errors import StoreError
from tests.experiments.running.test_start import Counter, bytes_of_fits


@pytest.fixture
def store(tiny: Experiment, tmp_path: Path) -> Store:
    return run_experiment(tiny, tmp_path / "run", workers=1, block=4)


def zero(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def truncate(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("harm", [zero, truncate, flip, Path.unlink])
def test_damaged_files_are_found_and_made_again(store: Store, harm: Callable[[Path], None]) -> None:
    expected = bytes_of_fits(store.folder)
    victims = [store.finished(1)[0], store.finished(2)[1]]
    for entry in victims:
        harm(store.folder / entry.files[0][0])
    found = list(damaged(store.folder, Store.open(store.folder).entries.values()))
    assert {entry.task.key for entry, _ in found} == {entry.task.key for entry in victims}
    counter = Counter()
    run_experiment(store.folder, workers=1, progress=counter)
    assert counter.tasks == 2
    assert bytes_of_fits(store.folder) == expected


def test_a_torn_journal_costs_one_task(store: Store) -> None:
    journal = store.folder / "journal"
    data = journal.read_bytes()
    journal.write_bytes(data[:-20])
    assert len(read_journal(journal)) == len(store.entries) - 1
    counter = Counter()
    again = run_experiment(store.folder, workers=1, progress=counter)
    assert counter.tasks == 1
    assert again.missing() == []
    assert len(read_journal(journal)) == len(store.entries)


def test_a_zero_filled_journal_and_manifest(store: Store) -> None:
    expected = bytes_of_fits(store.folder)
    zero(store.folder / "journal")
    zero(store.folder / "manifest.json")
    again = run_experiment(store.folder, workers=1)
    assert again.missing() == []
    assert bytes_of_fits(store.folder) == expected
    zero(store.folder / "manifest.json")
    zero(store.folder / "manifest.copy.json")
    with pytest.raises(StoreError, match="damaged"):
        Store.open(store.folder)


def test_two_runs_on_one_directory(tiny: Experiment, store: Store) -> None:
    with Lock(store.folder):
        with pytest.raises(StoreError, match=rf"another run is writing to it \(process {os.getpid()} on"):
            run_experiment(tiny, store.folder, workers=1)
        assert Store.open(store.folder).missing() == [], "reading is always possible"
    run_experiment(tiny, store.folder, workers=1)


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from nestbench.experiments.storing.lock import Lock;"
        "lock = Lock(Path(sys.argv[1])); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert (tmp_path / "lock").exists()
    Lock(tmp_path).release()


def test_a_lock_says_whose_it_is_on_systems_without_pwrite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows has none, and a run there could not begin."""
    monkeypatch.delattr(os, "pwrite", raising=False)
    (tmp_path / "lock").write_text("a longer text than the new one, left by a run of another day" * 3)
    with Lock(tmp_path), pytest.raises(StoreError, match=rf"process {os.getpid()} on .*, since "):
        Lock(tmp_path)


def test_the_commit_is_of_the_tree_that_holds_this_package(tmp_path: Path) -> None:
    """Not of a repository in which it happens to be installed."""
    file = tmp_path / "site-packages" / "experiments" / "storing" / "provenance.py"
    file.parent.mkdir(parents=True)
    file.write_text("")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.invalid"]
    for arguments in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "somebody's own"]):
        subprocess.run([*git, *arguments], check=True)
    assert _commit(file) is None
    for folder in ("sim", "estimators"):
        (tmp_path / "site-packages" / folder).mkdir()
    for arguments in (["add", "."], ["commit", "-q", "-m", "the package"]):
        subprocess.run([*git, *arguments], check=True)
    head = subprocess.run(
        [*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    assert _commit(file) == head


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.ENOSPC, "free some space and run the same command again"),
        (errno.EROFS, "choose a folder you may write to"),
        (errno.EIO, "choose another folder"),
    ],
)
def test_a_write_that_fails_leaves_no_half_file(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int, said: str
) -> None:
    def refuse(_: int) -> None:
        raise OSError(code, os.strerror(code))

    target = tmp_path / "file"
    target.write_bytes(b"old")
    monkeypatch.setattr(files.os, "fsync", refuse)
    with pytest.raises(StoreError, match=said):
        files.write_atomically(target, b"new")
    with pytest.raises(StoreError, match=said):
        append(store.folder / "journal", store.entries.values())
    assert target.read_bytes() == b"old"
    assert not list(tmp_path.glob("file.*"))


def test_an_interrupted_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.write_atomically(tmp_path / "file", b"new")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="mounting a tmpfs needs root on Linux"
)
def test_disk_full_for_real(tiny: Experiment, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", disk], check=False)
    if mounted.returncode:
        pytest.skip("this system doesn't allow mounting a tmpfs")
    try:
        with pytest.raises(StoreError, match="free some space"):
            run_experiment(tiny, disk / "run", workers=1, block=2)
        kept = len(Store.open(disk / "run").entries)
        assert kept > 0
        subprocess.run(["mount", "-o", "remount,size=10m", disk], check=True)
        counter = Counter()
        resumed = run_experiment(disk / "run", workers=1, progress=counter)
        assert counter.tasks == len(resumed.tasks) - kept
        undisturbed = run_experiment(tiny, tmp_path / "undisturbed", workers=1, block=2)
        assert bytes_of_fits(resumed.folder) == bytes_of_fits(undisturbed.folder)
    finally:
        subprocess.run(["umount", disk], check=False)


def test_a_run_of_another_version_is_refused_in_words(tiny: Experiment, tmp_path: Path) -> None:
    table = to_stored(tiny)
    del table["precision"]
    with pytest.raises(StoreError, match="without precision"):
        from_stored(table, tmp_path)


def test_versions_that_changed_between_sessions_are_said(store: Store) -> None:
    """Rows of two versions of a package don't mix without a word."""
    assert "versions mixed" not in Store.open(store.folder).provenance
    manifest = read_manifest(store.folder)
    assert manifest is not None
    manifest["sessions"][0]["packages"]["numpy"] = "1.0"
    write_manifest(store.folder, manifest)
    said: list[str] = []

    class Listener(Quiet):
        def note(self, text: str) -> None:
            said.append(text)

    run_experiment(store.folder, workers=1, progress=Listener())
    assert Store.open(store.folder).provenance["versions mixed"]["numpy"].startswith("1.0, then ")
    assert any("several versions of numpy: 1.0, then " in text for text in said)

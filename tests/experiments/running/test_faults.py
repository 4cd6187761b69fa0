"""Faults done for real, in processes of their own: nothing is lost, nothing differs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from nestbench.experiments.running.start import run_experiment
from nestbench.experiments.storing.journal import read_journal
from nestbench.experiments.storing.store import Store
from tests.experiments.running.test_start import bytes_of_fits

pytestmark = pytest.mark.linux

REPLICATIONS = 60

RUN = """
import sys
from pathlib import Path
from nestbench.experiments.running.progress import Lines
from nestbench.experiments.running.start import run_experiment
from nestbench.sim.errors import NestbenchError
try:
    run_experiment(Path(sys.argv[1]), sys.argv[2], workers=2, block=5, progress=Lines(every=1.0))
except NestbenchError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


@contextmanager
def started(file: Path, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a run in a process group of its own, and leave none of it behind."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(file), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        cwd=file.parent,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_for_tasks(folder: Path, wanted: int, seconds: float = 300.0) -> None:
    """Wait until some tasks are stored."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        journal = folder / "journal"
        if journal.exists() and journal.read_bytes().count(b"\n") >= wanted:
            return
        time.sleep(0.05)
    raise AssertionError("the run stored nothing in time")


def worker_of(pid: int) -> int:
    """Return the process that a run's worker is: a fork of it."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


@pytest.fixture
def undisturbed(slow_file: Callable[[int], Path], tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """The experiment's file and the bytes of an undisturbed run."""
    file = slow_file(REPLICATIONS)
    store = run_experiment(file, tmp_path / "undisturbed", workers=1, block=5)
    return file, bytes_of_fits(store.folder)


def test_kill_9_of_everything_then_resume_gives_the_same_bytes(
    undisturbed: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    file, expected = undisturbed
    with started(file, tmp_path / "run") as process:
        wait_for_tasks(tmp_path / "run", 4)
        os.killpg(process.pid, signal.SIGKILL)
    begun = Store.open(tmp_path / "run")
    assert 4 <= len(begun.entries) < len(expected)
    resumed = run_experiment(tmp_path / "run", workers=1)
    assert bytes_of_fits(resumed.folder) == expected
    assert resumed.missing() == []


@pytest.mark.slow
def test_kill_9_of_a_worker_loses_nothing(undisturbed: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    file, expected = undisturbed
    with started(file, tmp_path / "run") as process:
        wait_for_tasks(tmp_path / "run", 4)
        os.kill(worker_of(process.pid), signal.SIGKILL)
        told, _ = process.communicate(timeout=300)
        assert process.returncode == 0, told
    assert "a worker died; doing again what was under way" in told
    assert bytes_of_fits(tmp_path / "run") == expected
    journal = read_journal(tmp_path / "run" / "journal")
    assert len(journal) == len(expected)


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_keeps_what_is_finished_and_says_how_to_go_on(
    undisturbed: tuple[Path, dict[str, str]], tmp_path: Path, sent: signal.Signals
) -> None:
    file, expected = undisturbed
    with started(file, tmp_path / "run") as process:
        wait_for_tasks(tmp_path / "run", 4)
        if sent is signal.SIGINT:
            os.killpg(process.pid, sent)  # as a terminal does: to every process of the run
        else:
            os.kill(process.pid, sent)
        told, _ = process.communicate(timeout=120)
        assert process.returncode == 130, told
    assert "Traceback" not in told
    assert f"Go on with: nestbench run {tmp_path / 'run'}" in told
    assert not list((tmp_path / "run").rglob("*.part"))
    begun = len(Store.open(tmp_path / "run").entries)
    assert 4 <= begun < len(expected)
    resumed = run_experiment(tmp_path / "run", workers=1)
    assert bytes_of_fits(resumed.folder) == expected

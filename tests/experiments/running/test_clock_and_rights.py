"""A clock that is set during a run, and a folder that may not be written: done for real, in processes of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nestbench.experiments.running.start import run_experiment
from nestbench.experiments.storing.store import Store
from tests.experiments.running.test_faults import RUN
from tests.experiments.running.test_start import bytes_of_fits

pytestmark = pytest.mark.linux

CLOCK = """
import datetime, itertools, time
real, calls = time.time, itertools.count()
def leaping():
    return real() + (-86400.0 * 365 if next(calls) % 2 else 86400.0 * 365)
time.time = leaping
"""
"""A `sitecustomize` under which the clock leaps two years back and forth, call by call, in the run and its workers."""


@pytest.mark.slow
def test_a_clock_that_leaps_changes_nothing(slow_file: Callable[[int], Path], tmp_path: Path) -> None:
    file = slow_file(20)
    expected = bytes_of_fits(run_experiment(file, tmp_path / "undisturbed", workers=1, block=5).folder)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(CLOCK)
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(file), str(tmp_path / "run")],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert bytes_of_fits(tmp_path / "run") == expected
    store = Store.open(tmp_path / "run")
    assert store.missing() == []
    seconds = store.timings(0)["seconds"]
    assert (seconds.dropna() >= 0).all()
    assert seconds.isna().sum() <= 4  # the first fit of each fork


@pytest.fixture
def bound_by_rights() -> list[str]:
    """Return the words before a command that make rights count for root, too; none for other users."""
    if os.geteuid() != 0:
        return []
    words = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    if not shutil.which("setpriv") or subprocess.run([*words, "true"], check=False).returncode:
        pytest.skip("root can't give up its right to write anywhere here")
    return words


@pytest.mark.slow
@pytest.mark.parametrize("begun", [False, True])
def test_a_folder_that_may_not_be_written(
    slow_file: Callable[[int], Path], tmp_path: Path, bound_by_rights: list[str], begun: bool
) -> None:
    file, folder = slow_file(20), tmp_path / "run"
    expected = bytes_of_fits(run_experiment(file, tmp_path / "undisturbed", workers=1, block=5).folder)
    folder.mkdir()
    if begun:
        run_experiment(file, folder, workers=1, block=5)
        (folder / Store.open(folder).finished(0)[0].files[0][0]).unlink()
    closed = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for path in closed:
        path.chmod(0o555)
    command = [*bound_by_rights, sys.executable, "-c", RUN, str(file), str(folder)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    for path in closed:
        path.chmod(0o755)
    assert done.returncode == 2, done.stderr
    assert "choose a folder you may write to with -o DIR" in done.stderr
    assert "Traceback" not in done.stderr
    assert bytes_of_fits(run_experiment(file, folder, workers=1, block=5).folder) == expected

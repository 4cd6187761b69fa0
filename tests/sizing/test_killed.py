"""A search that the system kills: the same command goes on, to the answer that one never stopped has."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import nestbench
from nestbench.sizing.as_json import plain_of

pytestmark = [pytest.mark.slow, pytest.mark.posix]

WORDS = ["size", "--students", "8", "--icc", ".15", "--effect", ".6", "--methods", "reml-satt,means,ols"]


def begun(out: Path, workers: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "nestbench", *WORDS, "--out", str(out), "--workers", str(workers)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def killed_after(process: subprocess.Popen[bytes], folder: Path, chunks: int) -> None:
    """Kill a process once some chunks are kept; one that ends before says why."""
    while len(list(folder.glob("draws/*.bin"))) < chunks:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_search_goes_on_to_the_same_answer(tmp_path: Path, workers: int) -> None:
    """Killed twice, at first before a design is whole; what was kept then is not drawn again."""
    for chunks in (1, 5):
        killed_after(begun(tmp_path, workers), tmp_path, chunks)
        assert not (tmp_path / "size.json").exists()
    kept = {file: file.stat().st_mtime_ns for file in tmp_path.glob("draws/*.bin")}
    whole = begun(tmp_path, 3 - workers)
    assert (whole.wait(), len(kept) >= 5) == (0, True), whole.communicate()[0]
    whole.communicate()
    assert all(file.stat().st_mtime_ns == written for file, written in kept.items())
    found = nestbench.size(
        solve="schools",
        students=8,
        icc=0.15,
        effect=0.6,
        methods="reml-satt,means,ols",
        workers=workers,
    )
    assert isinstance(found, nestbench.Sizing)
    assert json.loads((tmp_path / "size.json").read_text()) == plain_of(found)
    assert nestbench.load(tmp_path / "run").finished

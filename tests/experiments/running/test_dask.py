"""The same bytes from a Dask cluster, one of whose workers is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from nestbench.experiments.running.backends import Backend
from nestbench.experiments.running.start import run_experiment
from nestbench.sim.errors import InvalidInput, WorkersLost
from tests.experiments.running.test_deaths import EXPERIMENT, KILLER, check_killer
from tests.experiments.running.test_faults import wait_for_tasks
from tests.experiments.running.test_start import bytes_of_fits

pytestmark = pytest.mark.posix


def test_a_scheduler_and_its_backend_belong_together() -> None:
    with pytest.raises(InvalidInput, match="loky or dask"):
        Backend("ray")
    for wrong in (("dask", None), ("loky", "tcp://127.0.0.1:1")):
        with pytest.raises(InvalidInput, match="together with --scheduler"):
            Backend(*wrong)


@pytest.fixture
def cluster(
    tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and two workers, processes of their own; yields its address and the workers.

    Workers that die are started again if the test asks for a "nanny".
    """
    nanny = "--nanny" if getattr(request, "param", "") == "nanny" else "--no-nanny"
    pytest.importorskip("distributed")
    file = tmp_path / "scheduler.json"
    base = [sys.executable, "-m", "distributed.cli.dask_"]
    local = ["--host", "127.0.0.1", "--no-dashboard"]
    log = open(tmp_path / "dask.log", "wb")  # noqa: SIM115
    scheduler = subprocess.Popen(
        [base[0], "-m", base[2] + "scheduler", "--port", "0", "--scheduler-file", str(file), *local],
        stdout=log, stderr=log,
    )  # fmt: skip
    workers = [
        subprocess.Popen(
            [base[0], "-m", base[2] + "worker", "--scheduler-file", str(file), "--nthreads", "1", *local, nanny],
            stdout=log, stderr=log, cwd=tmp_path, start_new_session=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        import json

        yield json.loads(file.read_text())["address"], workers
    finally:
        for process in workers:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        scheduler.kill()
        for process in [*workers, scheduler]:
            process.wait()
        log.close()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_gives_the_same_bytes_though_a_worker_is_killed(
    slow_file: Callable[[int], Path], tmp_path: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]]
) -> None:
    address, workers = cluster
    file = slow_file(100)
    expected = bytes_of_fits(run_experiment(file, tmp_path / "here", workers=1, block=5).folder)

    def kill_one() -> None:
        wait_for_tasks(tmp_path / "there", 5)
        os.kill(workers[0].pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    store = run_experiment(file, tmp_path / "there", block=5, backend=Backend("dask", address))
    killer.join()
    assert workers[0].wait(10) == -signal.SIGKILL
    assert store.missing() == []
    assert bytes_of_fits(store.folder) == expected


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cluster", ["nanny"], indirect=True)
def test_a_task_that_dask_gives_up_becomes_rows(
    tmp_path: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]]
) -> None:
    (tmp_path / "killer.py").write_text(KILLER)
    (tmp_path / "killer.toml").write_text(EXPERIMENT)
    where = Backend("dask", cluster[0])
    check_killer(run_experiment(tmp_path / "killer.toml", tmp_path / "run", backend=where))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_lost_its_workers_ends_the_run(
    slow_file: Callable[[int], Path],
    tmp_path: Path,
    cluster: tuple[str, list[subprocess.Popen[bytes]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dask_backend = pytest.importorskip("nestbench.experiments.running.dask_backend")
    monkeypatch.setattr(dask_backend, "PATIENCE", 12.0)
    address, workers = cluster
    file = slow_file(100)

    def kill_all() -> None:
        wait_for_tasks(tmp_path / "there", 3)
        for worker in workers:
            os.kill(worker.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_all)
    killer.start()
    with pytest.raises(WorkersLost, match="it has no workers; finished tasks are kept: start workers"):
        run_experiment(file, tmp_path / "there", block=5, backend=Backend("dask", address))
    killer.join()
    kept = run_experiment(file, tmp_path / "there", workers=1)
    assert kept.missing() == []

"""Ends counted: runs that are killed at any moment, disks that are full, six commands at once, a lock that is removed.

After each the same command again gives the same bytes as a run that nobody disturbed, and nobody is left working.
"""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from nestbench.experiments.running.start import run_experiment
from nestbench.experiments.storing.store import Store
from tests.attacks.forks import Forks, forks
from tests.attacks.harness import Tally, invoke, many
from tests.attacks.study import Study, forget
from tests.experiments.running.test_start import bytes_of_fits

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]

SLOW = """
import time
import nestbench

@nestbench.estimator("slow-mean")
def slow_mean(frame, model):
    time.sleep(0.01)
    y = frame["grade"].to_numpy()
    return {"Intercept": {"estimate": y.mean(), "std_error": y.std(ddof=1) / len(y) ** 0.5}}
"""

TOML = """
[experiment]
name = "slow"
estimators = ["slow-mean", "ols"]
plugins = ["slow.py"]
replications = 60
reference_replications = 60
audit = 4
[layout]
schools = 3
students = 4
[model]
formula = "grade ~ 1"
[factors]
"population.icc" = [0.0, 0.3]
"""


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """A study of about a second, and the bytes of a run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("slow")
    (folder / "slow.py").write_text(SLOW, encoding="utf-8")
    (folder / "slow.toml").write_text(TOML, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        yield (
            folder / "slow.toml",
            bytes_of_fits(run_experiment(folder / "slow.toml", folder / "whole", 1).folder),
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, slow: tuple[Path, dict[str, str]]) -> Iterator[Forks]:
    """What starts commands."""
    with forks(tmp_path_factory.mktemp("forks")) as made:
        yield made


def test_runs_killed_at_any_moment(slow: tuple[Path, dict[str, str]], server: Forks, tmp_path: Path) -> None:
    """SIGKILL, SIGTERM and Ctrl-C, with one and two workers: nobody is left, and the resumed run has the same bytes."""
    file, expected = slow
    rng, tally = random.Random(20261125), Tally("killed runs")
    kinds = [(s, w) for w in (1, 2) for s in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)]
    for trial in range(many(6)):
        (sent, workers), run = kinds[trial % len(kinds)], tmp_path / f"run-{trial}"
        name = f"{sent.name}, {workers} worker" + "s" * (workers - 1)
        child = server.start(["run", str(file), "-o", str(run), "--workers", str(workers), "-q"], tmp_path)
        time.sleep(rng.uniform(0.0, 2.5 if workers == 1 else 5.0))
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if sent is signal.SIGINT else os.kill)(child.pid, sent)
        code = server.wait(child)
        what = f"trial {trial}: {sent.name}, {workers} workers: exit code {code}: {child.said()[-1500:]}"
        tally.add(name, "trials")
        tally.add(name, "ended before" if code == 0 else "killed")
        if code is None:
            tally.add(name, "hang", what)
        stopped = code in (0, 130, -sent) or (code == 1 and "Aborted" in child.said())
        if not stopped or ("Traceback" in child.said() and sent is not signal.SIGKILL):
            tally.add(name, "traceback", what)
        if server.left(child):
            tally.add(name, "hang", f"processes left: {what}")
        if (
            bytes_of_fits(run_experiment(file, run, workers=1).folder) != expected
            or Store.open(run).missing()
        ):
            tally.add(name, "changed number", what)
        if list(run.rglob("*.part")):
            tally.add(name, "file left", what)
    tally.settle()


def test_a_lock_removed_while_a_run_writes(
    slow: tuple[Path, dict[str, str]], server: Forks, tmp_path: Path
) -> None:
    """A second run comes in; the first stops in words when it sees it, and the bytes are those of one run."""
    file, expected = slow
    run = tmp_path / "run"
    words = ["run", str(file), "-o", str(run), "--workers", "1", "-q"]
    first = server.start(words, tmp_path)
    limit = time.monotonic() + 60
    while not (run / "lock").exists() and time.monotonic() < limit:
        time.sleep(0.005)
    (run / "lock").unlink()
    second = server.start(words, tmp_path)
    codes = [server.wait(first), server.wait(second)]
    said = first.said() + second.said()
    assert sorted(code or 0 for code in codes) == [0, 2], said
    assert "removed while this run was writing" in said
    assert "Traceback" not in said
    assert bytes_of_fits(run) == expected
    assert Store.open(run).missing() == []


def test_six_commands_at_once(
    slow: tuple[Path, dict[str, str]], server: Forks, named: Study, tmp_path: Path
) -> None:
    """Writers and readers of one run: whole files or words, whoever comes first."""
    tally = Tally("at once")
    rng = random.Random(20261125)
    state = os.environ["XDG_STATE_HOME"]
    assert state
    for trial in range(many(3)):
        place = named.copied(tmp_path / "at-once")
        run = str(place.run)
        orders = [
            ["run", run, "--workers", "1", "-q", "--trust", "--replications", "40"],
            ["run", run, "--workers", "1", "-q", "--trust", "--replications", "40"],
            ["report", run, "-q"],
            ["report", run, "-q", "--format", "csv,parquet,md"],
            ["plot", run, "-o", str(place.folder / "out" / "figure.json")],
            ["query", run, "select count(*) from fits"],
            ["verify", run, "--store"],
            ["merge", run, "-o", str(place.folder / "out" / "joined"), "-q"],
            ["baseline", run, "-o", str(place.folder / "out" / "b.json")],
            ["compare", run, str(place.folder / "whole")],
        ]
        chosen = [orders[0], *rng.sample(orders[1:], 5)]
        children = [server.start(order, place.folder / "out") for order in chosen]
        for order, child in zip(chosen, children, strict=True):
            code, said = server.wait(child), child.said()
            what = f"trial {trial}: {' '.join(order)[:60]}: exit code {code}: {said[-800:]}"
            tally.add(order[0], "trials")
            if code is None:
                tally.add(order[0], "hang", what)
            elif "Traceback" in said or code not in (0, 2):
                tally.add(order[0], "traceback", what)
            else:
                tally.add(order[0], "words" if code else "ok")
        if list(place.folder.rglob("*.part")):
            tally.add("run", "file left", f"trial {trial}")
        if (table := place.run / "performance.csv").exists():
            assert len(pd.read_csv(table))
        store = Store.open(place.run)
        if store.missing() or not damages_nothing(place):
            tally.add("run", "changed number", f"trial {trial}")
    tally.settle()


def damages_nothing(place: Study) -> bool:
    """Whether every stored file is what its journal says."""
    return invoke(["verify", str(place.run), "--store"]).how == "ok"


@contextlib.contextmanager
def no_more_than(size: int) -> Iterator[None]:
    """Let no file of this process become longer: what a full disk does, without one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount a disk of 600 kB on a folder; False where that isn't allowed."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "none", str(folder)], capture_output=True, check=False
    )
    try:
        yield done.returncode == 0
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "-l", str(folder)], check=True)


WRITING = {
    "run": ["run", "@run", "--workers", "1", "-q", "--trust", "--replications", "24"],
    "report": ["report", "@run", "-o", "@full", "-q", "--format", "csv,md"],
    "plot": ["plot", "@run", "-o", "@full/figure.json"],
    "baseline": ["baseline", "@run", "-o", "@full/b.json"],
    "merge": ["merge", "@run", "-o", "@full/joined", "-q"],
    "simulate": ["simulate", "@run", "--trust", "--csv", "@full/data.csv"],
    "replay": ["replay", "@run", "--trust", "--cell", "0", "--replication", "1", "--csv", "@full/data.csv"],
    "compare": ["compare", "@run", "@whole", "--csv", "@full/changes.csv"],
    "check": ["check", "@run", "-b", "@own/accuracy.json", "--junit", "@full/junit.xml"],
    "new": ["new", "@full/mine"],
    "time": ["time", "@run", "--trust", "--schools", "3", "--students", "4", "--rounds", "1", "-o", "@full/t.json"],
}  # fmt: skip
"""Commands that write, and where: @full is the disk without room."""


def test_files_that_may_not_grow(named: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words, no half of a file, what was there stays; a run goes on with the same bytes."""
    tally = Tally("no room")
    whole = named.copied(tmp_path / "undisturbed")
    assert invoke([_at(whole, word) for word in WRITING["run"]]).how == "ok"
    expected = bytes_of_fits(whole.run)
    for name, words in WRITING.items():
        for size in (0, 1500):
            place = named.copied(tmp_path / "place")
            (place.folder / "full").mkdir()
            forget(monkeypatch, names=False)
            monkeypatch.chdir(place.folder / "out")
            order = [_at(place, word) for word in words]
            with no_more_than(size):
                ended = invoke(order)
            tally.add(name, "trials")
            tally.add(name, ended.how, f"{size} bytes: {ended.text[:300]}")
            for left in (p for p in place.folder.rglob("*.part")):
                tally.add(name, "file left", f"{size} bytes: {left}")
            if ended.how == "words":
                halves = [p for p in (place.folder / "full").rglob("*") if p.is_file() and name != "merge"]
                for half in halves if name != "report" else ():
                    tally.add(name, "file left", f"{size} bytes: {half}: {half.stat().st_size} bytes")
            if name == "run":
                again = invoke(order)
                if again.how != "ok" or bytes_of_fits(place.run) != expected:
                    tally.add(name, "changed number", f"{size} bytes: {ended.text[:200]}: {again.text[:200]}")
    tally.settle()
    assert sum(counts["words"] for counts in tally.ends.values()) >= len(WRITING)


def _at(place: Study, word: str) -> str:
    return str(place.folder / word[1:]) if word.startswith("@") else word


def test_a_full_disk(slow: tuple[Path, dict[str, str]], server: Forks, tmp_path: Path) -> None:
    """A run in two workers on a disk that fills up stops in words; with room, it goes on with the same bytes."""
    file, expected = slow
    with small_disk(tmp_path / "disk") as there:
        if not there:
            pytest.skip("no disk of one's own can be mounted here")
        run = tmp_path / "disk" / "run"
        filler = tmp_path / "disk" / "filler"
        filler.write_bytes(b"\0" * 570_000)
        words = ["run", str(file), "-o", str(run), "--workers", "2", "-q"]
        child = server.start(words, tmp_path)
        code = server.wait(child)
        assert code == 2, child.said()
        assert "free some space" in child.said()
        assert "Traceback" not in child.said()
        assert server.left(child) == []
        filler.unlink()
        again = server.start(words, tmp_path)
        code = server.wait(again)
        assert bytes_of_fits(run) == expected, again.said()
        assert not list(run.rglob("*.part"))
        shutil.rmtree(run)

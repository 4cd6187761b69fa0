"""Places where little is allowed: no shared memory, no memory, no home, no terminal, a run that may only be read."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nestbench.experiments.running.start import run_experiment
from nestbench.experiments.storing.store import Store
from tests.attacks.harness import Tally, invoke, rights_count
from tests.attacks.study import Study, forget
from tests.attacks.test_damage import OF_RUNS
from tests.attacks.test_strangers import CONTROL
from tests.experiments.running.test_start import bytes_of_fits

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")]

NESTBENCH = f"{sys.executable} -m nestbench"

TOML = """
[experiment]
name = "bound"
estimators = ["ols", "means"]
replications = 12
audit = 0
[layout]
schools = 4
students = 5
[factors]
"population.icc" = [0.0, 0.2]
"""


def shell(
    script: str, folder: Path, before: tuple[str, ...] = (), **more: str
) -> subprocess.CompletedProcess[str]:
    """Run a line of a shell in a folder."""
    words = [*before, "bash", "-c", script]
    return subprocess.run(
        words, cwd=folder, env=os.environ | more, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture
def bound(tmp_path: Path) -> Path:
    """A small study, in a folder that anybody may write to."""
    (tmp_path / "bound.toml").write_text(TOML, encoding="utf-8")
    (tmp_path / "limited.toml").write_text(
        TOML.replace("audit = 0", "audit = 0\nfit_memory = 300\nreference_replications = 12"),
        encoding="utf-8",
    )
    return tmp_path


def expected(bound: Path, name: str = "bound") -> dict[str, str]:
    return bytes_of_fits(run_experiment(bound / f"{name}.toml", bound / "undisturbed", workers=1).folder)


STREAMS = {
    "no stdout": (f"{NESTBENCH} run bound.toml -o run --workers 1 >&-", {0}),
    "no streams": (f"{NESTBENCH} run bound.toml -o run --workers 2 <&- >&- 2>&-", {0}),
    "no stderr": (f"{NESTBENCH} run bound.toml -o run --workers 2 -q 2>&-", {0}),
    "a full device": (f"{NESTBENCH} simulate bound.toml > /dev/full", {1, 2}),
    "a reader of one line": (f"set -o pipefail; {NESTBENCH} simulate bound.toml | head -1", {0, 1, 141}),
    "nobody reads": (f"{NESTBENCH} list | true", {0}),
}


@pytest.mark.parametrize("kind", STREAMS)
def test_streams_that_are_closed_or_full(bound: Path, kind: str) -> None:
    """The work is done all the same, or words say that it couldn't be written."""
    script, codes = STREAMS[kind]
    done = shell(script, bound)
    assert done.returncode in codes, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    if "run" in script:
        assert bytes_of_fits(bound / "run") == expected(bound)


def test_without_shared_memory(bound: Path) -> None:
    """Forks need none: two workers begin, without a warning of joblib's, and the bytes are the same."""
    words = ("unshare", "-m") if os.geteuid() == 0 else ("unshare", "-rm")
    if (
        shutil.which("unshare") is None
        or shell("mount -t tmpfs -o ro none /dev/shm", bound, words).returncode
    ):
        pytest.skip("no folder can be mounted over here")
    script = f"mount -t tmpfs -o ro none /dev/shm && {NESTBENCH} run bound.toml -o run --workers 2"
    done = shell(script, bound, words)
    assert done.returncode == 0, done.stderr
    assert "one worker does it all" not in done.stdout + done.stderr
    assert "joblib" not in done.stderr
    assert bytes_of_fits(bound / "run") == expected(bound)


def test_a_hard_limit_of_memory(bound: Path) -> None:
    """Under the limit of a batch system (``ulimit -v``) `fit_memory` is the smaller of both, not a failure."""
    done = shell(f"ulimit -v 9000000; {NESTBENCH} run limited.toml -o run --workers 1 -q", bound)
    assert done.returncode == 0, done.stderr
    assert bytes_of_fits(bound / "run") == expected(bound, "limited")
    assert not any((e.status > 1).any() for e in Store.open(bound / "run").estimates(0).values())


def test_without_a_home(bound: Path) -> None:
    """No home, no folder for temporary files, no cache of one's own: all goes on."""
    nowhere = "/proc/nowhere"
    places = dict.fromkeys(("HOME", "TMPDIR", "XDG_STATE_HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR"), nowhere)
    done = shell(f"{NESTBENCH} run bound.toml -o run --workers 1", bound, **places)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert (bound / "run" / "report.html").exists()
    assert bytes_of_fits(bound / "run") == expected(bound)


WRITERS = frozenset({"report in place", "run", "time"})


def test_runs_that_may_only_be_read(named: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers read; who would write there says that it can't."""
    tally = Tally("read only")
    for name, order in OF_RUNS.items():
        place = named.copied(named.folder.parent / "closed")
        forget(monkeypatch, names=False)
        monkeypatch.chdir(place.folder / "out")
        closed = [item for item in (place.run, *place.run.rglob("*")) if item.is_dir()]
        with rights_count():
            for item in closed:
                item.chmod(0o555)
            ended = invoke(order.arguments(place))
            for item in closed:
                item.chmod(0o755)
        tally.add(name, "trials")
        tally.add(name, ended.how, ended.text[:500])
        if (ended.how == "words") != (name in WRITERS) and name != "run":
            tally.add(name, "traceback", f"not what a reader or writer says: {ended.text[:500]}")
        if CONTROL.search(ended.text):
            tally.add(name, "raw control character", ended.text[:200])
    tally.settle()

"""Methods and laws that end the process, workers whose parent is gone, folders full of modules: said, not suffered."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nestbench.estimators.estimates import FitStatus
from nestbench.experiments.storing.store import Store

pytestmark = pytest.mark.linux

METHOD = """
import sys
import nestbench

@nestbench.estimator("leaver")
def leaver(frame, model):
    if frame["grade"].mean() > {above}:
        {end}
    return {{"Intercept": {{"estimate": frame["grade"].mean(), "std_error": 1.0}}}}
"""

TOML = """
[experiment]
name = "leavers"
estimators = ["ols", "leaver"]
plugins = ["leaver.py"]
replications = 12
reference_replications = 12
audit = 0
[layout]
schools = 3
students = 4
[model]
formula = "grade ~ 1"
"""


def nestbench(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "nestbench", *arguments],
        cwd=folder,
        env=os.environ | more,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(
    "end", ["sys.exit(0)", "sys.exit('x')", "raise BaseException('x')", "raise KeyboardInterrupt"]
)
def test_a_method_that_ends_the_process_is_a_row(tmp_path: Path, end: str, workers: str) -> None:
    """Every fit is there: those that ended as failed ones that say why, the others as they are."""
    (tmp_path / "leaver.py").write_text(METHOD.format(above=80.0, end=end), encoding="utf-8")
    (tmp_path / "study.toml").write_text(TOML, encoding="utf-8")
    done = nestbench(tmp_path, "run", "study.toml", "-o", "run", "--workers", workers, "-q")
    assert done.returncode == 0, done.stderr
    found = Store.open(tmp_path / "run").estimates(0)["leaver"]
    assert found.size == 12
    failed = found.status == FitStatus.FAILED
    assert 0 < failed.sum() < 12
    assert any(end.split("(")[0].split()[-1].replace("sys.exit", "SystemExit") in m for m in found.messages)


@pytest.mark.slow
def test_a_plugin_file_that_ends_the_process_is_refused(tmp_path: Path) -> None:
    """In words, and not with exit code 0."""
    (tmp_path / "leaver.py").write_text("import sys; sys.exit(0)", encoding="utf-8")
    (tmp_path / "study.toml").write_text(TOML, encoding="utf-8")
    done = nestbench(tmp_path, "run", "study.toml", "-o", "run")
    assert done.returncode == 2
    assert "SystemExit" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_modules_beside_the_user_are_not_workers_modules(tmp_path: Path) -> None:
    """A file called random.py in the current folder is nobody's business."""
    (tmp_path / "leaver.py").write_text(METHOD.format(above=1e9, end="pass"), encoding="utf-8")
    (tmp_path / "study.toml").write_text(TOML, encoding="utf-8")
    for name in ("random", "queue", "joblib", "types", "threading", "signal", "numpy", "multiprocessing"):
        (tmp_path / f"{name}.py").write_text(
            f"open('ran-{name}', 'w'); raise SystemExit('not me')", encoding="utf-8"
        )
    script = Path(sys.executable).with_name("nestbench")
    if not script.exists():
        pytest.skip("the command isn't installed beside this Python")
    done = subprocess.run(
        [str(script), "run", "study.toml", "-o", "run", "--workers", "2", "-q"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not [item.name for item in tmp_path.iterdir() if item.name.startswith("ran-")], done.stderr
    assert done.stderr == ""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_end_with_the_process_they_work_for(slow_file: Callable[[int], Path], tmp_path: Path) -> None:
    """kill -9 of the main process: seconds later nobody is left."""
    file = slow_file(2000)
    main = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "nestbench",
            "run",
            str(file),
            "-o",
            str(tmp_path / "run"),
            "--workers",
            "2",
            "-q",
        ],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    group = main.pid
    journal = tmp_path / "run" / "journal"
    limit = time.monotonic() + 120
    while not (journal.exists() and journal.stat().st_size) and time.monotonic() < limit:
        time.sleep(0.2)
    assert len(members(group)) > 2
    main.send_signal(signal.SIGKILL)
    main.wait()
    limit = time.monotonic() + 60
    while members(group) and time.monotonic() < limit:
        time.sleep(0.5)
    left = members(group)
    for process in left:
        os.kill(process, signal.SIGKILL)
    assert left == []


def members(session: int) -> list[int]:
    """Return the processes of a session that run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(entry.name))
    return found

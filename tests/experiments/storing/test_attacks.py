"""Damage and strangers counted: hundreds of harmed run directories, read by the commands that people type.

What counts is what a person gets: the same output, or words and an exit code. Never a traceback, a hang, another
number, or a file somewhere else. The counts are printed (``pytest -s``).
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nestbench.cli import app
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.running.start import run_experiment
from nestbench.sim.errors import NestbenchError
from tests.experiments.conftest import TABLES

SQL = "select cell, estimator, term, measure, value, n from performance where measure <> 'seconds_mean' order by all"
TRIALS = 500


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of four conditions and three methods."""
    return run_experiment(
        Experiment.from_dict(TABLES), tmp_path_factory.mktemp("attacked") / "run", workers=1, block=4
    ).folder


def flipped(file: Path, rng: random.Random) -> None:
    data = bytearray(file.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    file.write_bytes(data)


def cut(file: Path, rng: random.Random) -> None:
    os.truncate(file, rng.randrange(file.stat().st_size))


def emptied(file: Path, _: random.Random) -> None:
    file.write_bytes(b"")


def absent(file: Path, _: random.Random) -> None:
    file.unlink()


def foreign(file: Path, rng: random.Random) -> None:
    file.write_bytes(rng.choice([b"[1]", b"null", b"PAR1" * 9, b"\x00" * 64, b"{}", b"\xff\xfe" * 30]))


def a_pipe(file: Path, _: random.Random) -> None:
    file.unlink()
    os.mkfifo(file)


def a_folder(file: Path, _: random.Random) -> None:
    file.unlink()
    file.mkdir()


def a_link(file: Path, _: random.Random) -> None:
    file.unlink()
    file.symlink_to("/etc/hostname")


def swapped(file: Path, rng: random.Random) -> None:
    other = rng.choice([f for f in file.parent.iterdir() if f.is_file()])
    file.write_bytes(other.read_bytes())


HARMS: tuple[Callable[[Path, random.Random], None], ...] = (
    flipped,
    flipped,
    flipped,
    cut,
    emptied,
    absent,
    foreign,
    a_pipe,
    a_folder,
    a_link,
    swapped,
)

COMMANDS: dict[str, Callable[[Path], list[str]]] = {
    "verify": lambda run: ["verify", str(run), "--store"],
    "replay": lambda run: ["replay", str(run), "--cell", "1", "--replication", "3"],
    "plot": lambda run: ["plot", str(run), "--kind", "coverage", "-o", str(run.parent / "figure.json")],
    "baseline": lambda run: ["baseline", str(run), "-o", str(run.parent / "accuracy.json")],
    "compare": lambda run: ["compare", str(run), str(run)],
}


def said(command: str, run: Path) -> tuple[str, str]:
    """Return how a command ended (``ok``, ``words``, ``traceback``) and all that it said or wrote."""
    made = run.parent / {"plot": "figure.json", "baseline": "accuracy.json"}.get(command, "nothing")
    made.unlink(missing_ok=True)
    done = CliRunner().invoke(app, COMMANDS[command](run))
    if done.exception is not None and not isinstance(done.exception, (SystemExit, NestbenchError)):
        return "traceback", repr(done.exception)
    if isinstance(done.exception, NestbenchError) or done.exit_code:
        return "words", str(done.exception) + done.output
    return "ok", done.output + (made.read_text(encoding="utf-8") if made.exists() else "")


@pytest.mark.slow
def test_no_damage_passes_for_the_whole(run: Path, tmp_path: Path) -> None:
    """Exit 0 with other words happens only where the command says what is missing."""
    rng = random.Random(20261125)
    whole = {command: said(command, run) for command in COMMANDS}
    assert {ended for ended, _ in whole.values()} == {"ok"}
    files = [f.relative_to(run) for f in sorted(run.rglob("*")) if f.is_file() and f.name not in ("lock",)]
    counts: Counter[str] = Counter()
    for trial in range(TRIALS):
        place = tmp_path / "run"
        shutil.copytree(run, place)
        harm, file, command = rng.choice(HARMS), rng.choice(files), rng.choice(list(COMMANDS))
        harm(place / file, rng)
        ended, text = said(command, place)
        what = f"trial {trial}: {command} after {harm.__name__} of {file}: {text[:400]}"
        assert ended != "traceback", what
        same = text.replace(str(place.parent), "") == whole[command][1].replace(str(run.parent), "")
        if ended == "ok" and not same:
            assert "unfinished" in text or "of 12" in text or file.name == "journal", what
            ended = "ok, says what is missing"
        counts[ended] += 1
        shutil.rmtree(place)
    print(dict(counts))
    assert sum(counts.values()) == TRIALS


@pytest.mark.slow
def test_six_commands_at_once(run: Path, tmp_path: Path) -> None:
    """Readers and writers of one directory's reports don't take one another's temporary files."""
    shutil.copytree(run, tmp_path / "run")
    orders = [["report"], ["baseline", "-o", str(tmp_path / "a.json")], ["report", "--format", "md,csv"]] * 2
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "nestbench", order[0], str(tmp_path / "run"), *order[1:]],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for order in orders
    ]
    ends = [(process.communicate(timeout=300)[0], process.returncode) for process in started]
    assert [code for _, code in ends] == [0] * len(orders), ends
    assert not list((tmp_path / "run").rglob("*.part"))

"""Forked processes: every work once, errors as they are, deaths told, nobody left behind."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from nestbench.experiments.running import forks
from nestbench.experiments.running.forks import forked
from nestbench.experiments.running.work import TaskError

pytestmark = pytest.mark.linux


class Odd(Exception):
    """An error that can't be pickled as it is."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def children() -> list[int]:
    """Processes whose parent this one is, by /proc."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8") as file:
                if int(file.read().rpartition(")")[2].split()[1]) == os.getpid():
                    found.append(int(name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_each_work_is_done_once(workers: int) -> None:
    unsent = {3: lambda value: value * value}  # no pickle knows it: a fork has it
    before = children()
    got = list(forked(lambda work: (work, os.getpid(), unsent[3](work)), range(20), workers))
    assert sorted((work, value) for work, _, value in got) == [(k, k * k) for k in range(20)]
    assert os.getpid() not in {process for _, process, _ in got}
    assert len({process for _, process, _ in got}) <= workers
    assert children() == before


def test_no_work_is_no_answer() -> None:
    assert not list(forked(str, [], 3))


def test_long_answers_come_whole() -> None:
    assert sorted(map(len, forked(lambda work: bytes(work), [10**6, 3 * 10**6, 5], 2))) == [
        5,
        10**6,
        3 * 10**6,
    ]


def refuse(work: int) -> int:
    if work == 2:
        raise ValueError("work 2 is odd")
    if work == 3:
        raise Odd(1, 2)
    return work


@pytest.mark.parametrize(("works", "words"), [([0, 2], "work 2 is odd"), ([0, 3], "1 and 2")])
def test_errors_are_raised_here(works: list[int], words: str) -> None:
    before = children()
    with pytest.raises(Exception, match=words):
        list(forked(refuse, works, 2))
    assert children() == before


def test_a_death_is_told() -> None:
    before = children()
    with pytest.raises(TaskError, match="died"):
        list(forked(lambda work: os.kill(os.getpid(), signal.SIGKILL), [1, 2], 2))
    assert children() == before


def test_a_death_is_told_though_a_child_of_the_dead_holds_its_pipes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until that ends, a minute later, the pipe says nothing."""
    monkeypatch.setattr(forks, "LOOK", 0.05)

    def die(_: int) -> None:
        if (child := os.fork()) == 0:
            time.sleep(60.0)
            os._exit(0)
        (tmp_path / "child").write_text(str(child), encoding="utf-8")
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(forks.Died):
        list(forked(die, [1], 1))
    os.kill(int((tmp_path / "child").read_text(encoding="utf-8")), signal.SIGKILL)


def test_works_are_asked_for_as_forks_are_free() -> None:
    """A run of a million tasks holds those under way, no more."""
    asked: list[int] = []
    answers = forked(abs, (asked.append(k) or k for k in range(1000)), 2)  # type: ignore[func-returns-value]
    next(answers)
    assert len(asked) == 3
    answers.close()


def test_a_fork_ends_by_the_signal_that_its_parent_makes_an_exception_of() -> None:
    """What a batch system sends to all processes of a run mustn't become a fit that failed."""

    def refuse(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, refuse)
    try:
        with pytest.raises(forks.Died):
            list(forked(lambda work: signal.raise_signal(signal.SIGTERM), [1], 1))
    finally:
        signal.signal(signal.SIGTERM, before)


def test_who_stops_asking_leaves_nobody_behind() -> None:
    before = children()
    answers = forked(lambda work: work, range(1000), 2)
    next(answers)
    answers.close()
    assert children() == before

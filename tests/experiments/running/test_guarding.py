"""Fits that crash, hang, eat memory or return rubbish become rows; the others keep their numbers."""

from __future__ import annotations

import ctypes
import mmap
import os
import pickle
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nestbench.estimators.estimates import STORED_COLUMNS, Estimates, FitStatus
from nestbench.estimators.estimator import Estimator, Info, Options
from nestbench.estimators.methods import registry
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.plan import Task
from nestbench.experiments.running import execute, guarding
from nestbench.experiments.running.backends import LOCAL
from nestbench.experiments.running.guarding import NO_LIMITS, Limits, fit_guarded, in_child
from nestbench.experiments.running.work import TaskError, Work, fit_all, perform
from nestbench.experiments.toml.reading import experiment_from
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Batch
from nestbench.sim.observed.model import Model
from nestbench.sim.user_code import UserError
from tests.sim.test_user_code import UNSENDABLE

INFO = Info("", "", "", "", "")
OLS = registry.get("ols")
BAD = (3, 7)


def when_bad(batch: Batch, model: Model, options: Options) -> Estimates:
    """OLS, except that on replications 3 and 7 something happens."""
    if set(BAD) & set(batch.replications.tolist()):
        options["what"]()
    return OLS.engine("reference")(batch, model, OLS.options)


def crash() -> None:
    ctypes.string_at(0)


class Clock:
    """A parent's clock that stands still, but leaps at every look while a child lives that will never end.

    So no fit is lost for being slow on a busy machine, and none of those that hang is waited for.
    """

    def __init__(self) -> None:
        self.now, self.hanging = 0.0, mmap.mmap(-1, 8)

    def monotonic(self) -> float:
        child = int.from_bytes(self.hanging[:], "little")
        with suppress(ProcessLookupError):
            os.kill(child or 2**31 - 1, 0)
            self.now += 1e6
        return self.now

    def hang(self) -> None:
        self.hanging[:] = os.getpid().to_bytes(8, "little")
        signal.pause()


CLOCK = Clock()
"""Of this module: its memory is shared with the children, which are forks."""


def eat() -> None:
    np.ones(300 * 2**20 // 8)


def leave() -> None:
    os._exit(3)


def method(what: Any, batched: bool) -> Estimator:
    engines = {"batched": when_bad} if batched else {"reference": when_bad}
    return Estimator("bad", 1, INFO, **engines, options={"what": what})  # type: ignore[arg-type]


@pytest.mark.posix
@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize(
    ("what", "limits", "status", "said"),
    [
        (crash, Limits(), FitStatus.FAILED, "the process died while fitting (SIGSEGV)"),
        (leave, Limits(), FitStatus.FAILED, "the process died while fitting (exit code 3)"),
        (CLOCK.hang, Limits(seconds=0.05), FitStatus.TIMEOUT, "took longer than 0.05 s"),
        (eat, Limits(megabytes=100), FitStatus.FAILED, "needed more than 100 MB"),
    ],
)
def test_only_the_bad_fits_are_lost(
    tiny: Experiment,
    what: Any,
    limits: Limits,
    status: FitStatus,
    said: str,
    batched: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guarding, "time", CLOCK)
    cell = tiny.cells[3]
    batch = cell.draw(tiny.seed, range(10))
    found = fit_guarded(method(what, batched), batch, cell.model, "auto", limits)
    expected = OLS.fit(batch, cell.model, "reference")
    good = ~np.isin(found.replications, BAD)
    assert found.replications.tolist() == list(range(10))
    assert found.terms == expected.terms
    assert found.status.tolist() == [status if r in BAD else FitStatus.OK for r in range(10)]
    for name in STORED_COLUMNS:
        np.testing.assert_array_equal(getattr(found, name)[good], getattr(expected, name)[good])
        assert np.isnan(getattr(found, name)[~good]).all()
    texts = found.texts()
    assert (texts[0], texts[3]) == ("", said)


@pytest.mark.posix
def test_guarded_numbers_are_the_plain_ones(tiny: Experiment) -> None:
    cell = tiny.cells[2]
    plain = fit_all(cell, tiny.seed, range(7), tiny.estimators, "auto")
    guarded = fit_all(cell, tiny.seed, range(7), tiny.estimators, "auto", Limits())
    for label, estimates in plain.items():
        for name in ("terms", "messages"):
            assert getattr(guarded[label], name) == getattr(estimates, name)
        for name in (*STORED_COLUMNS, "status"):
            np.testing.assert_array_equal(getattr(guarded[label], name), getattr(estimates, name))


@pytest.mark.posix
def test_a_guarded_task_stores_the_same_bytes(tiny: Experiment) -> None:
    task = Task(1, 2, 9, (0, 1, 2))
    plain, guarded = (perform(Work.of(tiny, task, guarded=flag)) for flag in (False, True))
    assert plain.files[0] == guarded.files[0]


@pytest.mark.posix
def test_errors_made_on_purpose_come_back_from_the_child(tiny: Experiment) -> None:
    cell = replace(tiny.cells[0], model=Model("grade ~ nothing"))
    with pytest.raises(InvalidInput, match="nothing"):
        fit_all(cell, 1, range(2), tiny.estimators[:1], "reference", Limits())


def raising(error: Exception) -> Callable[[], None]:
    """What raises an error of a user's."""

    def fails() -> None:
        raise error

    return fails


@pytest.mark.posix
@pytest.mark.parametrize("error", UNSENDABLE, ids=lambda error: type(error).__name__)
def test_errors_that_cannot_be_sent_name_the_method_and_themselves(
    tiny: Experiment, error: Exception
) -> None:
    fails = Estimator("bad", 1, INFO, when_bad, options={"what": raising(error)})
    with pytest.raises(TaskError, match=rf"'bad.* raised {type(error).__name__}\W"):
        fit_all(tiny.cells[0], 1, range(3, 4), (fails,), "reference", Limits())


class Unreadable:
    """An answer that can be sent, and not read."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return int, ("nothing",)


@pytest.mark.posix
@pytest.mark.parametrize(("answer", "why"), [(threading.Lock(), "sent"), (Unreadable(), "read")])
def test_answers_that_cannot_be_sent_say_so(answer: object, why: str) -> None:
    with pytest.raises(UserError, match=f"an answer that can't be {why} "):
        in_child(lambda: answer, NO_LIMITS)


def fail_with(number: int) -> None:
    """What a worker does: raise one of them."""
    raise UNSENDABLE[number]


@pytest.mark.parametrize("number", range(len(UNSENDABLE)))
def test_what_a_worker_raises_can_be_read(number: int) -> None:
    with pytest.raises(UserError) as raised:
        execute._returning(fail_with, number)
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


@pytest.mark.slow
def test_an_error_that_cannot_be_sent_leaves_the_pool_whole() -> None:
    with pytest.raises(UserError, match="TwoParts: nothing in here"):
        list(execute.mapped(fail_with, iter([0, 0]), 2, LOCAL))


def test_limits_come_from_the_experiment_and_are_part_of_it(tables: dict[str, Any]) -> None:
    plain = experiment_from(tables)
    tables["experiment"] |= {"fit_timeout": 2.5, "fit_memory": 500}
    limited = experiment_from(tables)
    assert limited.key != plain.key
    work = Work.of(limited, Task(0, 0, 2, (0,)))
    assert (work.guarded, work.limits) == (True, Limits(2.5, 500))
    tables["experiment"]["fit_timeout"] = 0
    with pytest.raises(InvalidInput, match="fit_timeout should be greater than 0"):
        experiment_from(tables)


@pytest.mark.parametrize("limits", [Limits(megabytes=100), Limits(seconds=1.0)])
def test_systems_that_cannot_limit_say_so(
    tiny: Experiment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limits: Limits
) -> None:
    """macOS has no /proc, Windows can't fork: refused before anything is fitted."""
    cell = tiny.cells[0]
    batch = cell.draw(1, range(2))
    if limits.megabytes is None:
        monkeypatch.delattr(os, "fork", raising=False)
    monkeypatch.setattr(guarding, "STATM", tmp_path / "statm")
    with pytest.raises(InvalidInput, match=r"fit_memory needs? (Linux|a system that can fork)"):
        fit_guarded(OLS, batch, cell.model, "auto", limits)

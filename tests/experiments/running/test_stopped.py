"""A stop is one sentence, whatever the signal broke into."""

from __future__ import annotations

import gc
import signal
import sys
from pathlib import Path

import pytest

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.running.execute import stoppable
from nestbench.experiments.storing.store import Store
from nestbench.sim.errors import Interrupted


class HalfMade:
    """What a signal interrupted before it had all that its finalizer undoes, as LLVM's objects may be."""

    def __del__(self) -> None:
        raise AttributeError("no attribute '_as_parameter_'")


def breaks_into_a_library(signal_number: int) -> None:
    half_made = HalfMade()
    signal.raise_signal(signal_number)
    raise AssertionError(f"not stopped in time: {half_made}")


@pytest.mark.linux
@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_finalizers_of_what_a_stop_left_half_made_say_nothing(
    signal_number: int, tiny: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    complaints: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda lost: complaints.append(repr(lost.exc_value)))
    store = Store.create(tmp_path / "run", tiny, {})
    try:
        with stoppable(store):
            breaks_into_a_library(signal_number)
    except Interrupted as stopped:
        said = str(stopped)
    gc.collect()
    assert said.startswith(f"stopped; stored in {store.folder}: 0 of ")
    assert complaints == []


def test_complaints_are_heard_again_afterwards(
    monkeypatch: pytest.MonkeyPatch, tiny: Experiment, tmp_path: Path
) -> None:
    complaints: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda lost: complaints.append(lost.exc_value))
    with stoppable(Store.create(tmp_path / "run", tiny, {})):
        pass
    HalfMade()
    gc.collect()
    assert [type(one) for one in complaints] == [AttributeError]

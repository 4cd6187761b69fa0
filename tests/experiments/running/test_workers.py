"""How workers begin: Ctrl-C held back until they ignore it, and an end when the process they work for is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from nestbench.experiments.running.workers import held_back, ignore_interrupts

BEGIN = """
import os, signal, sys
from nestbench.experiments.running.workers import begin
begin(os.getppid() if sys.argv[1] == "ours" else os.getppid() + 1)
blocked = {signal.SIGINT, signal.SIGTERM} & signal.pthread_sigmask(0, set())
print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN, blocked)
"""

pytestmark = pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="needs signal masks")


def started(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=120, check=False)


def test_a_worker_of_a_process_that_is_gone_ends_at_once() -> None:
    """One that begins after its parent was killed by -9 would wait for tasks for ever."""
    done = started("-c", BEGIN, "another's")
    assert (done.returncode, done.stdout) == (1, "")


def test_interrupts_are_held_back_until_a_worker_ignores_them() -> None:
    """What is started meanwhile has them blocked from its first instruction; then Ctrl-C is ignored instead."""
    look = "import signal; print(len({signal.SIGINT, signal.SIGTERM} & signal.pthread_sigmask(0, set())))"
    with held_back():
        assert started("-c", look).stdout == "2\n"
        assert started("-c", BEGIN, "ours").stdout == "True set()\n"
    assert started("-c", look).stdout == "0\n"


def test_the_process_itself_goes_on_hearing_them() -> None:
    before = signal.getsignal(signal.SIGINT)
    ignore_interrupts(os.getpid())
    assert signal.getsignal(signal.SIGINT) is before

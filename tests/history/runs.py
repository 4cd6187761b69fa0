"""Runs of the accuracy gate's studies as lines of a history."""

from __future__ import annotations

from collections.abc import Sequence

from nestbench.history.entry import Entry
from nestbench.history.keeping import with_run
from nestbench.history.recording import Commit, entries_of
from tests.reports.accuracy.gate_studies import Memory


def day(number: int) -> Commit:
    """Return the commit of a day."""
    return Commit(f"c{number}", f"2026-{1 + number // 28:02d}-{1 + number % 28:02d}T00:00:00+00:00")


def history_of(runs: Sequence[Memory]) -> list[Entry]:
    """Return the history of runs, a day each."""
    entries: list[Entry] = []
    for number, run in enumerate(runs):
        entries = with_run(entries, entries_of(run, day(number)))
    return entries

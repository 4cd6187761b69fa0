"""The runtime section: what a fit costs, measured by ``nestbench time`` on an unhurried machine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nestbench.experiments.results import Results
from nestbench.experiments.running import fit_times
from nestbench.experiments.running.fit_times import DRAWING, Timed

SHOWN = ("numpy", "numba", "statsmodels")
"""Packages whose version a time depends on most."""


def timing_section(results: Results) -> dict[str, Any] | None:
    """Return the timings that lie in the run directory as a table; None where there are none.

    Raises
    ------
    StoreError
        The file can't be read.
    """
    folder: Path | None = getattr(results, "folder", None)
    path = None if folder is None else Path(folder) / fit_times.FILE
    if path is None or not path.is_file():
        return None
    timed, machine = fit_times.load(path)
    return {"heads": heads(timed), "rows": rows(timed), "machine": machine_words(machine)}


def heads(timed: Sequence[Timed]) -> list[str]:
    """Return the table's columns: one a number of schools, then the slope."""
    return ["Method", "Engine", "Students", *(f"{g} schools" for g in _schools(timed)), "Slope"]


def rows(timed: Sequence[Timed]) -> list[list[tuple[str, str]]]:
    """Return one row a method, engine and school size; entries are (text, note)."""
    measured = {(t.students, t.estimator, t.engine, t.schools): t for t in timed}
    slopes = fit_times.slopes(timed)
    table = []
    for students, estimator, engine in sorted(
        dict.fromkeys((t.students, t.estimator, t.engine) for t in timed), key=lambda key: key[0]
    ):
        slope = slopes.get((estimator, engine, students))
        table.append(
            [
                ("drawing the data" if estimator == DRAWING else estimator, ""),
                ("" if estimator == DRAWING else engine, ""),
                (str(students), ""),
                *(_entry(measured.get((students, estimator, engine, g))) for g in _schools(timed)),
                ("–" if slope is None else f"{slope:.2f}", ""),
            ]
        )
    return table


def _schools(timed: Sequence[Timed]) -> list[int]:
    """Return the numbers of schools that were timed."""
    return sorted({t.schools for t in timed})


def _entry(one: Timed | None) -> tuple[str, str]:
    """Return the median time of one fit, and its range and processor time for the tooltip."""
    if one is None:
        return "–", ""
    cpu = f"; CPU {duration(one.cpu_seconds)}" if math.isfinite(one.cpu_seconds) else ""
    return duration(one.seconds), f"{duration(one.low)} to {duration(one.high)}; {one.floors:.3g} F{cpu}"


def duration(seconds: float) -> str:
    """Return a time with three digits in the unit that suits it: ``12.3 µs``."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}" if seconds < 1000 * size else f"{seconds / size:.0f} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def machine_words(machine: Mapping[str, Any]) -> str:
    """Return the machine the times were made on, in a sentence."""
    packages = machine.get("packages") or {}
    versions = [f"{name} {packages[name]}" for name in SHOWN if packages.get(name)]
    where = f"{machine.get('cpu') or 'unknown processor'}, {machine.get('cores')} cores, {machine.get('platform')}"
    return f"{where}; Python {machine.get('python')}, {', '.join(versions)}; {machine.get('started')}."

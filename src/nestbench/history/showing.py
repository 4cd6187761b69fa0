"""What a person or a program reads of a history: what changed when."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from nestbench.history.entry import Entry
from nestbench.history.steps import Step, comparisons, series_of
from nestbench.own_data.primitives import primitives
from nestbench.reports.accuracy.baseline import Value
from nestbench.sim.counted import plural

MOST = 8
"""Measures of a run that are listed."""


def to_text(entries: Sequence[Entry], steps: Sequence[Step], alpha: float) -> str:
    """Return the steps by run, and what they rest on."""
    lines = [_extent(entries)]
    for _, of_run in groupby(steps, key=lambda step: step.after.run):
        lines += _run(list(of_run))
    series = series_of(entries)
    pairs = comparisons(series.values())
    if pairs:
        count = plural(len(series), "series", "series")
        lines.append(
            f"{plural(len(steps), 'step')} in {count}. Where nothing changed, any step has a chance of at most "
            f"{alpha:g} ({plural(pairs, 'pair')} of runs, each tested at {alpha / pairs:.1g})."
        )
    return "\n".join(lines)


def to_json(entries: Sequence[Entry], steps: Sequence[Step], alpha: float) -> str:
    """Return every step with its numbers."""
    series = series_of(entries)
    content = {
        "runs": [{"commit": commit, "date": date, "seed": seed} for date, commit, seed in _runs(entries)],
        "series": len(series),
        "alpha": alpha,
        "pairs": comparisons(series.values()),
        "steps": [_plain(step) for step in steps],
    }
    return json.dumps(primitives(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _extent(entries: Sequence[Entry]) -> str:
    """Say what the history holds."""
    runs = _runs(entries)
    if not runs:
        return "An empty history: add a run with nestbench history RUN."
    span = f" from {_day(runs[0])} to {_day(runs[-1])}" if len(runs) > 1 else f", {_day(runs[0])}"
    seeds = {seed for *_, seed in runs}
    return (
        f"{plural(len(runs), 'run')} of '{entries[0].study}'{span}, {plural(len(seeds), 'seed')}; "
        f"{plural(len({one.condition for one in entries}), 'condition')}, "
        f"{plural(len({one.method for one in entries}), 'method')}"
    )


def _run(steps: Sequence[Step]) -> Iterator[str]:
    """Yield what changed at one run."""
    after = steps[0].after
    before = ", ".join(dict.fromkeys(step.previous.commit for step in steps))
    seed = f", seed {after.seed}" if any(step.after.seed != step.before.seed for step in steps) else ""
    yield f"{after.commit} ({after.date[:10]}{seed}), after {before}: {plural(len(steps), 'change')}"
    kinds: dict[tuple[str, str], list[Step]] = {}
    for step in steps:
        kinds.setdefault((step.after.method, step.measure), []).append(step)
    for (method, measure), alike in list(kinds.items())[:MOST]:
        yield f"  {measure}, {method}: {_surest(alike)}"
    if len(kinds) > MOST:
        yield f"  ... and {plural(len(kinds) - MOST, 'measure')} more (--json lists all)"


def _surest(alike: Sequence[Step]) -> str:
    """Return the surest of the changes of one measure and method, and how many there are."""
    step = alike[0]
    one, two = (entry.points[step.measure].value for entry in (step.before, step.after))
    how = "same data sets" if step.paired else "other data sets"
    # A fact has no p-value.
    how += f", p {step.p_value:.1g}" if step.p_value > 0 else ""
    others = f"; {plural(len(alike) - 1, 'other term or condition', 'other terms and conditions')} too"
    return (
        f"{step.after.term}, {step.after.where}: {_number(one)} -> {_number(two)} [{how}]"
        f"{others if len(alike) > 1 else ''}"
    )


def _runs(entries: Sequence[Entry]) -> list[tuple[str, str, int]]:
    """Return date, commit and seed of each run, in order."""
    return sorted({(one.date, one.commit, one.seed) for one in entries})


def _day(run: tuple[str, str, int]) -> str:
    """Return a run in words."""
    return f"{run[1]} ({run[0][:10]})"


def _number(value: Value) -> str:
    """Return a value with its error."""
    if math.isnan(value[0]):
        return "none"
    error = "" if math.isnan(value[1]) else f" (MCSE {value[1]:.2g})"
    return f"{value[0]:.5g}{error}"


def _plain(step: Step) -> dict[str, Any]:
    """Return a step as JSON values."""
    sides = {
        side: {
            "commit": entry.commit,
            "date": entry.date,
            "seed": entry.seed,
            "value": list(entry.points[step.measure].value),
        }
        for side, entry in (("before", step.before), ("after", step.after))
    }
    return {
        "condition": step.after.where,
        "method": step.after.method,
        "term": step.after.term,
        "measure": step.measure,
        **sides,
        "previous": step.previous.commit,
        "same_data_sets": step.paired,
        "p_value": step.p_value,
    }

"""How good is the gate? Defects it catches, clean runs it flags: the numbers in docs/accuracy-testing.md.

    python -m tests.reports.gate_measure 1000

prints them (from the root of the tree; 1000 is the number of clean re-runs). The runs are synthetic (`gate_studies`):
two right methods with exact t statistics on 9 df, four terms, three cells; so what is measured is the gate and not the
methods.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from nestbench.reports.baseline import Baseline, baseline_of
from nestbench.reports.changes import Mark
from nestbench.reports.check import check
from tests.reports.gate_studies import DEFECTS, Memory, gate_study, with_defect

STRICT = (Mark.WORSE, Mark.NEW_FAILURE, Mark.CHANGED)


@dataclass(frozen=True)
class Caught:
    """Of `runs` checks, how many failed by default, and how many when changes fail too; seconds per check."""

    runs: int
    failed: int
    strict: int
    seconds: float


def judge(baseline: Baseline, runs: Iterator[Memory]) -> Caught:
    failed = strict = count = 0
    seconds = 0.0
    for run in runs:
        started = time.perf_counter()
        outcome = check(baseline, run)
        seconds += time.perf_counter() - started
        failed += bool(outcome.failing())
        strict += bool(outcome.failing(STRICT))
        count += 1
    return Caught(count, failed, strict, seconds / max(count, 1))


def fresh(reps: int, seeds: range, defect: str = "") -> Iterator[Memory]:
    for seed in seeds:
        run = gate_study(reps, seed)
        yield with_defect(run, "plain", DEFECTS[defect]) if defect else run


def same(reps: int, seeds: range, defect: str) -> Caught:
    """Defects on the baseline's own data, for several baselines."""
    parts = [
        judge(
            baseline_of(gate_study(reps, s)),
            iter([with_defect(gate_study(reps, s), "plain", DEFECTS[defect])]),
        )
        for s in seeds
    ]
    runs = len(parts)
    return Caught(
        runs, sum(p.failed for p in parts), sum(p.strict for p in parts), sum(p.seconds for p in parts) / runs
    )


def clean(reps: int, runs: int, baselines: int = 20) -> Caught:
    """Clean re-runs on fresh data, against several baselines: one unlucky baseline isn't the gate's rate."""
    parts = [
        judge(
            baseline_of(gate_study(reps, b)),
            fresh(reps, range(10_000 + b * runs, 10_000 + b * runs + runs // baselines)),
        )
        for b in range(1, baselines + 1)
    ]
    total = sum(p.runs for p in parts)
    seconds = sum(p.seconds * p.runs for p in parts) / total
    return Caught(total, sum(p.failed for p in parts), sum(p.strict for p in parts), seconds)


def main(runs: int) -> None:
    print("| what | data | replications | checks that fail | with `--fail-on changed` | seconds a check |")
    print("|---|---|---|---|---|---|")

    def row(what: str, data: str, reps: int, found: Caught) -> None:
        shares = f"{found.failed} of {found.runs} | {found.strict} of {found.runs}"
        print(f"| {what} | {data} | {reps} | {shares} | {found.seconds:.2f} |", flush=True)

    for defect in DEFECTS:
        row(defect, "same", 200, same(200, range(1, 21), defect))
    for defect, reps in itertools.product(DEFECTS, (200, 1000, 4000)):
        baseline = baseline_of(gate_study(reps, 1))
        row(defect, "fresh", reps, judge(baseline, fresh(reps, range(2, 22), defect)))
    row("nothing", "fresh", 200, clean(200, runs))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)

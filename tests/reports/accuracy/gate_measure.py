"""How good is the gate? Defects it catches, clean runs it flags: the numbers in docs/accuracy-testing.md.

    python -m tests.reports.accuracy.gate_measure 1000

prints them (from the root of the tree; 1000 is the number of clean re-runs). The runs are synthetic (`gate_studies`):
two right methods with exact t statistics on 9 df, four terms, three cells; so what is measured is the gate and not the
methods.
"""

from __future__ import annotations

import functools
import itertools
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nestbench.reports.accuracy import evidence
from nestbench.reports.accuracy.baseline import Baseline, baseline_of, measures_of
from nestbench.reports.accuracy.changes import Mark
from nestbench.reports.accuracy.check import check
from nestbench.reports.accuracy.evidence import Gate
from nestbench.study import Measures, first_replications
from tests.reports.accuracy.gate_studies import DEFECTS, TERMS, Memory, drawn, gate_study, with_defect

STRICT = (Mark.WORSE, Mark.NEW_FAILURE, Mark.NEW_DF, Mark.CHANGED)


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


def failed_claims(defect: str, seed: int, se_detect: float = 0.25) -> set[str]:
    """Claims of the fixture `accuracy` that fail on one method, each with its default false-alarm rate and power."""
    gates = {
        "assert_unbiased": Gate(1e-6, 0.9, 0.25, 0.0, 4),
        "assert_coverage": Gate(1e-6, 0.9, 0.05, 0.0, 4),
        "assert_type_one_error": Gate(1e-6, 0.9, 0.05, 0.0, 1),
        "assert_se_calibrated": Gate(1e-6, 0.9, se_detect, 0.0, 4),
    }
    counts = claim_sizes(se_detect)
    cell = gate_study(2, cells=1).experiment.cells[0]
    found = drawn(np.random.default_rng([7, seed]), max(counts.values()))
    found = DEFECTS[defect](found) if defect else found
    failed = set()
    for name, gate in gates.items():
        part = first_replications(found, counts[name])
        if (part.status > 1).any() or not all(f.held for f in findings(name, measures_of(part, cell), gate)):
            failed.add(name)
    return failed


@functools.cache
def claim_sizes(se_detect: float) -> dict[str, int]:
    """Data sets each claim asks for; standard errors on 9 df make the last one 1.11 times what normal theory says."""
    share = evidence.share_replications
    return {
        "assert_unbiased": evidence.mean_replications(Gate(1e-6, 0.9, 0.25, 0.0, 4)),
        "assert_coverage": share(Gate(1e-6, 0.9, 0.05, 0.0, 4), 0.95, 0.95, 0.90),
        "assert_type_one_error": share(Gate(1e-6, 0.9, 0.05, 0.0, 1), 0.0, 0.05, 0.10),
        "assert_se_calibrated": round(
            1.11 * evidence.mean_replications(Gate(1e-6, 0.9, se_detect, 0.0, 4), 0.5**0.5)
        ),
    }


def findings(name: str, measures: Measures, gate: Gate) -> list[evidence.Finding]:
    if name == "assert_unbiased":
        return [
            evidence.bias_finding(t, measures[t]["bias"], measures[t]["empirical_se"][0], gate) for t in TERMS
        ]
    if name == "assert_coverage":
        return [evidence.share_finding(t, measures[t]["coverage"], 0.95, 0.95, gate) for t in TERMS]
    if name == "assert_type_one_error":
        return [evidence.share_finding("resources", measures["resources"]["rejection"], 0.0, 0.05, gate)]
    return [evidence.ratio_finding(t, measures[t]["se_error"], gate) for t in TERMS]


def claims_table(runs: int) -> None:
    sizes = claim_sizes(0.25)
    names = [*sizes, "assert_se_calibrated(detect=0.05)"]
    numbers = [*sizes.values(), claim_sizes(0.05)["assert_se_calibrated"]]
    print("\n| what | " + " | ".join(names) + " |\n|---" + "|---" * len(names) + "|")
    print("| data sets | " + " | ".join(str(n) for n in numbers) + " |")
    for defect, count in [*((name, 20) for name in DEFECTS), ("", runs)]:
        failed = [failed_claims(defect, seed) for seed in range(count)]
        sharp = [
            "assert_se_calibrated" in failed_claims(defect, seed, 0.05) for seed in range(min(count, 20))
        ]
        shares = [f"{sum(name in f for f in failed)} of {count}" for name in sizes]
        print(
            f"| {defect or 'nothing'} | " + " | ".join([*shares, f"{sum(sharp)} of {len(sharp)}"]) + " |",
            flush=True,
        )


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
    claims_table(runs)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)

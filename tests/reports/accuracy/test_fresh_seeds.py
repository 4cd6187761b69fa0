"""A check on other data sets raises a false alarm as rarely as it states, however many each run has; a slip is seen.

Whole checks, from the baseline's file contents to the marks: `test_gate` draws what they test. Margins are left out, so
that what is counted is the test alone. Bounds on counts are exceeded with probability 1e-6.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nestbench.reports.accuracy.baseline import Baseline, baseline_of
from nestbench.reports.accuracy.changes import MARGINS, Mark
from nestbench.reports.accuracy.check import Check, check
from tests.reports.accuracy.gate_studies import DEFECTS, Memory, gate_study, means_of, with_defect

NONE = dict.fromkeys(MARGINS, 0.0)
SIZES = (40, 100, 250, 400)
BEFORE = 200


def study(law: str, reps: int, seed: int) -> Memory:
    return gate_study(reps, seed, cells=2, methods=("mine",), draw=means_of(law))


def baseline(law: str, seed: int) -> Baseline:
    return baseline_of(study(law, BEFORE, seed), codes=BEFORE)


def flagged(law: str, checks: int, alpha: float) -> int:
    """Return how many clean checks are flagged: each of a baseline and a run that have nothing in common."""
    hits = 0
    for seed in range(checks):
        run = study(law, SIZES[seed % len(SIZES)], 50_000 + seed)
        hits += bool(check(baseline(law, seed), run, NONE, alpha).changes)
    return hits

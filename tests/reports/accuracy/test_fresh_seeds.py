"""A check on other data sets raises a false alarm as rarely as it states, however many each run has; a slip is seen.

Whole checks, from what a baseline keeps to the marks: `test_gate` draws their tests alone. Margins are left out, so
that what is counted is the test. Bounds on counts are exceeded with probability 1e-6.
"""

from __future__ import annotations

import pytest
from scipy import stats

from nestbench.reports.accuracy.baseline import Baseline, baseline_of
from nestbench.reports.accuracy.changes import MARGINS
from nestbench.reports.accuracy.check import Check, check
from tests.reports.accuracy.gate_studies import DEFECTS, LAWS, Memory, gate_study, means_of, with_defect

NO_MARGINS = dict.fromkeys(MARGINS, 0.0)
BEFORE, AFTER = 200, (40, 100, 250, 400)


def study(law: str, reps: int, seed: int) -> Memory:
    return gate_study(reps, seed, cells=2, methods=("mine",), draw=means_of(law))


def baseline(law: str, seed: int, reps: int = BEFORE) -> Baseline:
    return baseline_of(study(law, reps, seed), codes=reps)


def clean(law: str, seed: int, alpha: float) -> Check:
    run = study(law, AFTER[seed % len(AFTER)], 50_000 + seed)
    return check(baseline(law, seed), run, NO_MARGINS, alpha)


def test_a_few_clean_checks_are_rarely_flagged() -> None:
    """At a rate of .05, four of twelve checks of any law and size. Were each of their 52 tests at .05, ten would be."""
    found = [clean(law, seed, 0.05) for seed in range(4) for law in LAWS]
    assert all(outcome.tests >= 40 for outcome in found)
    assert sum(bool(outcome.changes) for outcome in found) <= stats.binom.isf(1e-6, len(found), 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.05, 0.2])
@pytest.mark.parametrize("law", LAWS)
def test_clean_checks_are_flagged_as_rarely_as_stated(law: str, alpha: float) -> None:
    flagged = sum(bool(clean(law, seed, alpha).changes) for seed in range(60))
    assert flagged <= stats.binom.isf(1e-6, 60, alpha)


@pytest.mark.parametrize(
    "defect",
    [
        "df wrong by one",
        pytest.param("sign of one term flipped", marks=pytest.mark.slow),
        pytest.param("90 % intervals for 95 %", marks=pytest.mark.slow),
    ],
)
def test_a_slip_is_seen_on_other_data_sets_by_default(defect: str) -> None:
    before = baseline_of(gate_study(1000, 3, cells=2, methods=("mine",)))
    after = gate_study(1000, 4, cells=2, methods=("mine",))
    assert not check(before, after).changes
    assert check(before, with_defect(after, "mine", DEFECTS[defect])).failing()

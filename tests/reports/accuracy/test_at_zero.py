"""Where a variance is truly 0 the last bits decide fits of methods from outside: a check tests measures there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.reports.accuracy.baseline import baseline_of
from nestbench.reports.accuracy.changes import FAILING, MARGINS, Mark
from nestbench.reports.accuracy.check import Check, check
from tests.reports.accuracy.gate_studies import DEFECTS, Memory, gate_study, rebuilt, scaled_se, with_defect

FAILS = (*FAILING, Mark.MOVED)
"""What the workflow of a gate asks for."""
REPS = 200


def study(seed: int = 1, reps: int = REPS, variance: bool = True) -> Memory:
    """Conditions of ICC 0 and .1, a method from outside that says what it estimates the school variance as."""
    clean = gate_study(reps, seed, cells=2, methods=("outside",), batched=False, agreement=None)
    return with_defect(clean, "outside", _with_variance) if variance else clean


def _with_variance(old: Estimates) -> Estimates:
    sd = np.maximum(np.random.default_rng(old.size).normal(size=old.size), 0.0)
    return replace(old, quantities={**old.quantities, "(school_sd)": sd})


def astray(share: float, seed: int) -> Callable[[Estimates], Estimates]:
    """Some fits that end far from where they should."""

    def lost(old: Estimates) -> Estimates:
        hit = np.random.default_rng(seed).random(old.size) < share
        return rebuilt(old, np.where(hit[:, None], 0.0, old.estimate), old.std_error)

    return lost


def checked(before: Memory, after: Memory) -> Check:
    return check(baseline_of(before), after)


def test_a_few_fits_that_last_bits_moved_are_a_note() -> None:
    clean = study()
    outcome = checked(clean, with_defect(clean, "outside", astray(0.02, 3)))
    assert {c.cell for c in outcome.failing(FAILS)} == {1}
    (note,) = [note for note in outcome.notes if "a variance is truly 0" in note]
    assert note.startswith("outside, condition 0")
    assert "single fits may differ (estimates in 4 of 200" in note


def test_a_method_that_estimates_no_variance_is_held_to_every_fit() -> None:
    clean = study(variance=False)
    outcome = checked(clean, with_defect(clean, "outside", astray(0.02, 3)))
    assert {c.cell for c in outcome.changes if c.mark is Mark.CHANGED} == {0, 1}


def test_nothing_is_said_of_the_same_numbers() -> None:
    clean = study()
    outcome = checked(clean, clean)
    assert (outcome.changes, outcome.identical) == ((), 2)
    assert not [note for note in outcome.notes if "variance" in note]


def test_fits_that_fail_are_tested_there_and_counted_elsewhere() -> None:
    def failing(old: Estimates) -> Estimates:
        status = old.status.copy()
        status[[7, 70]] = FitStatus.FAILED
        return replace(old, status=status)

    clean = study()
    outcome = checked(clean, with_defect(clean, "outside", failing))
    assert [(c.cell, c.replications) for c in outcome.changes if c.mark is Mark.NEW_FAILURE] == [(1, (7, 70))]


@pytest.mark.parametrize(
    "defect",
    [
        astray(0.25, 3),
        lambda old: rebuilt(old, old.estimate * np.array([1, 0.75, 1, 1]), old.std_error),
        scaled_se(1.05),
        DEFECTS["sign of one term flipped"],
    ],
    ids=["a quarter of the fits wrong", "an effect 25 % off", "SE x 1.05", "a sign"],
)
def test_what_changes_measures_is_red_with_its_data_sets(defect: Callable[[Estimates], Estimates]) -> None:
    clean = study()
    red = [
        c
        for c in checked(clean, with_defect(clean, "outside", defect)).failing()
        if c.cell == 0 and c.p_value is not None
    ]
    assert red
    assert all(len(c.replications) > 30 for c in red)


@pytest.mark.slow
def test_paths_that_differ_by_chance_raise_alarms_as_often_as_stated() -> None:
    """4 % of the fits go astray, others in each run; 300 checks at a rate of .05, margins left out. (1e-6)"""
    alarms, none = 0, dict.fromkeys(MARGINS, 0.0)
    for seed in range(300):
        clean = study(seed, reps=60)
        one, two = (with_defect(clean, "outside", astray(0.04, 2 * seed + k)) for k in (0, 1))
        changes = check(baseline_of(one), two, none, 0.05).changes
        alarms += any(c.p_value is not None and c.cell != 1 for c in changes)
    assert alarms <= stats.binom.isf(1e-6, 300, 0.05)

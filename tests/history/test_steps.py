"""Steps: found where a defect is planted, nowhere else, and as rarely by chance as the rule says."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.history.steps import comparisons, series_of, steps_of
from tests.history.runs import history_of
from tests.reports.accuracy.gate_studies import (
    DEFECTS,
    Memory,
    changed,
    failing,
    gate_study,
    scaled_se,
    with_defect,
)


def places(runs: list[Memory], alpha: float = 1e-4) -> set[tuple[str, str, str]]:
    """Return commit, method and measure of each step."""
    return {
        (step.after.commit, step.after.method, step.measure) for step in steps_of(history_of(runs), alpha)
    }


def test_a_defect_on_the_same_data_sets_is_a_step_where_it_came() -> None:
    clean = gate_study(200, cells=2)
    wrong = with_defect(clean, "robust", scaled_se(1.01))
    found = places([clean, clean, wrong, wrong])
    assert found == {("c2", "robust", name) for name in ("model_se", "se_error", "interval_width")}
    back = places([clean, wrong, clean])
    assert {commit for commit, *_ in back} == {"c1", "c2"}
    steps = steps_of(history_of([clean, clean, wrong]))
    assert all(step.paired and step.previous.commit == "c1" for step in steps)
    assert len(steps) == 2 * 4 * 3, "each condition, term and measure"


@pytest.mark.parametrize("defect", ["1 % of fits fail", "sign of one term flipped", "df wrong by one"])
def test_defects_are_seen_on_the_same_data_sets(defect: str) -> None:
    clean = gate_study(200, cells=1)
    found = places([clean, with_defect(clean, "plain", DEFECTS[defect])])
    assert found
    assert {method for _, method, _ in found} == {"plain"}
    assert ("c1", "plain", "usable_share") in found or defect != "1 % of fits fail"


def test_a_large_defect_is_seen_on_other_data_sets_and_a_slow_drift_adds_up() -> None:
    runs = [gate_study(2000, seed, cells=1) for seed in range(4)]
    assert places(runs) == set()
    wrong = [*runs[:2], *(with_defect(run, "plain", scaled_se(1.1)) for run in runs[2:])]
    assert {("c2", "plain", "model_se")} <= places(wrong)
    drifting = [
        with_defect(gate_study(2000, seed, cells=1), "plain", scaled_se(1.02**seed)) for seed in range(8)
    ]
    for one, two in pairwise(drifting):
        assert places([one, two]) == set()
    assert any(measure == "model_se" for *_, measure in places(drifting))


def test_rounding_is_no_step() -> None:
    clean = gate_study(100, cells=1)
    noise = np.random.default_rng(0)
    rounded = changed(
        clean,
        "plain",
        std_error=lambda old: old.std_error * (1 + 1e-10),
        estimate=lambda old: old.estimate * (1 + 1e-12 * noise.standard_normal(old.estimate.shape)),
    )
    assert places([clean, rounded, clean]) == set()


def test_one_fit_that_came_out_otherwise_is_no_step() -> None:
    clean = gate_study(400, cells=1)
    few = changed(clean, "plain", std_error=lambda old: _with_one(old.std_error))
    assert places([clean, few]) == set()


def _with_one(values: np.ndarray) -> np.ndarray:
    found = values.copy()
    found[7] *= 1.3
    return found


def test_more_replications_are_other_data_sets() -> None:
    short, long = gate_study(200, cells=1), gate_study(400, cells=1)
    steps = steps_of(history_of([short, with_defect(long, "plain", scaled_se(1.5))]))
    assert steps
    assert not any(step.paired for step in steps)


def test_a_new_condition_or_method_begins_a_series() -> None:
    one, two = gate_study(100, cells=1), gate_study(100, cells=2, methods=("plain", "robust", "third"))
    entries = history_of([one, two])
    assert steps_of(entries) == []
    series = series_of(entries)
    assert comparisons(series.values()) == 2 * (4 * 9 + 4)
    lengths = {(c, m): len(runs) for (c, m, t, n), runs in series.items() if (t, n) == ("age", "bias")}
    assert sorted(lengths.values()) == [1, 1, 1, 1, 2, 2]


def test_all_or_nothing_shares_have_an_exact_test() -> None:
    clean = gate_study(4000, 1, cells=1)
    other = gate_study(4000, 2, cells=1)
    lost = with_defect(other, "plain", failing)
    found = places([clean, lost])
    assert ("c1", "plain", "usable_share") in found
    few = [
        replace(run, cells=[{m: e.take(slice(50)) for m, e in run.cells[0].items()}]) for run in (clean, lost)
    ]
    assert places(few) == set()


def test_failures_on_other_data_sets_are_held_to_all_runs_without_any() -> None:
    """Of 10 in 1000, one run without any says little, six do; of a method that fails now and then, no run is a step."""
    runs = [_with_failures(gate_study(1000, seed, cells=1), 0) for seed in range(6)]
    lost = _with_failures(gate_study(1000, 6, cells=1), 10)
    assert places([runs[0], lost]) == set()
    assert places([*runs, lost]) == {("c6", "plain", "usable_share")}
    again = [_with_failures(runs[0], 0)] * 6
    assert places([*again, lost]) == set(), "the same data sets six times"
    often = [_with_failures(gate_study(1000, seed, cells=1), 10 + seed) for seed in range(7)]
    assert places(often) == set()


def test_one_failure_of_a_method_that_never_failed_is_a_step_and_one_more_of_others_is_none() -> None:
    clean = gate_study(200, cells=1)
    runs = [_with_failures(clean, number) for number in (0, 0, 1, 2, 0)]
    steps = [step for step in steps_of(history_of(runs)) if step.measure == "usable_share"]
    assert {(step.after.commit, step.paired) for step in steps} == {("c2", True), ("c4", True)}


def test_failures_that_come_and_go_are_steps_once() -> None:
    clean = gate_study(200, cells=1)
    runs = [_with_failures(clean, number) for number in (0, 1, 0, 1, 0, 1, 1)]
    assert {commit for commit, _, measure in places(runs) if measure == "usable_share"} == {"c1", "c2"}
    lost = [*runs, _with_failures(clean, 60)]
    assert ("c7", "plain", "usable_share") in places(lost)


def _with_failures(run: Memory, number: int) -> Memory:
    """The first fits of one method fail, and none of the others."""

    def fail(old: Estimates) -> Estimates:
        failed = old.replications < number
        status = np.where(failed, FitStatus.FAILED, FitStatus.OK).astype(np.int8)
        return replace(old, estimate=np.where(failed[:, None], np.nan, old.estimate), status=status)

    return with_defect(run, "plain", fail)


@pytest.mark.slow
@pytest.mark.parametrize("paired", [True, False])
def test_steps_by_chance_are_as_rare_as_stated(paired: bool) -> None:
    """Histories of four runs without a change: on other data sets, or on the same ones with answers that differ at
    random (exchangeable between runs, so that nothing changed)."""
    alpha, trials, alarms = 0.2, 200, 0
    for trial in range(trials):
        runs = [gate_study(200, 4 * trial + k, cells=1) for k in range(4)]
        if paired:
            runs = [replace(run, experiment=runs[0].experiment) for run in runs]
        alarms += bool(places(runs, alpha))
    # More than these at the stated rate with probability 1e-6.
    assert alarms <= stats.binom.isf(1e-6, trials, alpha), alarms

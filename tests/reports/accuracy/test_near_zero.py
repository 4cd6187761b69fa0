"""Where a variance is estimated near 0 the last bits decide single fits: these are tested, all others held to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.reports.accuracy.baseline import baseline_of
from nestbench.reports.accuracy.changes import FAILING, Mark
from nestbench.reports.accuracy.check import Check, check
from nestbench.reports.accuracy.check_formats import to_json, to_text
from nestbench.reports.accuracy.near_zero import NEAR
from tests.reports.accuracy.gate_studies import DF, Memory, gate_study, rebuilt, scaled_se, with_defect

FAILS = (*FAILING, Mark.MOVED)
"""What the workflow of a gate asks for."""
REPS = 200
Change = Callable[[Estimates], Estimates]


def study(near: int, sd: float = 0.03) -> Memory:
    """Conditions of ICC 0 and .1, a method from outside; the school SD of the first `near` data sets is small."""
    clean = gate_study(REPS, cells=2, methods=("outside",), batched=False, agreement=None)
    sds = np.where(np.arange(REPS) < near, sd, 0.4)
    found = [{"outside": _with(cell["outside"], sds)} for cell in clean.cells]
    return replace(clean, cells=found)


def _with(old: Estimates, sds: np.ndarray) -> Estimates:
    return replace(old, quantities={**old.quantities, "(school_sd)": sds})


def at(numbers: list[int], change: Change) -> Change:
    """A change of some fits alone."""

    def some(old: Estimates) -> Estimates:
        new, hit = change(old), np.isin(old.replications, numbers)
        columns = ("estimate", "std_error", "df", "lower", "upper", "p_value")
        picked = {n: np.where(hit[:, None], getattr(new, n), getattr(old, n)) for n in columns}
        return replace(old, **picked, status=np.where(hit, new.status, old.status))

    return some


def other_df(old: Estimates) -> Estimates:
    return rebuilt(old, old.estimate, old.std_error, DF * 1.01)


def failed(old: Estimates) -> Estimates:
    return replace(old, status=np.full_like(old.status, FitStatus.FAILED))


def checked(clean: Memory, change: Change) -> Check:
    """Return the check of condition 1: that of a true 0 has a rule of its own."""
    outcome = check(baseline_of(clean), with_defect(clean, "outside", change))
    return replace(outcome, changes=tuple(c for c in outcome.changes if c.cell == 1))


def test_what_moves_in_a_few_of_them_is_a_note() -> None:
    outcome = checked(study(near=8), at([1, 4], other_df))
    assert not outcome.failing(FAILS)
    (note,) = [one for one in outcome.notes if "condition 1" in one]
    assert "estimated near 0 in 8 of 200 data sets" in note
    assert " in 2 of 8" in note


def test_one_that_fails_is_a_failure() -> None:
    """It has no variance any more."""
    found = [c for c in checked(study(near=8), at([1], failed)).failing(FAILS) if c.mark is Mark.NEW_FAILURE]
    assert (1,) in [one.replications for one in found]


@pytest.mark.parametrize(
    ("where", "sd"), [([100], 0.03), ([1], NEAR * 1.01)], ids=["elsewhere", "not near 0"]
)
def test_one_fit_that_is_not_among_them_is_red(where: list[int], sd: float) -> None:
    red = checked(study(near=8, sd=sd), at(where, other_df)).failing(FAILS)
    assert [(one.mark, one.replications) for one in red] == [(Mark.CHANGED, tuple(where))]


def test_both_are_told_apart() -> None:
    outcome = checked(study(near=8), at([1, 4, 100], other_df))
    assert [one.replications for one in outcome.failing(FAILS)] == [(100,)]
    assert [one for one in outcome.notes if "condition 1" in one]


def test_a_variance_that_became_0_alone_is_not_near_0() -> None:
    """A silent zero: near 0 has to be what both runs say."""

    def zero(old: Estimates) -> Estimates:
        sds = np.where(old.replications == 100, 0.0, old.quantities["(school_sd)"])
        return _with(at([100], other_df)(old), sds)

    assert (100,) in [one.replications for one in checked(study(near=8), zero).failing(FAILS)]


def test_a_slip_in_all_of_them_is_red_with_its_data_sets() -> None:
    near = list(range(100))
    red = checked(study(near=100), at(near, scaled_se(1.05))).failing(FAILS)
    assert {one.measure for one in red} >= {"model_se", "interval_width"}
    assert all(one.p_value is not None and set(one.replications) <= set(near) for one in red)


def test_a_method_of_ours_or_without_a_variance_is_held_to_every_fit() -> None:
    clean = gate_study(REPS, cells=2, methods=("outside",), batched=False, agreement=None)
    assert checked(clean, at([1], other_df)).failing(FAILS)
    ours = gate_study(REPS, cells=2, methods=("outside",))
    ours = replace(ours, cells=[{"outside": _with(c["outside"], np.full(REPS, 0.03))} for c in ours.cells])
    assert checked(ours, at([1], other_df)).failing(FAILS)


def test_numbers_that_are_the_same_are_said_to_be() -> None:
    outcome = checked(study(near=100), at([1, 4], other_df))
    assert 0 < outcome.alike < outcome.tests
    assert f": {outcome.alike} of numbers that are the same in every data set; " in to_text(outcome)
    assert f'"alike": {outcome.alike}' in to_json(outcome)
    # Two df that moved in the sixth digit of an interval are far within every margin: the data sets are the same.
    assert outcome.settled >= 3

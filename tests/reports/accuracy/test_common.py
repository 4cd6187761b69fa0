"""Records on their common replications: measures of what is kept, the same n on both sides of a change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nestbench.estimators.estimates import Estimates
from nestbench.reports.accuracy.baseline import Record, baseline_of, measures_of, record_of
from nestbench.reports.accuracy.changes import FAILING, Mark
from nestbench.reports.accuracy.check import Check, check
from nestbench.reports.accuracy.common import on_common
from tests.reports.accuracy.gate_studies import (
    DEFECTS,
    Memory,
    changed,
    failing,
    gate_study,
    scaled_se,
    with_defect,
)

FEW = 60


def first(old: Estimates) -> Estimates:
    """The first replications alone."""
    return old.take(np.arange(FEW))


def shorter(run: Memory) -> Memory:
    return with_defect(run, "plain", first)


@pytest.fixture(scope="module")
def clean() -> Memory:
    return gate_study(400, cells=2, methods=("plain",))


def records(run: Memory) -> tuple[Record, Record]:
    cell, fits = run.experiment.cells[1], run.cells[1]["plain"]
    before = baseline_of(run).cells[1].estimators["plain"]
    return before, record_of(first(fits), cell, 1e-9, before.scales, 1000, like=before)


def test_measures_are_those_of_the_common_replications(clean: Memory) -> None:
    """Up to the rounding of what is kept: .05 % of a standard error, .0005 of the errors' spread."""
    for one in on_common(*records(with_defect(clean, "plain", failing))):
        fits = failing(clean.cells[1]["plain"]).take(np.arange(FEW))
        for term, measures in measures_of(fits, clean.experiment.cells[1]).items():
            for name, (value, mcse, n) in measures.items():
                seen = one.measures[term][name]
                assert seen[2] == n, (term, name)
                rounding = 0.1 if name == "se_error" else 1e-3  # in percent
                assert seen[0] == pytest.approx(value, rel=2e-3, abs=rounding), (term, name)
                assert seen[1] == pytest.approx(mcse, rel=0.1, abs=1e-3), (term, name)


def test_the_same_or_unkept_replications_stay_as_they_are(clean: Memory) -> None:
    before, after = records(clean)
    assert on_common(before, before) == (before, before)
    unkept = replace(before, rows=10)
    assert on_common(unkept, after) == (unkept, after)


def checked(clean: Memory, now: Memory) -> Check:
    return check(baseline_of(clean), now)


def test_fewer_replications_of_the_same_numbers_are_no_change(clean: Memory) -> None:
    assert checked(clean, shorter(clean)).changes == ()
    assert checked(shorter(clean), clean).changes == ()


@pytest.mark.parametrize("name", ["SE 5 % too large", "df wrong by one", "sign of one term flipped"])
def test_a_change_has_one_n_on_both_sides(clean: Memory, name: str) -> None:
    changes = checked(clean, shorter(with_defect(clean, "plain", DEFECTS[name]))).failing()
    sizes = {(c.before[2], c.after[2]) for c in changes if c.before is not None and c.after is not None}
    assert sizes == {(FEW, FEW)}


def test_failures_are_counted_among_the_common_ones(clean: Memory) -> None:
    def lost(old: Estimates) -> Estimates:
        status = old.status.copy()
        status[[3, 300]] = 4
        return replace(old, status=status)

    (one, _) = [c for c in checked(clean, shorter(changed(clean, "plain", status=lambda e: lost(e).status))).changes
                if c.mark is Mark.NEW_FAILURE]  # fmt: skip
    assert one.replications == (3,)
    assert one.before is not None
    assert one.before[2] == FEW


def test_what_moved_within_the_margin_is_no_change_of_measures_of_fewer_replications() -> None:
    """Standard errors .05 % larger in every fit under another version: significant in pairs, and small."""
    clean = gate_study(400, cells=6, methods=("plain",), batched=False, agreement=None)
    now = shorter(with_defect(clean, "plain", scaled_se(1.0005)))
    outcome = check(replace(baseline_of(clean), versions={"statsmodels": "0.14.6"}), now)
    assert {c.mark for c in outcome.changes} == {Mark.MOVED}
    assert not outcome.failing(FAILING)

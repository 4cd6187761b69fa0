"""The accuracy gate: rules (a) and (b), their marks, and how often it errs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy import stats

from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.estimators.estimator import Agreement
from nestbench.reports.accuracy import check_formats as formats
from nestbench.reports.accuracy.baseline import Baseline, baseline_of
from nestbench.reports.accuracy.baseline_file import to_json as baseline_json
from nestbench.reports.accuracy.changes import Context, Mark, judged, move_of
from nestbench.reports.accuracy.check import Check, check
from nestbench.sim.errors import InvalidInput
from tests.reports.accuracy.gate_studies import (
    DEFECTS,
    TERMS,
    Memory,
    changed,
    flipped_sign,
    gate_study,
    rebuilt,
    small_se,
    with_defect,
    wrong_df,
)


@pytest.fixture(scope="module")
def clean() -> Memory:
    return gate_study(reps=400)


@pytest.fixture(scope="module")
def baseline(clean: Memory) -> Baseline:
    return baseline_of(clean)


def marks(outcome: Check) -> set[Mark]:
    return {change.mark for change in outcome.changes}


# --- rule (a): same data, same code ------------------------------------------------------------------------------


def test_the_same_run_is_identical(clean: Memory, baseline: Baseline) -> None:
    outcome = check(baseline, clean)
    assert outcome.changes == ()
    assert (outcome.pairs, outcome.identical, outcome.tests) == (6, 6, 0)


def test_rounding_is_no_change(clean: Memory, baseline: Baseline) -> None:
    other = changed(clean, "plain", estimate=lambda e: e.estimate * (1 + 1e-12))
    outcome = check(baseline, other)
    assert outcome.changes == ()
    assert (outcome.pairs, outcome.identical) == (6, 3)


def test_moved_replications_are_named_with_their_commands(clean: Memory, baseline: Baseline) -> None:
    def moved(e: Estimates) -> np.ndarray:
        values = e.std_error.copy()
        values[[0, 17, 230], 1] *= 1.001
        return values

    outcome = check(baseline, changed(clean, "robust", std_error=moved))
    assert [c.mark for c in outcome.changes] == [Mark.CHANGED] * 3
    first = outcome.changes[0]
    assert (first.estimator, first.replications) == ("robust", (0, 17, 230))
    assert "standard errors in 3 of 400" in first.detail
    assert "age std_error" in first.detail
    assert outcome.failing() == outcome.failing((Mark.CHANGED,)) == outcome.changes
    text = formats.to_text(outcome, "runs/gate")
    assert "nestbench replay runs/gate --condition 0 --replication 17 --method robust" in text


@pytest.mark.parametrize("name", DEFECTS)
def test_every_defect_is_seen_on_the_same_data(name: str, clean: Memory, baseline: Baseline) -> None:
    outcome = check(baseline, with_defect(clean, "plain", DEFECTS[name]))
    hit = {change.cell for change in outcome.changes}
    assert hit == {0, 1, 2}
    assert {change.estimator for change in outcome.changes} == {"plain"}
    want = {"1 % of fits fail": Mark.NEW_FAILURE, "df wrong by one": Mark.NEW_DF}.get(name, Mark.CHANGED)
    assert want in marks(outcome)
    assert outcome.failing()


@pytest.mark.parametrize("missing", [np.nan, np.inf])
def test_a_number_that_was_0_and_is_missing_now_is_an_example(missing: float) -> None:
    """A p-value of 0 can turn into none."""
    clean = gate_study(cells=1, methods=("plain",))

    def first(value: float) -> Callable[[Estimates], np.ndarray]:
        return lambda old: np.where(old.replications[:, None] == 0, value, old.p_value)

    before = changed(clean, "plain", p_value=first(0.0))
    outcome = check(baseline_of(before), changed(clean, "plain", p_value=first(missing)))
    assert f"p_value 0 -> {missing} in replication 0" in formats.to_text(outcome)


def test_new_failures_and_fixed_ones_are_listed(clean: Memory, baseline: Baseline) -> None:
    def status(e: Estimates) -> np.ndarray:
        values = e.status.copy()
        values[[5, 60]] = FitStatus.NOT_CONVERGED
        return values

    broken = changed(clean, "plain", status=status)
    outcome = check(baseline, broken)
    new = [c for c in outcome.changes if c.mark is Mark.NEW_FAILURE]
    assert [c.replications for c in new] == [(5, 60)] * 3
    assert "NOT_CONVERGED" in new[0].detail
    back = check(baseline_of(broken), clean)
    fixed = [c for c in back.changes if c.mark is Mark.FIXED]
    assert [c.replications for c in fixed] == [(5, 60)] * 3
    assert marks(back) == {Mark.FIXED, Mark.CHANGED}


def test_better_and_worse_are_mirror_images(clean: Memory, baseline: Baseline) -> None:
    flipped = with_defect(clean, "plain", flipped_sign)
    there, back = check(baseline, flipped), check(baseline_of(flipped), clean)
    bias = [[(c.term, c.mark) for c in o.changes if c.measure == "bias"] for o in (there, back)]
    assert bias[0] == [("gender[T.male]", Mark.WORSE)] * 3
    assert bias[1] == [("gender[T.male]", Mark.BETTER)] * 3


def test_shorter_runs_are_compared_on_what_both_have(clean: Memory, baseline: Baseline) -> None:
    short = gate_study(reps=400)
    short.cells = [
        {k: replace(e, **{f: getattr(e, f)[:50] for f in
                          ("replications", "estimate", "std_error", "df", "lower", "upper", "p_value", "status",
                           "message", "seconds")},
                    quantities={n: v[:50] for n, v in e.quantities.items()})
         for k, e in found.items()}
        for found in short.cells
    ]  # fmt: skip
    outcome = check(baseline, short)
    assert outcome.changes == ()
    assert outcome.identical == 0
    assert (outcome.replayed, outcome.tests) == (6, 0)
    moved = check(baseline, with_defect(short, "plain", small_se))
    assert "standard errors in 50 of 50" in moved.changes[0].detail + moved.changes[-1].detail


def one_zero(e: Estimates, replication: int) -> Estimates:
    """One silent zero in one term with a small effect, status OK."""
    estimate = e.estimate.copy()
    estimate[replication, 3] = 0.0
    return rebuilt(e, estimate, e.std_error)


@pytest.mark.parametrize("agreement", [Agreement.DIRECT, Agreement.RANDOM, None])
def test_any_moved_number_fails_where_the_data_determine_it(agreement: Agreement | None) -> None:
    study = gate_study(reps=120, cells=1, batched=agreement is not None, agreement=agreement)
    outcome = check(baseline_of(study), with_defect(study, "plain", lambda e: one_zero(e, 77)))
    assert [(c.mark, c.replications) for c in outcome.failing()] == [(Mark.CHANGED, (77,))]


@pytest.mark.parametrize("batched", [True, False])
def test_an_optimisers_path_is_listed_and_its_measures_are_tested(batched: bool) -> None:
    study = gate_study(reps=120, cells=1, batched=batched, agreement=Agreement.IMPLICIT)
    before = baseline_of(study)
    outcome = check(before, with_defect(study, "plain", lambda e: one_zero(e, 77)))
    # The exact optimum, found by our engine, is determined; where statsmodels' optimiser stops is not.
    assert [c.mark for c in outcome.changes] == [Mark.CHANGED if batched else Mark.MOVED]
    assert bool(outcome.failing()) is batched
    grave = check(before, with_defect(study, "plain", small_se))
    assert {"model_se"} <= {c.measure for c in grave.failing()}


def test_what_moved_beyond_the_replications_kept_is_seen_in_the_measures() -> None:
    study = gate_study(reps=300, cells=1)
    before = baseline_of(study, codes=100)
    assert check(before, with_defect(study, "plain", lambda e: one_zero(e, 77))).failing()[
        0
    ].replications == (77,)
    late = check(before, with_defect(study, "plain", lambda e: one_zero(e, 277))).failing()
    assert [c.mark for c in late] == [Mark.CHANGED]
    assert "bias of resources" in late[0].detail
    assert "beyond the 100 replications kept" in late[0].detail
    rounding = changed(study, "plain", estimate=lambda e: e.estimate * (1 + 1e-12))
    assert check(before, rounding).changes == ()


def test_a_direction_is_claimed_only_beyond_monte_carlo_error() -> None:
    def value(share: float, n: int) -> tuple[float, float, int]:
        return share, float(np.sqrt(share * (1 - share) / n)), n

    nothing = (np.nan, np.nan, 0)
    context = Context(True, 0.05, 1.0, nothing, nothing, same_data=True)
    # The review's case: .94 to .97 at an MCSE of .024 says nothing of a direction; a hundred times the n does.
    small = move_of("coverage", value(0.94, 100), value(0.97, 100), context)
    assert judged("coverage", [small]) is Mark.CHANGED
    assert (
        judged("coverage", [move_of("coverage", value(0.95, 10_000), value(0.97, 10_000), context)])
        is Mark.WORSE
    )
    assert (
        judged("coverage", [move_of("coverage", value(0.90, 900), value(0.93, 900), context)]) is Mark.BETTER
    )
    # Four cells that each leave it open may show it together.
    open_case = move_of("coverage", value(0.94, 400), value(0.90, 400), context)
    assert (
        judged("coverage", [move_of("coverage", value(0.94, 150), value(0.91, 150), context)]) is Mark.CHANGED
    )
    assert judged("coverage", [open_case] * 4) is Mark.WORSE
    ratio = replace(context, ratio_before=(0.0, 2.0, 400), ratio_after=(-5.0, 2.0, 400))
    assert judged("model_se", [move_of("model_se", (1.0, 0.0, 400), (0.95, 0.0, 400), ratio)]) is Mark.CHANGED
    sure = replace(context, ratio_before=(0.0, 0.5, 9000), ratio_after=(-5.0, 0.5, 9000))
    assert judged("model_se", [move_of("model_se", (1.0, 0.0, 9), (0.95, 0.0, 9), sure)]) is Mark.WORSE
    assert (
        judged("interval_width", [move_of("interval_width", (1.0, 0.1, 9), (2.0, 0.1, 9), sure)])
        is Mark.CHANGED
    )


# --- rule (b): other data, other versions --------------------------------------------------------------------------


def test_other_seed_is_tested_and_clean(baseline: Baseline) -> None:
    outcome = check(baseline, gate_study(reps=400, seed=2))
    assert outcome.changes == ()
    # 2 methods x (4 terms x 7 measures - 4 redundant usable shares + 3 of the quantity - 1 + fit) + pooled over cells
    per_pair = 4 * 6 + 2 + 1
    assert outcome.tests == 6 * per_pair + 2 * per_pair
    assert 0 < outcome.settled < outcome.tests
    assert any("seed 1 in the baseline, 2 in the run" in note for note in outcome.notes)


def test_flipped_sign_is_seen_on_other_data(baseline: Baseline) -> None:
    outcome = check(baseline, with_defect(gate_study(reps=400, seed=2), "plain", flipped_sign))
    worse = {(c.cell, c.estimator, c.term, c.measure) for c in outcome.changes if c.mark is Mark.WORSE}
    for cell in (0, 1, 2, None):
        assert (cell, "plain", "gender[T.male]", "bias") in worse
        assert (cell, "plain", "gender[T.male]", "coverage") in worse
    assert {where[1:3] for where in worse} == {("plain", "gender[T.male]")}


def test_constant_df_needs_no_test(baseline: Baseline) -> None:
    outcome = check(baseline, with_defect(gate_study(reps=400, seed=2), "plain", wrong_df))
    df = [c for c in outcome.changes if c.measure == "df"]
    assert len(df) == 3 * 4
    assert "df 9 -> 10" in df[0].detail
    assert df[0].mark is Mark.NEW_DF
    assert all(change in outcome.failing() for change in df)


def test_what_would_be_seen_is_said(baseline: Baseline) -> None:
    outcome = check(baseline, gate_study(reps=400, seed=2))
    by_name = {sight.departure: sight for sight in outcome.sights}
    assert len(by_name) == 4
    assert all(s.everywhere <= s.one_cell < 5000 for s in outcome.sights)
    for text in (formats.to_text(outcome), formats.to_markdown(outcome)):
        assert (
            "With n replications in each run a check finds, with probability 0.9: standard errors 5 %" in text
        )
    said = json.loads(formats.to_json(outcome))["would_see"]
    assert [part["departure"] for part in said] == list(by_name)
    blind = check(baseline, gate_study(reps=400, seed=2), margins={"model_se": 0.06})
    assert "standard errors 5 % larger from n = no number on" in formats.to_text(blind)
    assert check(baseline, gate_study(reps=400)).sights == ()


def test_too_few_replications_are_said() -> None:
    few = check(baseline_of(gate_study(5)), gate_study(5, seed=2))
    assert any(
        "with 5 of the baseline and 5 of the run no change of one condition can be" in note
        for note in few.notes
    )
    assert not any("too few" in n for n in check(baseline_of(gate_study(9)), gate_study(9, seed=2)).notes)


@pytest.mark.slow
def test_cells_that_share_data_sets_are_permuted_together() -> None:
    study = gate_study(reps=60, cells=1)
    cell = study.experiment.cells[0]
    wide = replace(cell, model=replace(cell.model, level=0.9))
    experiment = replace(study.experiment, cells=(cell, wide), levels=({"level": 0.95}, {"level": 0.9}))
    # The same numbers in both cells: pooled as if they were independent they would look sure of too much.
    alarms = 0
    for seed in range(60):
        found = [gate_study(60, 2 * seed + i, cells=1, methods=("plain",)).cells[0] for i in (0, 1)]
        runs = [Memory(replace(experiment, seed=2 * seed + i), [f, f]) for i, f in enumerate(found)]
        alarms += bool(check(baseline_of(runs[0]), runs[1], alpha=0.05).changes)
    assert alarms <= stats.binom.isf(1e-6, 60, 0.05)


def test_a_change_must_matter(baseline: Baseline) -> None:
    # On the same data sets 1.3 % of the SE is certain, but the margin is 2 %.
    newer = changed(gate_study(reps=400, version=2), "plain", std_error=lambda e: e.std_error * 1.013)
    assert "model_se" not in {c.measure for c in check(baseline, newer).changes}
    found = check(baseline, newer, margins={"model_se": 0.001}).changes
    assert {c.term for c in found if c.measure == "model_se"} == set(TERMS)


def test_other_versions_mean_rule_b_and_still_list_what_moved(baseline: Baseline) -> None:
    newer = with_defect(gate_study(reps=400, version=2), "plain", small_se)
    outcome = check(baseline, newer)
    assert outcome.replayed == 0
    assert any(
        "plain: version 1 (batched) in the baseline, 2 (batched) now" in note for note in outcome.notes
    )
    moved = [c for c in outcome.changes if c.measure == "replications"]
    assert [(c.mark, len(c.replications)) for c in moved] == [(Mark.MOVED, 400)] * 3
    # The same data sets: swaps within each show a change of 5 % at any size, its direction not.
    tested = {(c.cell, c.term, c.measure, c.mark) for c in outcome.changes if c.p_value is not None}
    assert {(0, term, "model_se", Mark.CHANGED) for term in TERMS} <= tested
    assert outcome.failing()


def test_statsmodels_version_concerns_reference_engines_only(baseline: Baseline) -> None:
    packages = {"statsmodels": "0.16.0"}
    assert check(baseline, gate_study(reps=400, packages=packages)).replayed == 6
    slow = baseline_of(gate_study(reps=50, batched=False))
    assert check(slow, gate_study(reps=50, batched=False)).replayed == 6
    assert check(slow, gate_study(reps=50, batched=False, packages=packages)).replayed == 0


def test_failures_on_same_data_but_other_versions_are_paired() -> None:
    before = baseline_of(gate_study(reps=3000, cells=1), codes=3000)
    newer = with_defect(gate_study(reps=3000, cells=1, version=2), "plain", DEFECTS["1 % of fits fail"])
    new = [c for c in check(before, newer, alpha=1e-3).changes if c.mark is Mark.NEW_FAILURE]
    lost = int((newer.cells[0]["plain"].status == FitStatus.FAILED).sum())
    # Swaps within data sets: all of those that were lost on one side has the probability 2^-lost.
    assert lost > 15
    assert new
    assert new[0].p_value is not None
    assert new[0].p_value <= 1e-3


# --- what can't be compared ----------------------------------------------------------------------------------------


def test_missing_and_new_things_are_not_comparable(baseline: Baseline) -> None:
    other = gate_study(reps=400, cells=4, methods=("plain", "third"))
    other.cells[1].pop("plain")
    outcome = check(baseline, other)
    gone = Counter((c.cell, c.estimator, c.detail) for c in outcome.changes if c.mark is Mark.NOT_COMPARABLE)
    assert gone[(1, "plain", "the run has no such method")] == 1
    assert gone[(0, "robust", "the run has no such method")] == 1
    assert gone[(2, "third", "the baseline has no such method")] == 1
    assert gone[(3, "(all)", "the baseline has no such condition")] == 1
    smaller = check(baseline, gate_study(reps=400, cells=2))
    assert [(c.cell, c.detail) for c in smaller.changes] == [(None, "the run has no such condition")]
    assert not smaller.failing()


def test_nothing_in_common_is_an_error(baseline: Baseline) -> None:
    with pytest.raises(InvalidInput, match="none in common"):
        check(baseline, gate_study(reps=10, methods=("third",)))
    with pytest.raises(InvalidInput, match="Did you mean 'coverage'"):
        check(baseline, gate_study(reps=10), margins={"covrage": 0.1})
    with pytest.raises(InvalidInput, match="margin >= 0"):
        check(baseline, gate_study(reps=10), margins={"coverage": -0.1})


# --- formats ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spoilt(clean: Memory, baseline: Baseline) -> Check:
    return check(baseline, with_defect(clean, "plain", DEFECTS["a silent zero in 2 % of fits"]))


def test_text_starts_with_the_verdict(spoilt: Check) -> None:
    text = formats.to_text(spoilt, "runs/gate")
    assert text.startswith("accuracy check against 'gate' FAILED: ")
    assert "WORSE  plain  Intercept  model_se  [condition 0: population.icc=0.0]" in text
    assert "MCSE" in text


def test_markdown_is_a_table(spoilt: Check) -> None:
    text = formats.to_markdown(spoilt, "runs/gate")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(spoilt.changes)
    assert len({line.count("|") - line.count("\\|") for line in rows}) == 1
    assert "```sh" in text


def test_json_has_every_number(spoilt: Check) -> None:
    content = json.loads(formats.to_json(spoilt))
    assert content["failed"] is True
    assert sum(content["counts"].values()) == len(content["changes"])
    bias = next(c for c in content["changes"] if c["measure"] == "bias" and c["term"] == "Intercept")
    assert bias["after"]["value"] == pytest.approx(-1.0, abs=0.9)


def test_junit_counts_its_failures(spoilt: Check) -> None:
    suite = ElementTree.fromstring(formats.to_junit(spoilt, "runs/gate"))
    cases = suite.findall("testcase")
    assert len(cases) == int(suite.attrib["tests"]) == len(spoilt.changes) + 1
    failures = [case for case in cases if case.find("failure") is not None]
    assert len(failures) == int(suite.attrib["failures"]) == len(spoilt.failing()) > 0


@given(some.text(some.characters(exclude_categories=()), max_size=8))
def test_junit_can_be_read_whatever_names_hold(spoilt: Check, text: str) -> None:
    first, *others = spoilt.changes
    odd = replace(first, estimator=text, term=text, factors={text: text})
    written = formats.to_junit(replace(spoilt, changes=(odd, *others), baseline=text), "runs/gate")
    suite = ElementTree.fromstring(written.encode())
    assert len(suite.findall("testcase")) == len(spoilt.changes) + 1


def test_passing_formats(clean: Memory, baseline: Baseline) -> None:
    outcome = check(baseline, clean)
    assert formats.to_text(outcome).startswith("accuracy check against 'gate' passed\n")
    assert json.loads(formats.to_json(outcome))["failed"] is False
    assert ElementTree.fromstring(formats.to_junit(outcome)).attrib["failures"] == "0"


def test_baseline_is_not_touched_by_a_check(clean: Memory, baseline: Baseline) -> None:
    text = baseline_json(baseline)
    check(baseline, gate_study(reps=40, seed=2))
    assert baseline_json(baseline) == text

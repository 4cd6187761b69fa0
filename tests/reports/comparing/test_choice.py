"""The choice of a method against brute force: the rule on the study itself, and data sets drawn again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from nestbench.reports.comparing import choice as module
from nestbench.reports.comparing.biases import Bias, biases
from nestbench.reports.comparing.choice import Choice, choose, draw_lots, evidence_of, faults
from nestbench.reports.comparing.grades import Grade
from nestbench.reports.comparing.retests import taken_back
from nestbench.reports.comparing.shared import shared_of_run
from nestbench.reports.measures.performance import performance_table
from tests.reports.synthetic import FakeResults, estimates_of, school_study


def chosen(study: FakeResults, resamples: int = 500) -> Choice:
    table = performance_table(study)
    return choose(evidence_of(table, study.experiment, shared_of_run(study)), resamples)


def rivals(reps: int, gap: float, seed: int = 3, **more: float) -> FakeResults:
    """Two methods of nominal coverage, `gap` apart in the width of their intervals, in two conditions."""
    base = school_study(reps=2, schools=(6,), icc=(0.0, 0.2))
    cells = []
    for k in range(2):
        rng = np.random.default_rng([seed, k])
        common, own = rng.normal(0, 1, (reps, 1)), rng.normal(0, 1, (2, reps, 1))
        cells.append(
            {
                label: estimates_of(
                    0.5 + scale * (0.95 * common + np.sqrt(1 - 0.95**2) * own[m]) + more.get(label, 0.0),
                    np.full((reps, 1), scale),
                    ["resources"],
                )
                for m, (label, scale) in enumerate((("a", 1.0), ("b", 1.0 + gap)))
            }
        )
    experiment = replace(
        base.experiment,
        replications=reps,
        estimators=tuple(
            replace(e, name=n) for e, n in zip(base.experiment.estimators, ("a", "b"), strict=False)
        ),
    )
    return FakeResults(experiment, cells)


def test_frequencies_are_those_of_drawing_data_sets_again() -> None:
    """Brute force draws data sets one by one; 500 lots of 4 and 1 000 draws agree within 6 sigma of both."""
    study = rivals(2000, 0.003)
    found = chosen(study, 1000).shares.get("a", 0.0)
    rng = np.random.default_rng(5)
    score = np.zeros((1000, 2))
    for cell in study.cells:
        single = np.stack([scores_of(cell[label]) for label in ("a", "b")], axis=1)
        draws = rng.integers(2000, size=(1000, 2000))
        score += np.log(single[draws].mean(axis=1))
    expected = float((score[:, 0] < score[:, 1]).mean())
    assert 0.05 < expected < 0.95
    assert found == pytest.approx(expected, abs=6 * np.sqrt(0.25 / 1000 * 2) + 0.03)


def scores_of(found):  # type: ignore[no-untyped-def]
    low, high = found.lower[:, 0], found.upper[:, 0]
    return high - low + 40.0 * (np.maximum(low - 0.5, 0) + np.maximum(0.5 - high, 0))


def test_a_clear_difference_is_settled_and_equal_methods_are_not() -> None:
    clear = chosen(rivals(1000, 0.2))
    assert clear.named == "a"
    assert clear.settled
    assert clear.scores.loc["b", "low"] > 1.1
    even = chosen(rivals(1000, 0.0))
    assert not even.settled
    assert set(even.contenders) == {"a", "b"}


@pytest.mark.slow
def test_a_choice_that_is_said_to_be_settled_seldom_changes_with_the_seed() -> None:
    """Two equal methods: each seed is settled wrongly with a chance of about 10 %; 24 seeds, at most 11 (1e-6)."""
    settled = [chosen(rivals(300, 0.0, seed), 200) for seed in range(24)]
    assert sum(one.settled for one in settled) <= 11


@pytest.mark.slow
def test_resampled_studies_name_what_new_studies_name() -> None:
    """Of these new studies all but one name the same method; resampled ones of each say so on average (+- 6 %)."""
    found = [chosen(school_study(reps=400, seed=seed), 200) for seed in range(12)]
    named = [one.named for one in found]
    most = max(set(named) - {None}, key=named.count)
    assert named.count(most) >= 11
    assert np.mean([one.shares.get(most, 0.0) for one in found]) == pytest.approx(
        named.count(most) / 12, abs=0.06
    )
    assert np.mean([one.nobody for one in found]) == pytest.approx(named.count(None) / 12, abs=0.06)


def test_a_biased_method_is_never_named() -> None:
    study = rivals(1000, 0.2, a=0.5)
    found = chosen(study)
    assert found.named == "b"
    assert set(found.faults["estimator"]) == {"a"}
    assert (biases(performance_table(study)).set_index("estimator").loc["a", "state"] == Bias.BIASED).all()
    both = chosen(rivals(1000, 0.2, a=0.5, b=0.6))
    assert both.named is None


def test_endless_intervals_and_missing_answers_are_faults() -> None:
    study = rivals(400, 0.2)
    study.cells[0]["a"].lower[:], study.cells[0]["a"].upper[:] = -np.inf, np.inf
    del study.cells[1]["b"]
    found = chosen(study)
    assert found.named is None
    assert {(row.estimator, row.cell, row.fault) for row in found.faults.itertuples()} >= {
        ("a", 0, "no answer"),
        ("b", 1, "no answer"),
    }


def test_too_few_replications_are_said_from_the_error_of_coverage() -> None:
    assert chosen(rivals(118, 0.2), 20).few
    assert not chosen(rivals(119, 0.2), 20).few


def test_conditions_of_one_law_are_drawn_together() -> None:
    one, same, other = (draw_lots(1, key, 50, 4) for key in ("law", "law", "other"))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    assert (one.sum(axis=1) == 50).all()


def test_shrinking_takes_noise_back_and_leaves_evidence() -> None:
    z = np.array([0.5, -1.0, 2.0, -10.0])
    np.testing.assert_allclose(taken_back(z, np.ones(4, dtype=bool)), [0.0, 0.0, 1.5, -9.9])
    np.testing.assert_allclose(taken_back(np.array([2.0]), np.zeros(1, dtype=bool)), [1.5])
    found = taken_back(z, np.array([False, False, False, True]))
    np.testing.assert_allclose(found, [*(z[:3] * (1 - 1 / 5.25)), -9.9])
    noise = np.random.default_rng(1).standard_normal(400)
    assert np.abs(taken_back(noise, np.zeros(400, dtype=bool))).max() < 0.5 < 2.5 < np.abs(noise).max()
    np.testing.assert_array_equal(taken_back(np.zeros(3), np.zeros(3, dtype=bool)), np.zeros(3))


def test_the_order_of_methods_is_of_no_account() -> None:
    study = school_study(reps=300, schools=(6, 30), icc=(0.2,))
    turned = FakeResults(
        replace(study.experiment, estimators=tuple(reversed(study.experiment.estimators))),
        [dict(reversed(list(cell.items()))) for cell in study.cells],
    )
    first, second = chosen(study), chosen(turned)
    assert first.named == second.named
    assert first.shares == pytest.approx(second.shares)
    pd.testing.assert_frame_equal(first.scores, second.scores)


def test_faults_repeat_the_grades() -> None:
    study = school_study(reps=400)
    evidence = evidence_of(performance_table(study), study.experiment, shared_of_run(study))
    found = faults(evidence)
    short = found[found["fault"] == module.SHORT]
    assert len(short) == (evidence.graded["grade"] == Grade.FAILS).sum() > 0

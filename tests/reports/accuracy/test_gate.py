"""The gate is as good as docs/accuracy-testing.md says: `gate_measure` prints the numbers, this holds it to them."""

from __future__ import annotations

import pytest
from scipy import stats

from nestbench.reports.accuracy.baseline import baseline_of
from tests.reports.accuracy.gate_measure import clean, failed_claims, fresh, judge, same
from tests.reports.accuracy.gate_studies import DEFECTS, gate_study

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("defect", DEFECTS)
def test_same_data_show_every_defect(defect: str) -> None:
    found = same(200, range(1, 6), defect)
    assert (found.failed, found.strict) == (found.runs, found.runs)


@pytest.mark.parametrize("defect", DEFECTS)
def test_fresh_data_show_what_matters(defect: str) -> None:
    found = judge(baseline_of(gate_study(1000, 1)), fresh(1000, range(2, 8), defect))
    assert found.failed == found.runs


def test_small_fresh_data_show_a_wrong_df() -> None:
    found = judge(baseline_of(gate_study(200, 1)), fresh(200, range(2, 8), "df wrong by one"))
    assert (found.failed, found.strict) == (found.runs, found.runs)


def test_clean_runs_are_rarely_flagged() -> None:
    found = clean(200, 400)
    # At most 1 in 1000 by Holm; that many among 400 by chance only with probability 1e-6.
    assert found.strict <= stats.binom.isf(1e-6, 400, 1e-3)


def test_claims_catch_what_they_say() -> None:
    assert failed_claims("sign of one term flipped", 1) >= {"assert_unbiased", "assert_coverage"}
    assert len(failed_claims("1 % of fits fail", 1)) == 4
    assert "assert_se_calibrated" in failed_claims("a silent zero in 2 % of fits", 1)
    assert "assert_se_calibrated" in failed_claims("SE 5 % too small", 1, se_detect=0.05)
    assert [failed_claims("", seed) for seed in range(30)] == [set()] * 30

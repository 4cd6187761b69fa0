"""The gate is as good as docs/accuracy-testing.md says: `gate_measure` prints the numbers, this holds it to them."""

from __future__ import annotations

import pytest
from scipy import stats

from tests.reports.accuracy import planted
from tests.reports.accuracy.gate_measure import (
    caught,
    caught_on_the_same_data,
    claims_made,
    clean_alarms,
    failed_claims,
    promised,
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("defect", planted.DEFECTS)
def test_the_same_data_show_every_defect(defect: str) -> None:
    caught, there = caught_on_the_same_data(defect, range(1, 3))
    assert caught == there > 0


LARGE = {
    "SE 5 % too large",
    "SE 5 % too small",
    "sign of one term flipped",
    "a bias of a quarter of the empirical SE",
    "90 % intervals for 95 %",
    "1 % of fits fail",
    "a silent zero in 2 % of fits",
}


@pytest.mark.parametrize("defect", sorted(LARGE))
def test_other_data_show_what_matters(defect: str) -> None:
    assert caught(1500, range(4), defect) == 4


def test_few_other_data_show_a_wrong_df() -> None:
    assert caught(50, range(4), "df wrong by one") == 4


@pytest.mark.parametrize("place", range(4))
def test_a_check_finds_what_it_says_it_would(place: int) -> None:
    kinds = (
        "SE 5 % too large",
        "a bias of a quarter of the empirical SE",
        "90 % intervals for 95 %",
        "1 % of fits fail",
    )
    n = list(promised().values())[place]
    # Found with probability 0.9 or more: fewer than this with probability 1e-6.
    assert caught(n, range(30), kinds[place]) >= stats.binom.ppf(1e-6, 30, 0.9)


@pytest.mark.parametrize("law", ["normal", "t(2.5)", "lognormal(2)"])
@pytest.mark.parametrize("n", [5, 10, 20, 60])
def test_clean_runs_are_as_rarely_flagged_as_stated(law: str, n: int) -> None:
    # At most 5 % resp. 1e-4 of checks: more than these with probability 1e-6.
    often, seldom = clean_alarms(law, n, 100)
    assert often <= stats.binom.isf(1e-6, 100, 0.05)
    assert seldom <= stats.binom.isf(1e-6, 100, 1e-4)


def test_claims_catch_what_they_say() -> None:
    every = list(claims_made())
    assert failed_claims("sign of one term flipped", 1, every) >= {"assert_unbiased", "assert_coverage"}
    assert failed_claims("1 % of fits fail", 1, every) == set(every)
    assert "assert_se_calibrated" in failed_claims("a silent zero in 2 % of fits", 1, every)
    for seed in range(3):
        assert "assert_se_calibrated(detect=0.04)" in failed_claims("SE 5 % too small", seed, every)
        assert failed_claims("df wrong by one", seed, every) == {"assert_df"}
        assert "assert_as_precise(detect=0.025)" in failed_claims("a school in twenty dropped", seed, every)
        assert failed_claims("", seed, every) == set()
    cheap = [name for name, claim in claims_made().items() if claim.replications < 2000]
    assert [failed_claims("", seed, cheap) for seed in range(3, 30)] == [set()] * 27

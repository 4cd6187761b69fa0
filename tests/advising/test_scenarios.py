"""Scenarios of what data can't rule out: random slopes, arms that vary unequally, confounding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from nestbench.advising.analysis import analysis_of
from nestbench.advising.calibration import MOST_ICC, Calibration, calibrate
from nestbench.advising.scenarios import Scenario, scenarios_of
from nestbench.advising.spreads import Arms, Spread, school_far, school_spread
from nestbench.sim.observed.model import Model


def calibrated(
    slope_sd: float, seed: int, students: int = 15, schools: int = 16, term: str = "age"
) -> Calibration:
    rng = np.random.default_rng(seed)
    school = np.repeat(np.arange(schools), students)
    age = rng.normal(size=len(school))
    errors = 0.6 * rng.normal(size=schools)[school] + rng.normal(size=len(school))
    slopes = (1.0 + slope_sd * rng.normal(size=schools))[school]
    frame = pd.DataFrame({"school": school, "age": age, "treated": (school < 5) * 1.0})
    frame["grade"] = slopes * age + errors
    return calibrate(analysis_of(frame, Model("grade ~ treated + age")), term)


def named(found: Calibration, name: str, term: str = "age") -> Scenario | None:
    return {law.name: law for law in scenarios_of(found, term, None)}.get(name)


def test_slopes_are_simulated_at_the_upper_end_of_their_interval() -> None:
    found = calibrated(0.5, 1)
    law = named(found, "random slope")
    assert law is not None
    assert law.parameters["slope_sd"] == found.slope_high > found.slope_sd > found.slope_low


def test_slopes_that_are_not_shown_are_simulated_where_they_are_not_ruled_out() -> None:
    """A point estimate of 0 says little: nearly all such data have an upper end above it."""
    found = next(c for c in (calibrated(0.0, seed) for seed in range(20)) if c.slope_sd == 0)
    assert (named(found, "random slope") is not None) == (found.slope_high > 0)
    assert sum(named(calibrated(0.0, seed), "random slope") is not None for seed in range(20)) >= 10


def test_what_slopes_make_is_not_counted_twice() -> None:
    """Residual variance and school variance of the scenario are those of the population (1 and .36), though the
    random-intercept model finds slopes' .81 in its residuals; 200 schools, false alarm 1e-6."""
    found = calibrated(0.9, 3, schools=200)
    law = named(found, "random slope")
    assert law is not None
    total = law.parameters["total_sd"] ** 2
    assert total * (1 - law.parameters["icc"]) == pytest.approx(1.0, abs=0.14)
    assert found.total_sd**2 * (1 - found.icc) == pytest.approx(1.81, abs=0.6)
    assert total * law.parameters["icc"] == pytest.approx(0.36, abs=0.25)


def test_pairs_leave_no_degrees_of_freedom_to_tell_slopes() -> None:
    """Of two students a school the difference is slope or residual: the scenario takes nearly all of it for slopes."""
    found = calibrated(0.0, 4, students=2)
    law = named(found, "random slope")
    assert np.isnan(found.slope_sd)
    assert law is not None
    made = law.parameters["slope_sd"] ** 2 / (law.parameters["slope_sd"] ** 2 + found.slope_rest**2)
    assert 0.5 < made < 1.0
    assert MOST_ICC == 0.95


def test_arms_may_vary_unequally_as_far_as_f_allows() -> None:
    """5 of 16 schools: the treated are the rarer, so the scenario has them vary more, and no data rule that out."""
    found = calibrated(0.0, 5, term="treated")
    law = named(found, "spread not ruled out", "treated")
    assert law is not None
    assert law.precaution
    assert law.parameters["school_spread"] == found.school_far > 0
    assert found.school_most > 1


def test_confounding_that_is_not_shown_is_a_precaution() -> None:
    for seed in range(6):
        found = calibrated(0.0, seed)
        shown = found.contrast.p_value < 0.25
        law = named(found, "confounded" if shown else "confounding not ruled out")
        assert law is not None
        assert bool(law.precaution) == (not shown)
        assert law.parameters["effects"] == {"school_means": found.contrast_far}


@pytest.mark.parametrize(
    ("p_value", "there", "precaution"), [(0.001, True, False), (0.05, True, True), (0.2, False, False)]
)
def test_a_spread_that_is_hardly_shown_is_a_precaution(p_value: float, there: bool, precaution: bool) -> None:
    """In few schools a ratio must be an overestimate to be seen at all."""
    nothing = Spread(0.1, 0.8)
    found = replace(
        calibrated(0.0, 5, term="treated"), school_spread=Spread(0.7, p_value), residual_spread=nothing
    )
    law = named(found, "unequal spread", "treated")
    assert (law is not None) is there
    assert bool(law and law.precaution) is precaution


def test_arms_that_can_hardly_differ_make_no_scenario() -> None:
    found = replace(calibrated(0.0, 5, term="treated"), school_far=0.02, school_most=1.04)
    assert named(found, "spread not ruled out", "treated") is None
    assert named(replace(found, school_most=1.2), "spread not ruled out", "treated") is not None


def test_a_ratio_of_few_schools_is_shrunk_and_one_of_many_is_not() -> None:
    """trigamma(1) + trigamma(2) = 1.645 + 0.645, against 1.5^2."""
    few, many = (school_spread(Arms(counts, (1.0, 50.0), (0.0, 0.0), 2.0)) for counts in ((3, 5), (300, 500)))
    assert few.value == pytest.approx(0.5 * np.log(50) * 2.25 / (2.25 + 1.6449 + 0.6449), rel=1e-4)
    assert many.value == pytest.approx(0.5 * np.log(50), rel=0.01)


def far(counts: tuple[int, int], ratio: float) -> float:
    """How many times as much the rarer arm may vary."""
    return float(np.exp(abs(school_far(Arms(counts, (1.0, ratio), (0.0, 0.0), 2.0), 0.9)) * 2.0))


@pytest.mark.parametrize(
    ("counts", "ratio", "most"),
    [
        ((28, 2), 1e-6, 3.8),
        ((28, 2), 1.0, 8.0),
        ((25, 5), 1.0, 3.9),
        ((5, 3), 1.0, 5.9),
        ((500, 500), 1.0, 1.16),
    ],
)
def test_what_few_schools_leave_open_is_neither_everything_nor_nothing(
    counts: tuple[int, int], ratio: float, most: float
) -> None:
    """Of two schools F says next to nothing, and the rest is what ratios usually are; of many F says all: the end of
    its interval is F over a quantile of F(499, 499)."""
    assert far(counts, ratio) == pytest.approx(most, rel=0.02)


def test_the_end_of_the_interval_is_where_true_ratios_of_such_data_end() -> None:
    """Draw ratios as they are taken to vary, then F: of those whose F is near 1, 5 % have a larger ratio than is said
    (40 000 draws, about 6 000 kept; false alarm 1e-6)."""
    rng = np.random.default_rng(8)
    logs = 1.5 * rng.normal(size=40_000)
    drawn = np.exp(logs) * rng.f(2, 4, size=len(logs))
    kept = logs[np.abs(np.log(drawn)) < 0.2]
    share = float((kept > np.log(far((5, 3), 1.0))).mean())
    assert len(kept) > 2000
    assert share == pytest.approx(0.05, abs=4.9 * np.sqrt(0.05 * 0.95 / len(kept)))


def test_students_errors_in_the_means_are_no_spread_of_schools() -> None:
    """Means of equal variance that are students' errors for the most part leave more open than means that aren't."""
    clear = school_far(Arms((20, 5), (1.0, 1.0), (0.0, 0.0), 2.0), 0.9)
    noisy = school_far(Arms((20, 5), (1.0, 1.0), (0.8, 0.8), 2.0), 0.9)
    assert noisy > 1.3 * clear > 0


def test_the_side_of_the_rarer_value_is_the_one_that_may_vary_more() -> None:
    one, other = (school_far(Arms(counts, (1.0, 1.0), (0.0, 0.0), 2.0), 0.9) for counts in ((20, 4), (4, 20)))
    assert one == pytest.approx(-other)
    assert one > 0
    assert school_far(None, 0.9) != school_far(None, 0.9)

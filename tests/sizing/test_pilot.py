"""What a pilot says: variances against those it was drawn from, and the trial that they make."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import nestbench
from nestbench.sim.errors import InvalidInput
from nestbench.sizing.pilot import beside_pilot, pilot_of
from nestbench.sizing.trial import Trial


def data(schools: int, students: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    school = np.repeat(np.arange(schools), students)
    covariate, age = rng.normal(size=schools), rng.normal(size=len(school))
    grade = 0.5 * covariate[school] + 0.5 * rng.normal(size=schools)[school]
    return pd.DataFrame(
        {
            "school": school,
            "poor": covariate[school],
            "age": age,
            "grade": grade + age + rng.normal(size=len(school)),
        }
    )


def test_variances_given_the_covariates_are_kept() -> None:
    """Whatever covariates explain, what they leave is what the trial's errors have."""
    pilot = pilot_of(data(400, 30, 1), "grade ~ poor + age", "school", "treated")
    # SE of the variances: .25 sqrt(2 / 400) = .018, sqrt(2 / 12000) = .013; 5 of them
    assert abs(pilot.school - 0.25) < 0.1
    assert abs(pilot.student - 1.0) < 0.07
    trial = Trial(**{"schools": 20, **pilot.parameters()})
    population = trial.tables()["population"]
    assert population["icc"] == pytest.approx(pilot.icc, rel=2e-3)
    assert population["total_sd"] ** 2 == pytest.approx(pilot.school + pilot.student, rel=2e-3)
    other = Trial(**{"schools": 20, **pilot.parameters(icc=0.4)}).tables()["population"]
    assert other["icc"] == pytest.approx(0.4, rel=2e-3)
    assert other["total_sd"] ** 2 * 0.6 == pytest.approx(pilot.student, rel=4e-3)


def test_a_treatment_counts_where_there_is_one() -> None:
    """A column of zeros changes nothing; an effect of the treatment is no variance of schools."""
    frame = data(30, 10, 5)
    plain = pilot_of(frame, "grade ~ poor + age", "school", "treated")
    assert pilot_of(frame.assign(treated=0.0), "grade ~ poor + age", "school", "treated") == plain
    treated = (frame["school"] % 2).astype(float)
    moved = frame.assign(treated=treated, grade=frame["grade"] + 5.0 * treated)
    same = pilot_of(frame.assign(treated=treated), "grade ~ poor + age", "school", "treated")
    other = pilot_of(moved, "grade ~ poor + age", "school", "treated")
    assert other.school == pytest.approx(same.school, rel=1e-6)
    assert other.student == pytest.approx(same.student, rel=1e-6)


def test_what_is_given_comes_before_the_pilot() -> None:
    pilot = pilot_of(data(20, 10, 2), "grade ~ poor + age", "school", "treated")
    parts = beside_pilot(pilot, "students", {"icc": 0.2, "schools": 40})
    assert (parts["icc"], parts["schools"]) == (0.2, 40)
    assert "students" not in parts


def test_pilots_that_say_nothing() -> None:
    with pytest.raises(InvalidInput, match="at least 3 schools"):
        pilot_of(data(2, 10, 3), "grade ~ age", "school", "treated")
    with pytest.raises(InvalidInput, match="formula"):
        nestbench.size(solve="schools", effect=0.3, like=data(20, 10, 2))


@pytest.mark.slow
def test_a_trial_like_its_pilot() -> None:
    options: dict[str, Any] = {"solve": "schools", "effect": 0.8, "methods": "reml-satt,ols", "workers": 1}
    found = nestbench.size(like=data(12, 10, 4), formula="grade ~ poor + age", **options)
    assert found.named == "reml-satt"
    assert found.other_iccs is not None
    low, high = found.other_iccs["value"]
    assert low <= found.value <= high
    assert "Pilot of 12 schools" in found.shown

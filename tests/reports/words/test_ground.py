"""Whose own model the laws of a study are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest

from nestbench.reports.words.ground import ground, least_squares_own, mixed_models_own
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.model import Model
from nestbench.sim.parameter import parameter
from nestbench.sim.random_intercept import RandomIntercept
from tests.reports.synthetic import Law, estimator, school_study

WHOLE = "grade ~ age + gender + resources"


def cell(formula: str = WHOLE, random: str = "1", **parameters: Any) -> Cell:
    return Cell(RandomIntercept(**parameters), Layout(10, 20), Model(formula, random=random))


@pytest.mark.parametrize(
    ("made", "mixed", "ols"),
    [
        (cell(), True, False),
        (cell(icc=0.0), True, True),
        (cell("grade ~ age + gender"), False, False),
        (cell(residual_shape="lognormal(1)"), False, False),
        (cell(resources_confounding=0.3), False, False),
        (cell(slope_sd=0.5), False, False),
        (cell(slope_sd=0.5, random="1 + age"), True, False),
        (cell(slope_sd=0.5, icc=0.0, random="1 + age"), True, False),
        (cell(effects={"age": 2.0, "school_age": 1.0}, formula="grade ~ age"), False, False),
        (cell(effects={"age": 2.0, "school_age": 1.0}, formula="grade ~ age + group_mean(age)"), True, False),
        (cell(missing=0.2, age_icc=0.1), True, False),
        (cell("np.log(grade) ~ age + gender + resources"), False, False),
        (cell("grade ~ np.log(age) + gender + resources"), False, False),
        (cell("grade ~ I(age / 10) + gender + resources"), True, False),
        (cell("grade ~ center(age) + gender + resources"), True, False),
        (cell("grade ~ group_mean(age) + gender + resources"), False, False),
        (cell("grade ~ group_centred(age) + gender + resources"), False, False),
        (cell("grade ~ group_centred(age) + group_mean(age) + gender + resources"), True, False),
        (cell(residual_proportional=0.5), False, False),
        (cell(school_sd_resources=0.5), False, False),
        (cell(slope_sd=0.5, slope_sd_resources=0.5, random="1 + age"), False, False),
    ],
)
def test_a_law_is_a_methods_own_or_not(made: Cell, mixed: bool, ols: bool) -> None:
    assert mixed_models_own(made) is mixed
    assert least_squares_own(made) is ols


def test_a_parameter_that_says_nothing_of_the_errors_leaves_no_method_its_own_model() -> None:
    """Nor does a population that doesn't say what its errors are with its defaults."""

    @dataclass(frozen=True, slots=True)
    class Another(RandomIntercept):
        name: ClassVar[str] = "another"
        tail: float = parameter(0.0, "A tail.")

    def made(**parameters: float) -> Cell:
        return Cell(Another(icc=0.3, **parameters), Layout(10, 20), Model(WHOLE))

    assert mixed_models_own(made())
    assert not mixed_models_own(made(tail=1.0))
    assert not mixed_models_own(Cell(Law(), Layout(10, 20), Model(WHOLE)))


def test_the_ground_is_named_with_the_methods_it_favours() -> None:
    methods = (
        estimator("reml", assumes="normal school effects and errors of equal variance"),
        estimator("robust", assumes="many schools"),
    )
    base = replace(school_study(reps=2, schools=(6,), icc=(0.0, 0.2)).experiment, estimators=methods)
    own = ground(replace(base, cells=(cell(), cell(icc=0.1))), [0, 1])
    assert "`random-intercept` in 2 conditions" in own
    assert "In all of them it is the model that `reml` assumes" in own
    assert "can't be seen here" in own
    unfinished = ground(replace(base, cells=(cell(), cell(residual_cv=0.5))), [0])
    assert "`random-intercept` in 1 condition." in unfinished
    assert "There it is the model that `reml` assumes" in unfinished
    mixed = ground(replace(base, cells=(cell(), cell(residual_cv=0.5))), [0, 1])
    assert "In 1 of them it is the model that `reml` assumes" in mixed
    assert "`reml`" not in ground(replace(base, cells=(cell(residual_cv=0.5), cell(residual_cv=0.9))), [0, 1])

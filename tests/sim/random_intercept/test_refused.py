"""Parameters that contradict one another are refused, and the message names them."""

from __future__ import annotations

from typing import Any

import pytest

from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.random_intercept import RandomIntercept


@pytest.mark.parametrize(
    ("parameters", "layout", "words"),
    [
        ({"icc": 0.7, "class_icc": 0.3}, {}, ["population.icc", "population.class_icc", "below 1"]),
        ({"class_icc": 0.1}, {}, ["population.class_icc", "layout.classes"]),
        ({"effects": {"teacher": 1.0}}, {}, ["population.effects.teacher", "layout.classes"]),
        ({"size_correlation": 0.5}, {}, ["population.size_correlation", "layout.size_cv"]),
        ({"age_confounding": 0.5}, {}, ["population.age_confounding", "population.age_icc"]),
        ({"icc": 0.0, "resources_confounding": 0.5}, {}, ["resources_confounding", "population.icc"]),
        ({"slope_correlation": 0.5}, {}, ["population.slope_correlation", "population.slope_sd"]),
        ({"treated_variance_ratio": 2.0}, {}, ["population.treated_variance_ratio", "both arms"]),
        (
            {"treated_school_variance_ratio": 2.0},
            {"assignment": "students", "treated_share": 0.5},
            ["treated_school_variance_ratio", 'assignment = "students"'],
        ),
        (
            {"residual_proportional": 1.0, "residual_age": 0.5},
            {},
            ["population.residual_proportional", "population.residual_age"],
        ),
        ({"residual_proportional": 1.5}, {}, ["population.residual_proportional", "[0, 1]"]),
        ({"icc": 0.0, "school_sd_resources": 0.5}, {}, ["school_sd_resources", "population.icc = 0"]),
        ({"slope_sd_resources": 0.5}, {}, ["slope_sd_resources", "population.slope_sd = 0"]),
        (
            {"school_sd_resources": 0.5, "resources_shape": "lognormal(1)"},
            {},
            ["population.school_sd_resources", "population.resources_shape", "lognormal(1)"],
        ),
        (
            {"school_sd_resources": 0.5, "resources_confounding": 0.3},
            {},
            ["population.school_sd_resources", "population.resources_confounding", "mean 0"],
        ),
        (
            {
                "slope_sd": 0.5,
                "slope_correlation": 0.2,
                "slope_sd_resources": 0.5,
                "resources_confounding": 0.3,
            },
            {},
            ["population.slope_sd_resources", "population.resources_confounding"],
        ),
        ({"missing_schools": 10}, {}, ["population.missing_schools = 10", "layout.schools = 10"]),
        ({"residual_shape": "cauchy"}, {}, ["population.residual_shape", "normal, t, lognormal"]),
        ({"residual_shape": "t(2)"}, {}, ["population.residual_shape", "> 2"]),
        ({"school_errors": "bimodal(1)"}, {}, ["population.school_errors", "(0, 1)"]),
        ({"school_errors": "normal(3)"}, {}, ["population.school_errors", "without a parameter"]),
        ({"residual_shape": "t(five)"}, {}, ["population.residual_shape", "'five'"]),
        ({"missing": 1.0}, {}, ["population.missing", "[0, 1)"]),
        ({}, {"size_cv": 0.5, "size_spread": 0.5}, ["layout.size_spread", "layout.size_cv"]),
        ({}, {"size_cv": 0.5, "giant_school": 90}, ["layout.size_cv", "layout.giant_school"]),
        ({}, {"size_range": (9, 3)}, ["layout.size_range", ">= 9"]),
        ({}, {"students": (5,) * 10, "size_cv": 0.3}, ["layout.size_cv", "list"]),
        (
            {},
            {"giant_school": 90, "one_student_schools": 2},
            ["layout.giant_school", "layout.one_student_schools"],
        ),
        (
            {},
            {"treated_schools": 3, "treated_share": 0.5},
            ["layout.treated_schools", "layout.treated_share"],
        ),
        ({}, {"treated_schools": 3, "assignment": "students"}, ["layout.treated_schools", "students"]),
        ({}, {"treated_schools": 3, "assignment": "pairs"}, ["pairs", "3 treated of 10"]),
        ({}, {"treated_share": 0.5, "block_size": 4}, ["layout.block_size", "blocks"]),
        ({}, {"treated_share": 0.5, "assignment": "blocks"}, ["block_size of 2 or more"]),
        (
            {},
            {"treated_share": 0.5, "assignment": "blocks", "block_size": 4},
            ["multiple of layout.block_size"],
        ),
        ({}, {"treated_share": 0.3, "assignment": "blocks", "block_size": 5}, ["multiple of 1 / 5"]),
        ({}, {"treated_share": 1.0, "assignment": "blocks", "block_size": 5}, ["some untreated"]),
        ({}, {"assignment": "randomly"}, ["layout.assignment", "Did you mean 'random'?"]),
    ],
)
def test_impossible_combinations_name_both(
    parameters: dict[str, Any], layout: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(InvalidInput) as caught:
        RandomIntercept(**parameters).check(Layout(**layout))
    assert all(word in str(caught.value) for word in words), str(caught.value)

"""Every condition is said to be drawn as it is."""

from __future__ import annotations

from typing import Any

import pytest

from nestbench.experiments.toml.reading import experiment_from
from nestbench.reports.words.drawn import drawn_words

AUDITED = " Audits, replays and simulated tables complete the students who belong to these statistics."


def words(factors: dict[str, Any], *estimators: str, **more: Any) -> str:
    tables = {
        "experiment": {"name": "x", "estimators": ["ols", *estimators], **more},
        "layout": {"schools": 8, "students": 6},
        "factors": factors,
    }
    return drawn_words(experiment_from(tables))


@pytest.mark.parametrize(
    ("factors", "estimators", "audit", "expected"),
    [
        ({}, [], 0, "Data sets: statistics of 8 schools drawn."),
        ({}, [], 5, f"Data sets: statistics of 8 schools drawn.{AUDITED}"),
        (
            {"population.icc": [0.0, 0.2]},
            ["ols-hc3", "mixedlm"],
            0,
            "Data sets: statistics of 8 schools drawn, students completed for ols-hc3, mixedlm.",
        ),
        (
            {"population.residual_shape": ["normal", "t(3)", "lognormal(1)"]},
            [],
            0,
            "Data sets: statistics of 8 schools drawn (residual shape normal); student by student, because residuals "
            "are t(3) (residual shape t(3)); student by student, because residuals are lognormal(1) (residual shape "
            "lognormal(1)).",
        ),
        (
            {"model.formula": ["grade ~ age", "grade ~ I(age**2)"]},
            [],
            0,
            "Data sets: statistics of 8 schools drawn (formula grade ~ age); statistics of 8 schools drawn, students "
            "completed for the model (formula grade ~ I(age**2)).",
        ),
        (
            {"layout.students": [6, 10**5]},
            [],
            5,
            f"Data sets: statistics of 8 schools drawn.{AUDITED} Data sets of more than 200 000 students aren't "
            "audited.",
        ),
        (
            {"population.version": [1]},
            [],
            5,
            "Data sets: student by student, because version = 1 asks for it.",
        ),
    ],
)
def test_it_is_said(factors: dict[str, Any], estimators: list[str], audit: int, expected: str) -> None:
    assert words(factors, *estimators, audit=audit) == expected

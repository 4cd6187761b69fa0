"""Closed forms against published numbers; see `published` for their sources."""

from __future__ import annotations

from typing import Any

import pytest

from nestbench.sim.theory.planning import answers, required, t_test
from nestbench.sim.theory.planning.assurance import assurance
from nestbench.sim.theory.planning.targets import Power
from tests.sim.theory.planning import published


@pytest.mark.parametrize(("trial", "effect", "rounding", "source"), published.BLOOM)
def test_published_detectable_effects(trial: Any, effect: float, rounding: float, source: str) -> None:
    """By the multiplier that they were made with, and by the noncentral t within .5 % of it."""
    published_way = t_test.bloom_multiplier(trial.df) * answers.standard_error(trial)
    assert published_way == pytest.approx(effect, abs=rounding), source
    assert answers.smallest_effect(trial) == pytest.approx(published_way, rel=5e-3)


def test_published_interval() -> None:
    trial, effect = next((t, e) for t, e, _, source in published.BLOOM if source == published.VIGNETTE)
    se, critical = answers.standard_error(trial), float(t_test.critical_value(trial.df))
    assert trial.df == published.VIGNETTE_DF
    assert se == pytest.approx(published.VIGNETTE_SE, abs=5e-4)
    exact = t_test.bloom_multiplier(trial.df) * se
    assert (exact - critical * se, exact + critical * se) == pytest.approx(
        published.VIGNETTE_INTERVAL, abs=5e-4
    )
    assert effect == pytest.approx(exact, abs=5e-4)


@pytest.mark.parametrize(("trial", "effect", "power", "rounding", "source"), published.POWER)
def test_published_powers(trial: Any, effect: float, power: float, rounding: float, source: str) -> None:
    assert answers.power(trial, effect) == pytest.approx(power, abs=rounding), source


@pytest.mark.parametrize(("trial", "sides", "effect", "precision", "source"), published.SMALLEST)
def test_published_noncentral_effects(
    trial: Any, sides: int, effect: float, precision: float, source: str
) -> None:
    assert answers.smallest_effect(trial, sides=sides) == pytest.approx(effect, abs=precision), source


@pytest.mark.parametrize(("trial", "effect", "schools", "source"), published.SCHOOLS)
def test_published_numbers_of_schools(trial: Any, effect: float, schools: int, source: str) -> None:
    assert required.required_schools(trial, Power(effect)) == schools, source


@pytest.mark.parametrize(("trial", "effect", "icc", "source"), published.ICC)
def test_published_iccs(trial: Any, effect: float, icc: float, source: str) -> None:
    assert required.tolerable_icc(trial, Power(effect)) == pytest.approx(icc, abs=1e-4), source


@pytest.mark.parametrize(("trial", "mean", "sd", "value", "source"), published.ASSURANCE)
def test_published_assurances(trial: Any, mean: float, sd: float, value: float, source: str) -> None:
    assert assurance(trial, mean, sd) == pytest.approx(value, abs=5e-5), source

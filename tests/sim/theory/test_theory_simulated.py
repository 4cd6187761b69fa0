"""Every number that `theory` gives, simulated, over laws, layouts and models drawn at random.

A comparison allows `Z` standard errors: 6.6, a two-sided chance of 4e-11, so that all comparisons of 500 laws (some
20 000) raise a false alarm with a chance below 1e-6. The draws of X behind a value add their own error, which the
value states.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.batch import Batch, Floats
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept
from nestbench.sim.random_intercept.covariance import covariance_of
from tests.sim.random_laws import Case, Compared, compare, random_case

Z = 6.6


def wrong(case: Case, data_sets: int) -> list[Compared]:
    return [one for one in compare(case, data_sets, Z) if one.wrong]


def drawn_by(version: int, case: Case) -> Case:
    return replace(case[0], version=version), *case[1:]


@pytest.mark.parametrize(("seed", "version"), [(3, 1), (12, 2), (14, 1)])
def test_numbers_of_random_laws(seed: int, version: int) -> None:
    assert not wrong(drawn_by(version, random_case(seed)), 1500)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 1100, 10))
def test_numbers_of_many_random_laws(first: int) -> None:
    """Every other law is drawn by statistics, where it allows it."""
    cases = {seed: drawn_by(1 + seed % 2, random_case(seed)) for seed in range(first, first + 10)}
    found = {seed: wrong(case, 4000) for seed, case in cases.items()}
    assert not {seed: bad for seed, bad in found.items() if bad}


CONFOUNDED = RandomIntercept(age_icc=0.2, age_confounding=0.6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "formula", ["grade ~ age + gender", "grade ~ age + gender + resources", "grade ~ age"]
)
@pytest.mark.parametrize("assignment", ["first", "students"])
@pytest.mark.parametrize(
    "more", [{}, {"treated_variance_ratio": 3.0}, {"class_icc": 0.1}, {"treatment_sd": 1.0}]
)
def test_bias_with_effects_left_out(formula: str, assignment: str, more: dict[str, Any]) -> None:
    """An effect that the model leaves out is school or residual variance to a mixed model, and moves its bias."""
    law = replace(CONFOUNDED, effects={**CONFOUNDED.effects, "treated": 1.0}, **more)
    layout = Layout(schools=10, students=20, treated_share=0.5, assignment=assignment, classes=2)
    case = (law, layout, Model(formula=formula))
    assert law.theory(layout, case[2])["bias"]["likelihood"]["age"] > 0.005
    assert not wrong(case, 12_000)


def test_bias_of_the_mixed_model_counts_what_is_left_out() -> None:
    """Resources left out halve it: .0126, where .0256 holds for a model with them."""
    case = (CONFOUNDED, Layout(schools=200, students=20), Model(formula="grade ~ age + gender"))
    with_them = Model(formula="grade ~ age + gender + resources")
    assert CONFOUNDED.theory(case[1], with_them)["bias"]["likelihood"]["age"] == pytest.approx(
        0.02562, abs=1e-5
    )
    assert CONFOUNDED.theory(*case[1:])["bias"]["likelihood"]["age"] == pytest.approx(0.01264, abs=1e-5)
    assert not wrong(case, 8000)


@pytest.mark.parametrize("planted", ["covariance", "mean"])
def test_a_wrong_number_is_seen(planted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """School effects half too large in theory, or an effect a little larger: comparisons fail."""
    law = RandomIntercept(icc=0.3, effects={"age": 0.5, "resources": 0.5}, slope_sd=0.123)
    case = (law, Layout(schools=16, students=8), Model(formula="grade ~ age + resources"))
    assert not wrong(case, 1500)
    if planted == "covariance":

        def larger(
            law: RandomIntercept, layout: Layout, batch: Batch, rows: slice
        ) -> tuple[Floats, Floats] | None:
            found = covariance_of(law, layout, batch, rows)
            return None if found is None else (1.5 * found[0], found[1])

        monkeypatch.setattr("nestbench.sim.random_intercept.known.covariance_of", larger)
    else:
        right = RandomIntercept.theory
        other = replace(law, effects={"age": 0.5, "resources": 0.6})
        monkeypatch.setattr(RandomIntercept, "theory", lambda _, *more: right(other, *more))
    monkeypatch.setattr("nestbench.sim.random_intercept.known._KNOWN", {})
    monkeypatch.setattr("nestbench.sim.random_intercept.known._AVERAGED", {})
    monkeypatch.setattr("nestbench.sim.random_intercept.known._last", ("", None))
    assert wrong(case, 1500)


def test_the_generator_reaches_every_parameter() -> None:
    """Of 400 cases each parameter is away from its default in some, and theory has numbers for many models."""
    cases = [random_case(seed) for seed in range(400)]
    plain = RandomIntercept()
    for name in RandomIntercept.__slots__:
        assert any(getattr(law, name) != getattr(plain, name) for law, _, _ in cases), name
    for name in Layout.__slots__:
        values = {repr(getattr(layout, name)) for _, layout, _ in cases}
        assert len(values) > 1, name
    assert len({model.formula for _, _, model in cases}) > 20
    assert np.mean([bool(law.effects) for law, _, _ in cases]) > 0.9

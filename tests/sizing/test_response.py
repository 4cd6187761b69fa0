"""Power, size and the effect found, from limits: against the normal distribution, and in what must be monotone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nestbench.sizing.response import (
    Sample,
    assurance,
    equally_likely,
    factor_for,
    half_width,
    power,
    sample_of,
)

ONE = np.ones(1)


def limits(n: int, seed: int, known: bool = True) -> Sample:
    """Intervals of a z test: estimate N(0, 1), half-width 1.96."""
    z = np.random.default_rng(seed).normal(size=n)
    half = stats.norm.ppf(0.975)
    return sample_of(z - half, z + half, z if known else None)


def t_limits(n: int, seed: int) -> Sample:
    """Intervals of a t test with 10 degrees of freedom."""
    rng = np.random.default_rng(seed)
    z, half = rng.normal(size=n), stats.t.ppf(0.975, 10) * np.sqrt(rng.chisquare(10, n) / 10)
    return sample_of(z - half, z + half, z)


def test_power_of_a_z_test() -> None:
    sample = limits(20_000, 1)
    for effect in (0.0, 1.0, 2.8):
        exact = float(stats.norm.sf(1.959964 - effect) + stats.norm.cdf(-1.959964 - effect))
        value, error = power(sample, effect)
        assert abs(value - exact) < 5.3 * error + 1e-9
    assert half_width(sample)[0] == pytest.approx(1.959964, rel=1e-6)


def test_poststratification_removes_what_z_explains() -> None:
    """Where z decides all but the interval that it falls into, the error is that of one interval of fifty."""
    plain, better = power(limits(20_000, 2, known=False), 2.8)[1], power(limits(20_000, 2), 2.8)[1]
    assert plain == pytest.approx(np.sqrt(0.8 * 0.2 / 20_000), rel=0.05)
    assert better < 0.25 * plain


def test_its_error_is_that_of_repeated_simulations() -> None:
    values = [power(t_limits(2_000, 100 + seed), 2.8) for seed in range(200)]
    spread, said = np.std([v for v, _ in values], ddof=1), np.mean([e for _, e in values])
    # SD of 200 draws: relative error 5 %; 4.9 of these are 1e-6
    assert 0.75 < spread / said < 1.25


def test_the_effect_found_is_the_inverse_of_power() -> None:
    sample = limits(20_000, 3)
    effect, error = factor_for(sample, 0.8, ONE)
    assert power(sample, effect)[0] == pytest.approx(0.8, abs=1e-4)
    assert abs(effect - (1.959964 + 0.841621)) < 5.3 * error


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-5, 5), st.floats(0.01, 5)), min_size=1, max_size=40),
    st.floats(0.1, 0.95),
    st.floats(0.0, 0.04),
)
def test_more_power_needs_a_larger_effect(pairs: list[tuple[float, float]], goal: float, more: float) -> None:
    """Without the far tail, power rises with the effect; so does the effect found with the power wanted."""
    middle, half = np.array(pairs).T
    sample = sample_of(middle - half, np.full(len(half), 1e9), None)
    assert factor_for(sample, goal, ONE)[0] <= factor_for(sample, goal + more, ONE)[0] * (1 + 1e-6)


def test_assurance_is_power_averaged() -> None:
    sample = limits(5_000, 4)
    effects = np.array([-1.0, 1.0, 3.0])
    assert assurance(sample, effects)[0] == pytest.approx(
        np.mean([(sample.lower + e > 0).mean() for e in effects]), abs=0.03
    )
    assert assurance(sample, equally_likely(2.0, 1e-9))[0] == pytest.approx(power(sample, 2.0)[0], abs=1e-3)
    drawn = np.random.default_rng(5).normal(2.0, 1.0, 4_000)
    exact = np.mean(stats.norm.sf(1.959964 - drawn))
    assert assurance(sample, equally_likely(2.0, 1.0))[0] == pytest.approx(exact, abs=0.03)


def test_fits_without_an_answer_are_left_out() -> None:
    lower = np.array([np.nan, -1.0, 1.0])
    sample = sample_of(lower, lower + 1.5, None)
    assert (sample.size, sample.attempted) == (2, 3)
    assert power(sample, 0.0)[0] == 0.5

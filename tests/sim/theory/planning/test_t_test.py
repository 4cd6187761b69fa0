"""Power, detectable effects and interval widths against integration of the definitions in 30 digits."""

from __future__ import annotations

from itertools import product

import mpmath as mp
import numpy as np
import pytest
from scipy import special

from nestbench.sim.theory.planning import t_test
from tests.oracles import noncentral


@pytest.mark.parametrize("df", [1.0, 8.0, 39.0])
@pytest.mark.parametrize("shift", [0.0, 2.8, 7.0])
def test_power_is_the_integral_of_its_definition(df: float, shift: float) -> None:
    for sides in (1, 2):
        got = t_test.power_at(0.1 * shift, 0.1, df, sides=sides)
        assert got == pytest.approx(noncentral.power(0.1 * shift, 0.1, df, sides=sides), abs=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("df", [0.5, 2.0, 1e6])
def test_tails_are_integrated_whatever_their_size(df: float) -> None:
    """Shifts and critical values far apart, where one tail is negligible; Owen's sum and the integral agree."""
    for p, shift in product((0.6, 0.9995), (0.0, 2.8, 120.0)):
        c = float(special.stdtrit(df, p))
        exact = noncentral.above(c, df, shift)
        assert t_test.exceeds(c, df, shift, sides=1) == pytest.approx(float(exact), abs=1e-11)
        if df == 2.0:
            assert noncentral.above_owen(c, int(df), shift) == pytest.approx(exact, abs=1e-15)


@pytest.mark.parametrize("df", [1.0, 18.0, 5000.0, np.inf])
@pytest.mark.parametrize(("power", "alpha", "sides"), [(0.8, 0.05, 2), (0.99, 0.01, 2), (0.3, 0.1, 1)])
def test_the_smallest_effect_has_the_power(df: float, power: float, alpha: float, sides: int) -> None:
    effect = t_test.smallest_effect(0.2, df, power=power, alpha=alpha, sides=sides)
    assert t_test.power_at(effect, 0.2, df, alpha=alpha, sides=sides) == pytest.approx(power, abs=1e-10)


@pytest.mark.parametrize("df", [1.0, 4.0, 38.0])
def test_the_half_width_falls_short_as_chi_does(df: float) -> None:
    """E sqrt(chi2_df / df) by integration of the chi-square density."""
    half = mp.mpf(df) / 2
    density = lambda x: mp.exp((half - 1) * mp.log(x) - x / 2 - half * mp.log(2) - mp.loggamma(half))  # noqa: E731
    knots = [max(df + k * mp.sqrt(2 * df), 0) for k in range(-12, 40, 4)]
    exact = mp.quad(lambda x: density(x) * mp.sqrt(x / df), knots) if df > 1 else mp.sqrt(2 / mp.pi)
    assert t_test.mean_root(df) == pytest.approx(float(exact), rel=1e-9)
    expected = float(noncentral.quantile(mp.mpf("0.975"), df) * exact)
    assert t_test.half_width(1.0, df) == pytest.approx(expected, rel=1e-9)


def test_limits_of_power() -> None:
    """Without an effect power is alpha; with no variance an effect is certain; many degrees of freedom are normal."""
    assert t_test.power_at(0.0, [0.0, 0.1, 5.0], 7.0, alpha=0.02) == pytest.approx(0.02, abs=1e-12)
    assert t_test.power_at([0.1, 1e6], [0.0, 0.1], 7.0).tolist() == [1.0, 1.0]
    assert t_test.power_at(-1.0, 0.0, np.inf, sides=1) == 0.0
    assert t_test.power_at(0.28, 0.1, 1e9) == pytest.approx(
        float(t_test.power_at(0.28, 0.1, np.inf)), abs=1e-8
    )


@pytest.mark.parametrize(("df", "error"), [(2, -0.051), (5, -0.007), (10, -0.001), (38, 0.0002)])
def test_the_published_multiplier_is_as_far_off_as_said(df: float, error: float) -> None:
    ratio = float(t_test.bloom_multiplier(df) / t_test.multiplier(df)) - 1.0
    assert ratio == pytest.approx(error, abs=6e-4)

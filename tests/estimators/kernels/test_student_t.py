"""Student's t against 40-digit arithmetic and SciPy."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from scipy import special

from nestbench.estimators.engines.inference import _wald, critical_value, wald
from nestbench.estimators.kernels.student_t import quantile, two_sided

DFS = (0.3, 1.0, 1.5, 2.0, 3.0, 5.3, 9.0, 30.0, 49.0, 123.4, 996.0)


def exact(t: float, df: float) -> mpmath.mpf:
    """P(|T| > t), 40 digits."""
    with mpmath.workdps(40):
        x = mpmath.mpf(df) / (mpmath.mpf(df) + mpmath.mpf(t) ** 2)
        return mpmath.betainc(mpmath.mpf(df) / 2, mpmath.mpf(1) / 2, 0, x, regularized=True)


@pytest.mark.parametrize("df", DFS)
@pytest.mark.parametrize("t", [1e-9, 1e-3, 0.1, 0.5, 1.0, 1.7, 1.8, 2.0, 2.5, 2.51, 3.0, 5.0, 10.0, 40.0])
def test_tail_probability(df: float, t: float) -> None:
    assert two_sided(t, df) == pytest.approx(float(exact(t, df)), rel=1e-13)
    assert two_sided(-t, df) == two_sided(t, df)


def test_tail_probability_at_large_df_and_at_the_ends() -> None:
    assert two_sided(2.0, 1e5) == pytest.approx(2 * special.stdtr(1e5, -2.0), rel=1e-11)
    assert two_sided(1.96, math.inf) == pytest.approx(2 * special.ndtr(-1.96), rel=1e-14)
    assert two_sided(0.0, 3.0) == 1.0
    assert two_sided(math.inf, 3.0) == 0.0
    assert math.isnan(two_sided(math.nan, 3.0))
    assert math.isnan(two_sided(1.0, math.nan))
    assert math.isnan(two_sided(1.0, 0.0))


@pytest.mark.parametrize("df", [*DFS, 1e5, math.inf])
@pytest.mark.parametrize("tail", [1e-6, 0.01, 0.05, 0.1, 0.5, 0.95])
def test_quantile_inverts_the_tail(df: float, tail: float) -> None:
    assert two_sided(quantile(tail, df), df) == pytest.approx(tail, rel=1e-11)


@pytest.mark.parametrize("df", DFS)
@pytest.mark.parametrize("tail", [1e-6, 0.01, 0.05, 0.1, 0.5, 0.95])
def test_quantile_is_exact(df: float, tail: float) -> None:
    """P at it, by 40 digits; of the quantile itself the error is that of P / (2 q f(q)), which is smaller."""
    assert float(exact(quantile(tail, df), df)) == pytest.approx(tail, rel=1e-13)


def test_wald_broadcasts_and_passes_nan_on() -> None:
    estimate = np.array([[1.0, 2.0, 0.0], [np.nan, -3.0, 1.0]])
    std_error = np.array([[0.5, 1.0, 0.0], [1.0, np.nan, 0.0]])
    lower, upper, p_value = wald(estimate, std_error, np.array([9.0, np.inf, 4.0]), 0.95)
    # The quantile by mpmath, 30 digits: the oldest SciPy that is allowed, 1.14, has eleven of them.
    assert lower[0, 0] == pytest.approx(1.0 - 0.5 * 2.26215716279820554, rel=1e-12)
    assert upper[0, 1] == pytest.approx(2.0 + special.ndtri(0.975), rel=1e-12)
    assert p_value[0, 0] == pytest.approx(2 * special.stdtr(9.0, -2.0), rel=1e-12)
    assert p_value[0, 2] == 1.0
    assert p_value[1, 2] == 0.0
    assert np.isnan([lower[1, 0], upper[1, 1], p_value[1, 0], p_value[1, 1]]).all()


def test_shapes_and_rights_of_the_arguments_are_not_compiled_for() -> None:
    frozen = np.ones((2, 3))
    frozen.flags.writeable = False
    wald(frozen, 1.0, np.inf, 0.95)
    wald(np.ones((2, 3)), frozen, frozen, 0.95)
    wald(np.ones(3), np.ones(3), np.ones(3), 0.95)
    assert len(_wald.compiled.signatures) == 1  # type: ignore[attr-defined]


def test_critical_value_keeps_the_shape() -> None:
    df = np.array([3.0, np.inf, np.nan])
    np.testing.assert_allclose(
        critical_value(df, 0.9), [special.stdtrit(3.0, 0.95), special.ndtri(0.95), np.nan], rtol=1e-12
    )
    assert float(critical_value(7.0, 0.95)) == pytest.approx(special.stdtrit(7.0, 0.975), rel=1e-12)

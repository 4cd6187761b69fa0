"""Imhof's integral against laws with known distribution functions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nestbench.sim.theory.imhof import positive_probability


@pytest.mark.parametrize(("a", "b"), [(1, 1), (1, 4), (3, 2), (1, 100), (5, 5000), (2, 200_000)])
@pytest.mark.parametrize("ratio", [0.1, 1.0, 4.0])
def test_f_law(a: int, b: int, ratio: float) -> None:
    """P(chi2_a / a > c chi2_b / b) is the upper tail of F(a, b)."""
    got = positive_probability([1.0 / a, -ratio / b], [a, b])
    assert got == pytest.approx(stats.f.sf(ratio, a, b), abs=1e-8)


@pytest.mark.parametrize("schools", [4, 6, 10, 30])
def test_t_law_with_scattered_weights(schools: int) -> None:
    """Repeated weights, given one by one or with a multiplicity, and zeros, are the same form."""
    weights = np.array([1.0, *[-0.3] * schools, 0.0])
    together = positive_probability([1.0, -0.3], [1, schools])
    assert positive_probability(weights) == pytest.approx(together, abs=1e-10)
    assert together == pytest.approx(stats.f.sf(0.3 * schools, 1, schools), abs=1e-9)


def test_one_sign_only() -> None:
    """A form without negative weights is always positive, without positive ones never."""
    assert positive_probability([1.0, 2.0]) == 1.0
    assert positive_probability([-1.0]) == 0.0
    assert positive_probability([]) == 0.0

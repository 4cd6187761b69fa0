"""Holm's method as a limit, and t in place of the normal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nestbench.reports.comparing.holm import limit, spread_error, t_p_values, t_quantile

P = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30)


def adjusted(p_values: list[float]) -> np.ndarray:
    """Holm's adjusted p-values by their definition: the largest of (m - j + 1) p_(j) up to each."""
    order = np.argsort(p_values, kind="stable")
    found, largest = np.zeros(len(p_values)), 0.0
    for j, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - j) * p_values[i]))
        found[i] = largest
    return found


@given(P)
def test_a_p_value_is_rejected_exactly_where_its_adjusted_one_is(p: list[float]) -> None:
    np.testing.assert_array_equal(np.asarray(p) <= limit(p), adjusted(p) <= 0.05)


def test_no_comparison_takes_no_part() -> None:
    assert limit([0.02, np.nan, 0.9]) == limit([0.02, 0.9]) == 0.05
    assert limit([]) == limit([np.nan]) == 0.05


def test_t_values_are_those_of_the_t_distribution() -> None:
    assert t_p_values(2.0, 1.0, 5) == pytest.approx(2 * stats.t(4).sf(2.0))
    assert t_quantile(5) == pytest.approx(stats.t(4).ppf(0.975))
    assert t_p_values([0.0, 1.0, 1.0], [0.0, 0.0, np.nan], 9).tolist() == [1.0, 0.0, 1.0]
    assert np.isinf(t_quantile(1))


@pytest.mark.parametrize("n", [5, 20])
@pytest.mark.parametrize("size", [0.05, 0.002])
def test_right_standard_errors_of_few_estimates_are_seldom_called_wrong(n: int, size: float) -> None:
    """40 000 studies of n normal estimates, their errors on 9 df: rejected at most at the size (1e-6)."""
    rng = np.random.default_rng(n)
    studies = 40_000
    estimate, square = rng.standard_normal((studies, n)), rng.chisquare(9, (studies, n)) / 9
    variance, mean_square = estimate.var(axis=1, ddof=1), square.mean(axis=1)
    ratio = np.sqrt(mean_square / variance)
    apart = n / (n - 1) * (estimate - estimate.mean(axis=1, keepdims=True)) ** 2 / variance[:, None]
    influence = 0.5 * ratio[:, None] * (square / mean_square[:, None] - apart)
    mcse = np.sqrt((influence**2).mean(axis=1) / (n - 1))
    allowed = stats.binom.isf(1e-6, studies, size)
    assert (t_p_values(ratio - 1, spread_error(ratio, mcse, n), n) <= size).sum() <= allowed
    assert (t_p_values(ratio - 1, mcse, n) <= size).sum() > allowed, "the MCSE alone is too small"

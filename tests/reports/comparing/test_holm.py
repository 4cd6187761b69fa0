"""Holm's method as a limit, and t in place of the normal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nestbench.reports.comparing.holm import limit, t_p_values, t_quantile

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

"""Intervals for proportions against scipy and at the edges."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nestbench.reports.measures.proportions import clopper_pearson, wilson


@pytest.mark.parametrize("n", [1, 7, 400])
@pytest.mark.parametrize("level", [0.9, 0.99])
def test_both_agree_with_scipy(n: int, level: float) -> None:
    for x in {0, 1, n // 2, n}:
        expected = stats.binomtest(x, n)
        for ours, method in ((wilson(x / n, n, level), "wilson"), (clopper_pearson(x, n, level), "exact")):
            other = expected.proportion_ci(level, method=method)
            np.testing.assert_allclose([float(v) for v in ours], [other.low, other.high], atol=1e-12)


def test_the_edges_have_width() -> None:
    assert float(wilson(1.0, 100)[0]) < 0.97
    assert float(wilson(0.0, 100)[1]) > 0.03

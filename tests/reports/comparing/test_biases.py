"""Bias in standard errors: how often a right method is called biased, and a bias lies above its bound."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nestbench.reports.comparing.biases import biases


def standardised(error: np.ndarray) -> pd.DataFrame:
    """Rows of bias and standardised bias for studies [s, n], one cell each."""
    n = error.shape[1]
    spread, mean = error.std(axis=1, ddof=1), error.mean(axis=1)
    value = mean / spread
    z = (error - mean[:, None]) / spread[:, None]
    influence = z - 0.5 * value[:, None] * (n / (n - 1) * z**2 - 1)
    mcse = np.sqrt((influence**2).mean(axis=1) / (n - 1))
    about = {"cell": range(len(value)), "estimator": "a", "term": "age", "n": n}
    return pd.concat(
        [
            pd.DataFrame({**about, "measure": "bias", "value": mean, "mcse": spread / np.sqrt(n)}),
            pd.DataFrame({**about, "measure": "standardised_bias", "value": value, "mcse": mcse}),
        ],
        ignore_index=True,
    )


@pytest.mark.parametrize("n", [5, 10, 30])
@pytest.mark.parametrize("size", [0.05, 0.002])
def test_few_right_estimates_are_not_called_biased(n: int, size: float) -> None:
    """20 000 studies of normal estimates: single p-values below the size at most as often (1e-6)."""
    found = biases(standardised(np.random.default_rng(n).standard_normal((20_000, n))))
    assert (found["p"] <= size).sum() <= stats.binom.isf(1e-6, 20_000, size)


@pytest.mark.parametrize("bias", [0.2, 0.8])
@pytest.mark.parametrize("n", [5, 30])
def test_a_bias_seldom_lies_above_what_cant_be_excluded(n: int, bias: float) -> None:
    """The bound is one end of a 95 % interval: 20 000 studies, at most 2.5 % and half a point (1e-6)."""
    found = biases(standardised(bias + np.random.default_rng(n).standard_normal((20_000, n))))
    assert (found["bound"] < bias).sum() <= stats.binom.isf(1e-6, 20_000, 0.03)

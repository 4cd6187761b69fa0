"""From estimate, standard error and df to interval and p-value: one place for all engines."""

from __future__ import annotations

import numpy as np
from scipy import special

from nestbench.sim.batch import Floats


def wald(estimate: Floats, std_error: Floats, df: Floats, level: float) -> tuple[Floats, Floats, Floats]:
    """Return (lower, upper, p_value) of t tests of zero; df = inf is the normal distribution.

    ``estimate -+ t_{df, (1 + level)/2} std_error``, ``2 P(T_df > |estimate / std_error|)``. Shapes broadcast. NaN in,
    NaN out; a standard error of 0 gives p-value 0 (1 for an estimate of 0).
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        half = critical_value(df, level) * std_error
        statistic = np.abs(estimate / std_error)
        normal = 2.0 * special.ndtr(-statistic)
        finite = np.isfinite(df)
        student = 2.0 * special.stdtr(np.where(finite, df, 1.0), -statistic)
        p_value = np.where(finite, student, np.where(np.isposinf(df), normal, np.nan))
    return estimate - half, estimate + half, p_value


def critical_value(df: Floats, level: float) -> Floats:
    """Return the (1 + level)/2 quantile of t(df), of the normal at df = inf; computed once per distinct df."""
    distinct, inverse = np.unique(np.asarray(df, dtype=np.float64), return_inverse=True)
    tail = 0.5 * (1.0 + level)
    values = np.where(
        np.isposinf(distinct),
        special.ndtri(tail),
        special.stdtrit(np.where(np.isfinite(distinct), distinct, 1.0), tail),
    )
    values = np.where(np.isnan(distinct), np.nan, values)
    return np.asarray(values[inverse].reshape(np.shape(df)))

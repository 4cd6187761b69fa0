"""From estimate, standard error and df to interval and p-value: one place for all engines."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from nestbench.estimators.kernels.student_t import gamma_ratio, quantile, tail_and_density
from nestbench.sim.compiled import kernel
from nestbench.sim.observed.batch import Floats


def wald(
    estimate: Floats, std_error: Floats, df: npt.ArrayLike, level: float
) -> tuple[Floats, Floats, Floats]:
    """Return (lower, upper, p_value) of t tests of zero; df = inf is the normal distribution.

    ``estimate -+ t_{df, (1 + level)/2} std_error``, ``2 P(T_df > |estimate / std_error|)``. Shapes broadcast, the
    result has that of `estimate`. NaN in, NaN out; a standard error of 0 gives p-value 0 (1 for an estimate of 0).
    """
    shape = np.shape(estimate)
    rows = _rows_of(shape)
    # copies: a read-only argument would have the kernel compiled again
    values, errors, dfs = (
        np.array(np.broadcast_to(a, shape), dtype=np.float64, order="C").reshape(rows)
        for a in (estimate, std_error, df)
    )
    lower, upper, p_value = (np.empty(rows) for _ in range(3))
    _wald(values, errors, dfs, level, lower, upper, p_value)
    return lower.reshape(shape), upper.reshape(shape), p_value.reshape(shape)


def critical_value(df: npt.ArrayLike, level: float) -> Floats:
    """Return the (1 + level)/2 quantile of t(df), of the normal at df = inf, in the shape of `df`.

    NaN where df is NaN or not positive: a method without degrees of freedom has no interval, rather than a normal one.
    """
    values = np.ascontiguousarray(df, dtype=np.float64)
    rows = values.reshape(_rows_of(values.shape))
    out = np.empty(rows.shape)
    _quantiles(rows, level, out)
    return out.reshape(np.shape(df))


def _rows_of(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return a shape as rows and columns, for the kernels: all axes but the last are rows."""
    return (math.prod(shape[:-1]), shape[-1]) if shape else (1, 1)


@kernel
def _wald(
    estimate: Floats,
    std_error: Floats,
    df: Floats,
    level: float,
    lower: Floats,
    upper: Floats,
    p_value: Floats,
) -> None:
    """Write limits and p-values [R, K]; a standard error of 0 is a certainty, not a division by zero."""
    _quantiles(df, level, upper)
    for k in range(estimate.shape[1]):
        last, ratio = math.nan, math.nan
        for r in range(estimate.shape[0]):
            half = upper[r, k] * std_error[r, k]
            lower[r, k], upper[r, k] = estimate[r, k] - half, estimate[r, k] + half
            if df[r, k] != last:
                last = df[r, k]
                ratio = gamma_ratio(0.5 * last) if last > 0.0 else math.nan
            t = abs(estimate[r, k] / std_error[r, k])
            if std_error[r, k] == 0.0 and last > 0.0:
                p_value[r, k] = 1.0 if estimate[r, k] == 0.0 else 0.0
            elif math.isnan(t) or not last > 0.0:
                p_value[r, k] = math.nan
            else:
                p_value[r, k] = tail_and_density(t, last, ratio)[0]


@kernel
def _quantiles(df: Floats, level: float, out: Floats) -> None:
    """Write the critical values; a df that repeats down a column is looked up."""
    for k in range(df.shape[1]):
        last, value = math.nan, math.nan
        for r in range(df.shape[0]):
            if df[r, k] != last:
                last = df[r, k]
                value = quantile(
                    1.0 - level, last
                )  # not alpha_of: no tail is compared, and the bytes are stored
            out[r, k] = value

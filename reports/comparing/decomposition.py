"""Why coverage is off: bias, wrong standard errors, or the wrong reference distribution.

Coverage is recomputed with one fault mended at a time, on the same replications:

- ``coverage``: as the method gave it;
- ``without_bias``: intervals moved by the bias (bias-eliminated coverage);
- ``with_scaled_se``: estimate -+ c_i s_i S / sqrt(mean s^2): standard errors right on average, as variable as before,
  with the method's critical value c_i = t(df_i);
- ``with_true_se``: estimate -+ c_i S, the empirical SE for the method's own;
- ``without_bias_true_se``: both mended: what is left is the reference distribution and the shape of the estimates;
- ``with_normal`` and ``with_t``: the method's SE with the normal's critical value, and with t(G - 1) where G is known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from nestbench.estimators.estimates import ENDS, STD_ERROR, Estimates
from nestbench.estimators.kernels.student_t import quantile, two_sided
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.results import Results
from nestbench.reports.measures import statistics as st
from nestbench.reports.measures.cell_rows import CellRows, rows_of
from nestbench.reports.measures.draws import Bools, Draws, Truth
from nestbench.sim.compiled import kernel
from nestbench.sim.observed.batch import Floats

STEPS = (
    "coverage",
    "without_bias",
    "with_scaled_se",
    "with_true_se",
    "without_bias_true_se",
    "with_normal",
    "with_t",
)


def decomposition_table(results: Results) -> pd.DataFrame:
    """Return coverage with each fault mended, over all conditions.

    Columns: ``cell``, factors, ``estimator, term, step, value, mcse, n, gain, gain_mcse``.
    `gain` is the paired change against ``coverage``, `gain_mcse` its Monte Carlo error.
    """
    experiment, frames = results.experiment, []
    for index in range(len(experiment.cells)):
        frame = decomposition_of_rows(rows_of(results, index), schools_of(experiment, index))
        for position, (factor, level) in enumerate(experiment.levels[index].items()):
            frame.insert(position, factor, [level] * len(frame))
        frame.insert(0, "cell", index)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def schools_of(experiment: Experiment, cell: int) -> int:
    """Return the number of schools of a condition; 0 where results were read from a table, which doesn't say."""
    return 0 if experiment.brought else experiment.cells[cell].layout.schools


def decomposition_of_cell(
    estimates: Mapping[str, Estimates], truth: Truth, level: float, schools: int
) -> pd.DataFrame:
    """Return the decomposition of one condition (columns as `decomposition_table`, without condition and factors).

    Parameters
    ----------
    estimates : mapping
        Label -> Estimates.
    truth : mapping
    level : float
        Nominal level of the intervals.
    schools : int
        The steps to a t distribution have G - 1 degrees of freedom; 0: G isn't known, and the step changes nothing.
    """
    return decomposition_of_rows(CellRows(estimates, truth, level), schools)


def decomposition_of_rows(rows: CellRows, schools: int) -> pd.DataFrame:
    """Return `decomposition_of_cell` from the rows of the condition."""
    names = ["estimator", "term", "step", "value", "mcse", "n", "gain", "gain_mcse"]
    return pd.DataFrame(list(steps_of_rows(rows, schools)), columns=names)


def steps_of_rows(rows: CellRows, schools: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of `decomposition_of_rows`, those of a method's term one after another."""
    for label in rows.labels:
        for draws in rows.draws(label, frozenset({STD_ERROR, *ENDS})):
            if draws.n > 1 and np.isfinite(draws.truth).any():
                yield from ({"estimator": label, **row} for row in _steps(draws, schools))


def _steps(draws: Draws, schools: int) -> list[dict[str, Any]]:
    n = draws.n
    with np.errstate(all="ignore"):
        shares = np.array([draws.once(st.mean(mended(step, schools))) for step in STEPS])
        changed = np.array([draws.once(st.mean(changes(step, schools))) for step in STEPS])
        gains = shares - shares[0]
        mcse = np.sqrt(shares * (1.0 - shares) / n)
        # Gains are means of -1, 0 and 1, whose mean square is the share that changed.
        gain_mcse = np.sqrt(np.maximum(changed - gains**2, 0.0) / (n - 1))
    steps = []
    for k in np.flatnonzero(np.isfinite(draws.truth).all(axis=1)):
        steps += [
            {
                "term": draws.terms[k],
                "step": step,
                "value": float(shares[j, k]),
                "mcse": float(mcse[j, k]),
                "n": n,
                "gain": float(gains[j, k]),
                "gain_mcse": float(gain_mcse[j, k]),
            }
            for j, step in enumerate(STEPS)
        ]
    return steps


@cache
def mended(step: str, schools: int) -> Callable[[Draws], Bools]:
    """Return the function that says whether the mended interval of each replication covers the truth [k, n]."""

    def covered(d: Draws) -> Bools:
        error = d.once(st.error)
        bias, true_se = d.once(st.bias)[:, None], np.sqrt(d.once(st.variance))[:, None]
        if step == "coverage":
            return d.once(st.covers)
        if step == "without_bias":
            return (d.lower - bias <= d.truth) & (d.truth <= d.upper - bias)
        if step == "with_scaled_se":
            scale = true_se / np.sqrt(d.once(st.model_variance))[:, None]
            return np.abs(error) <= d.once(_critical) * d.std_error * scale
        if step == "with_true_se":
            return np.abs(error) <= d.once(_critical) * true_se
        if step == "without_bias_true_se":
            return np.abs(error - bias) <= d.once(_critical) * true_se
        if step == "with_t" and not schools:
            return d.once(st.covers)
        tail = 0.5 * (1.0 + d.level)
        value = special.ndtri(tail) if step == "with_normal" else special.stdtrit(max(schools - 1, 1), tail)
        return np.abs(error) <= float(value) * d.std_error

    return covered


@cache
def changes(step: str, schools: int) -> Callable[[Draws], Bools]:
    """Return the function that says whether a mending changes what each interval covers [k, n]."""
    return lambda d: d.once(mended(step, schools)) != d.once(st.covers)


def _critical(d: Draws) -> Floats:
    """The method's critical value: from df where it states one, else from its own interval's half-width over its SE."""
    with np.errstate(invalid="ignore", divide="ignore"):
        implied = 0.5 * (d.upper - d.lower) / d.std_error
    out = np.empty_like(implied)
    _quantiles(np.ascontiguousarray(d.df), implied, 1.0 - d.level, out)
    return out


@kernel
def _quantiles(df: Floats, implied: Floats, tail: float, out: Floats) -> None:
    """Write t quantiles [k, n]; where the interval implies one, checking it is several times cheaper."""
    for k in range(df.shape[0]):
        last, value = math.nan, math.nan
        for i in range(df.shape[1]):
            guess = implied[k, i]
            if math.isnan(df[k, i]):
                out[k, i] = guess
                continue
            if df[k, i] != last:
                last = df[k, i]
                off = abs(two_sided(guess, last) - tail)
                value = guess if guess > 0.0 and off <= 1e-12 * tail else quantile(tail, last)
            out[k, i] = value


def cause_of(values: Mapping[str, float], level: float, biased: bool) -> str:
    """Return which single mending brings coverage closest to its level; ``mixed`` if none closes a quarter of the gap.

    `values` are the steps' coverages. Whether coverage is off at all and whether estimates are `biased` is known by
    the study as a whole (`grades`, `biases`): a bias that isn't shown is no cause.
    """
    gap = abs(values["coverage"] - level)
    names = {"with_scaled_se": "standard error", "with_t": "reference distribution"}
    if biased:
        names = {"without_bias": "bias", **names}
    # Methods that have t(G - 1) already aren't mended by it.
    if values["with_t"] == values["coverage"]:
        names.pop("with_t")
    best = min(names, key=lambda step: abs(values[step] - level))
    return names[best] if abs(values[best] - level) <= 0.75 * gap else "mixed"

"""What is known of OLS tests before any fit, for any population whose errors have a known covariance.

Given X, an OLS test under Gaussian errors with known covariance has an exactly known size (`sizes`), and its standard
error a known expectation under any errors (`expected`). Where X is random, values are averaged over draws of X. Each
average stands beside its Monte Carlo error; one with an error above `PRECISION` hangs on X so much that it isn't given.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from nestbench.sim.observed.batch import Floats
from nestbench.sim.observed.design import Design
from nestbench.sim.theory.expected import Expected, expected_of, mean_ratio
from nestbench.sim.theory.left_out import InModel, columns_used
from nestbench.sim.theory.rows import Rows
from nestbench.sim.theory.scores import Columns, Moments, moments_of
from nestbench.sim.theory.sizes import naive_of, robust_sizes
from nestbench.sim.theory.standardised import Standardised

ROUNDING = 1e-12
"""Of a column, relative to its largest number."""

NAIVE = "iid-t"
TESTS = {
    f"{kind}-{reference}": (kind, reference)
    for kind, reference in (
        ("iid", "t"),
        ("cr0", "z"),
        ("cr1s", "z"),
        ("cr1s", "t"),
        ("cr2", "satt"),
        ("cr3", "t"),
    )
}
"""Tests that are exactly known: kind of variance and reference distribution. A method says which is its own
(`Estimator.theory`)."""


PRECISION = {"coverage": 0.005, "se_ratio": 0.01}
"""Largest Monte Carlo error of a value over draws of X (of a ratio: relative); a value beyond isn't given."""


def design_effect(ratio: float, correlation: float) -> float:
    """Return 1 + (E m^2 / E m - 1) correlation, Moulton's factor for a school-constant regressor; `ratio` is
    E m^2 / E m."""
    return 1.0 + (ratio - 1.0) * correlation


def explains(design: Design, outcome: str) -> bool:
    """Whether a model's outcome is the column `outcome` as it is, and its terms don't use it."""
    return design.response == outcome and outcome not in columns_used(design)


Averages = dict[str, dict[str, dict[str, tuple[float, float]]]]
"""``se_ratio``, ``coverage``, and the same under ``naive_`` -> test -> term -> average over draws of X and its
Monte Carlo error."""


def averages(
    on: Rows,
    x: Standardised,
    covariance: tuple[Floats, Floats],
    terms: tuple[str, ...],
    level: float,
    few: int,
    columns: Callable[[], Columns] | None = None,
    tests: Collection[str] | None = None,
) -> Averages:
    """Return averages for OLS over draws of X, given the errors' covariance B' [q, N], D [N]; coverages are over the
    first `few` draws (0: not known).

    Parameters
    ----------
    on : Rows
        Those of the draws of X.
    x : Standardised
    covariance : (B' [q, N], D [N])
    terms : tuple of str
        Of the columns of X.
    level : float
        Of the intervals.
    few : int
        Draws that coverages are over; standard errors, which are cheap, are over all of them.
    columns : callable, optional
        Returns `columns_of` the same draws; asked for only where X is regular.
    tests : collection of str, optional
        Names in `TESTS` that are wanted beside the iid one; all, if not given.
    """
    if np.diff(on.replication_offsets).min() < 3 or not x.full_rank:
        return {}
    moments = moments_of(on, x, *covariance, None if columns is None else columns())
    wanted = {NAIVE, *(TESTS if tests is None else tests)} & set(TESTS)
    expected = expected_of(on, moments, *covariance, {TESTS[name][0] for name in wanted})
    values = {"se_ratio": _se_ratios(expected, terms, wanted)}
    if few:
        sizes = _sizes(on, x, moments.first(few), *covariance, level, wanted)
        values["coverage"] = {name: _coverages(sizes[name], terms) for name in TESTS if name in sizes}
    constant = [t for t, row in zip(terms, x.rows, strict=True) if _constant_in_schools(row, on)]
    for key, of in list(values.items()):
        values[f"naive_{key}"] = {NAIVE: {t: v for t, v in of.get(NAIVE, {}).items() if t in constant}}
    return values


def tables(averages: Averages, mean: InModel) -> dict[str, Any]:
    """Return the tables of `Population.theory`: what is precise, of coefficients that all data sets share."""
    if not averages:
        return {}
    known: dict[str, Any] = {"coefficients": dict(mean.coefficients)}
    for key, values in averages.items():
        scaled = key.endswith("se_ratio")
        kept = {
            name: {t: v for t, v in of.items() if t in mean.coefficients and _precise(scaled, *v)}
            for name, of in values.items()
        }
        table = {name: {t: v[0] for t, v in of.items()} for name, of in kept.items() if of}
        if key.startswith("naive_"):
            known[key] = table.get(NAIVE, {})
        else:
            known[key] = table
            known[f"{key}_mcse"] = {name: {t: v[1] for t, v in of.items()} for name, of in kept.items() if of}
    return known


def _se_ratios(
    expected: Expected, names: tuple[str, ...], wanted: Collection[str]
) -> dict[str, dict[str, tuple[float, float]]]:
    return {
        name: {
            t: mean_ratio(expected.estimates[kind][:, j], expected.variance[:, j])
            for j, t in enumerate(names)
        }
        for name, (kind, _) in TESTS.items()
        if name in wanted and kind in expected.estimates
    }


def _coverages(sizes: Floats, names: tuple[str, ...]) -> dict[str, tuple[float, float]]:
    spread = sizes.std(axis=0, ddof=1) / np.sqrt(len(sizes)) if len(sizes) > 1 else np.zeros(len(names))
    means = 1.0 - sizes.mean(axis=0)
    return {t: (float(means[j]), float(spread[j])) for j, t in enumerate(names)}


def _precise(relative: bool, value: float, error: float) -> bool:
    """Whether a value is finite and its Monte Carlo error within `PRECISION`."""
    allowed = PRECISION["se_ratio"] * value if relative else PRECISION["coverage"]
    return bool(np.isfinite(value)) and error <= allowed


def _sizes(
    on: Rows,
    x: Standardised,
    moments: Moments,
    factors: Floats,
    variance: Floats,
    level: float,
    wanted: Collection[str],
) -> dict[str, Floats]:
    """Return the sizes [R, k] of iid tests, and of the others that are wanted and known in each of the first data sets,
    given their X."""
    robust = {
        name: test
        for name, test in TESTS.items()
        if name in wanted and test[0] != "iid" and (moments.columns.has_cr3 or test[0] != "cr3")
    }
    sizes = robust_sizes(moments, robust, level)
    naive = naive_of(moments, on, x.rows, factors, variance, level)
    return sizes if naive is None else sizes | {NAIVE: naive}


def _constant_in_schools(values: Floats, on: Rows) -> bool:
    """Whether a column is a multiple of the column of 1 in every school."""
    starts = on.school_offsets[:-1]
    means = np.add.reduceat(values * on.unit, starts) / np.add.reduceat(on.unit**2, starts)
    apart = values - np.repeat(means, np.diff(on.school_offsets)) * on.unit
    return bool(np.abs(apart).max() <= ROUNDING * np.abs(values).max())

"""Bias by omitted variables in closed form: the limits for many schools.

With a school effect u that correlates with the school part of age (c_a) and with resources (c_r), a method that
weights between- and within-school information solves, for the regressors x = (age, resources),

    [ W / s2 + m B / lam ] bias = m Cov(xbar, u) / lam,

W and B the covariance of x within schools (a student's) and of school means, times m, s2 and lam the variance of a
residual within schools and m times the variance of a school mean of the residual. OLS has lam = s2. The mixed model
has the variances that its own likelihood finds, which depend on its bias and on every effect that the model leaves
out: a fixed point. School dummies have m = 0: no bias.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.batch import Floats
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept.parameters import Parameters
from nestbench.sim.random_intercept.second_moments import (
    COLUMNS,
    Second,
    of_columns,
    of_errors,
    with_school_effect,
)
from nestbench.sim.random_intercept.size_moments import mean_over_sizes
from nestbench.sim.theory.left_out import InModel

Biases = dict[str, dict[str, float]]

PLAIN = {"Intercept", *COLUMNS}
"""The terms of the models whose biases are known."""

CENTRED = {"resources", "teacher"}
"""Terms that don't move the intercept where they are left out."""


def bias_of(law: Parameters, layout: Layout, model: Model, mean: InModel, terms: tuple[str, ...]) -> Biases:
    """Return the bias of ``ols`` and of the random-intercept ``likelihood`` by term, where it is known and something is
    biased; `terms` are the model's.

    Nothing is given where students or schools are missing, for terms beyond the plain columns with an intercept, or
    where what is left out shifts the intercept.

    Limits in the number of schools, not approximations to a given number: where a method is consistent nothing is
    listed, and the simulation shows what is left in small samples.

    Parameters
    ----------
    law : Parameters
    layout : Layout
    model : Model
    mean : InModel
        What the fitted model makes of the population's mean.
    terms : tuple of str
    """
    if "Intercept" not in terms or not set(terms) <= PLAIN or law.missing or law.missing_schools:
        return {}
    known: Biases = {}
    if law.age_confounding or law.resources_confounding:
        known = _confounding(law, layout, model, mean, terms)
    elif law.size_correlation:
        known = _informative_sizes(law, layout, mean)
    elif "treated:size" in mean.terms_left_out and "treated" in terms and _sizes_unrelated(layout):
        known = {"ols": {"treated": law.effect("treated:size") * mean_relative_size(layout)}}
    return known


def informative_size_bias(law: Parameters, layout: Layout) -> float:
    """Return E[n u] / E[n], the mean of u over students less that over schools: size_correlation school_sd times
    E[n z] / E[n], z the normal behind the size (sqrt(log(1 + cv^2)) but for rounding)."""
    drawn = mean_over_sizes(layout, lambda n, z: n * z) / mean_over_sizes(layout, lambda n, _: n)
    return law.size_correlation * drawn * law.school_sd


def mean_relative_size(layout: Layout) -> float:
    """Return the mean over students of (n - mean) / mean, n their school's size: Var(n) / mean^2 where E n = mean."""
    mean = layout.mean_size
    drawn = mean_over_sizes(layout, lambda n, _: n * (n - mean)) / mean_over_sizes(layout, lambda n, _: n)
    return drawn / mean


def _informative_sizes(law: Parameters, layout: Layout, mean: InModel) -> Biases:
    """Return the bias of OLS's intercept where large schools have other effects than small ones."""
    related = law.slope_correlation or law.treated_school_variance_ratio != 1.0 or law.school_sd_resources
    if related or mean.terms_left_out - CENTRED:
        return {}
    return {"ols": {"Intercept": informative_size_bias(law, layout)}}


def _sizes_unrelated(layout: Layout) -> bool:
    """Whether who is treated doesn't depend on the size of the school."""
    return layout.assignment != "first" or layout.random_sizes


def _confounding(
    law: Parameters, layout: Layout, model: Model, mean: InModel, terms: tuple[str, ...]
) -> Biases:
    """Return the biases where a covariate correlates with the school effects; nothing for other models."""
    names = [name for name in ("age", "resources") if name in terms]
    if not names or mean.terms_left_out - PLAIN - CENTRED or law.slope_sd or not layout.balanced:
        return {}
    columns, errors = of_columns(law, layout), of_errors(law, layout, mean.left_out)
    if errors is None or _related(columns, names, mean.terms_left_out):
        return {}
    places = [COLUMNS.index(name) for name in names]
    cross = with_school_effect(law, layout)[places]
    x = Second(columns.total[np.ix_(places, places)], columns.shared[np.ix_(places, places)])
    m = int(layout.mean_size)
    values = {"ols": np.linalg.solve(x.total, cross)}
    if model.random == "1" and m > 1:
        values["likelihood"] = _mixed(x, cross, errors, m)
    biases: Biases = {name: dict(zip(names, map(float, b), strict=True)) for name, b in values.items()}
    if "age" in names and not mean.terms_left_out - CENTRED:
        biases = {name: {**b, "Intercept": -law.age_mean * b["age"]} for name, b in biases.items()}
    return biases


def _related(columns: Second, names: Iterable[str], left_out: Iterable[str]) -> bool:
    """Whether a column that is left out goes with one of the model's: it would change what the model estimates."""
    pairs = [(COLUMNS.index(a), COLUMNS.index(b)) for a in names for b in left_out if b in COLUMNS]
    return any(columns.total[pair] or columns.shared[pair] for pair in pairs)


def _mixed(x: Second, cross: Floats, errors: Second, m: int) -> Floats:
    """Return the bias of the likelihood's maximum, by alternating between coefficients and variances."""
    within, between = x.within(m), x.between(m)
    bias: Floats = np.zeros(len(cross))
    for _ in range(2000):
        deviation = float(errors.within(m) + bias @ within @ bias)
        mean = float(errors.between(m) - 2.0 * bias @ cross + bias @ between @ bias)
        s2, lam = m / (m - 1) * deviation, m * mean
        # The likelihood's boundary, no school variance: both are the variance of all students then.
        if lam < s2:
            s2 = lam = deviation + mean
        left = m * (within / s2 + between / lam)
        before, bias = bias, np.asarray(np.linalg.solve(left, m * cross / lam), dtype=np.float64)
        if np.abs(bias - before).max() <= 1e-13 * np.abs(bias).max():
            break
    return np.asarray(bias, dtype=np.float64)

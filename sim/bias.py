"""Bias by omitted variables in closed form: the limits for many schools.

With a school effect u that correlates with the school part of age (c_a) and with resources (c_r), a method that
weights between- and within-school information solves, for the regressors x = (age, resources),

    [ W / s2 + m B / lam ] bias = m Cov(xbar, u) / lam,

W and B the within and between covariance of x per student and of its school means, s2 and lam the residual
variance and m times the variance of a school mean of the residual. OLS has lam = s2 = 1. The mixed model has the
variances that its own likelihood finds, which depend on its bias: a fixed point. School dummies have m = 0: no bias.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nestbench.sim.batch import Floats
from nestbench.sim.layout import Layout
from nestbench.sim.model import Model

if TYPE_CHECKING:
    from nestbench.sim.random_intercept import RandomIntercept

Biases = dict[str, dict[str, float]]

MIXED = ("reml-z", "ml-z", "mixedlm", "mixedlm-guarded")


def bias_of(law: RandomIntercept, layout: Layout, model: Model, terms: tuple[str, ...]) -> Biases:
    """Return estimator -> term -> bias where it is known and something is biased; `terms` are the model's."""
    known: Biases = {}
    if law.age_confounding or law.resources_confounding:
        known = _confounding(law, layout, terms)
    elif law.size_correlation and not law.treatment_sd:
        known = {"ols": {"Intercept": informative_size_bias(law, layout)}}
    elif law.effect("treated:size") and "treated:size" not in terms and "treated" in terms:
        known = {"ols": {"treated": law.effect("treated:size") * relative_size_variance(layout)}}
    return {name: {t: b for t, b in biases.items() if t in terms} for name, biases in known.items()}


def informative_size_bias(law: RandomIntercept, layout: Layout) -> float:
    """Return E[n u] / E[n] = size_correlation sqrt(log(1 + cv^2)) school_sd: mean over students less mean over
    schools."""
    return law.size_correlation * float(np.sqrt(np.log1p(layout.size_cv**2))) * law.school_sd


def relative_size_variance(layout: Layout) -> float:
    """Return Var(n) / E[n]^2 of the schools' sizes: the student average of (n - mean) / mean."""
    if layout.size_range is not None or layout.size_spread:
        spread = layout.size_spread
        mean = layout.mean_size
        low, high = layout.size_range or (max(1, round(mean * (1 - spread))), round(mean * (1 + spread)))
        return ((high - low + 1) ** 2 - 1) / 12.0 / mean**2
    return layout.size_cv**2 if layout.size_cv else float(np.var(layout.sizes())) / layout.mean_size**2


def _confounding(law: RandomIntercept, layout: Layout, terms: tuple[str, ...]) -> Biases:
    names: list[str] = [name for name in ("age", "resources") if name in terms]
    plain = not any(law.effect(e) for e in ("school_age", "age:resources")) and not law.slope_sd
    if not names or not layout.balanced or not plain or any("group_" in t or "[T.S" in t for t in terms):
        return {}
    m = layout.mean_size
    within, between, cross = _moments(law, m)
    chosen = [("age", "resources").index(name) for name in names]
    within, between, cross = within[np.ix_(chosen, chosen)], between[np.ix_(chosen, chosen)], cross[chosen]
    values = {"ols": _solve(within, between, cross, m, 1.0, 1.0)}
    values |= dict.fromkeys(MIXED, _mixed(law, within, between, cross, m))
    found: Biases = {name: dict(zip(names, map(float, b), strict=True)) for name, b in values.items()}
    if "age" in names:
        found = {name: {**b, "Intercept": -law.age_mean * b["age"]} for name, b in found.items()}
    return found


def _moments(law: RandomIntercept, m: float) -> tuple[Floats, Floats, Floats]:
    """Within covariance (of a deviation, times m - 1 per school over m), that of school means, and their Cov with
    u."""
    within = law.age_sd**2 * (1.0 - law.age_icc)
    part = law.age_sd * np.sqrt(law.age_icc)
    shared = law.age_confounding * law.resources_confounding * part * law.resources_sd
    between = np.array([[part**2 + within / m, shared], [shared, law.resources_sd**2]])
    cross = (
        np.array([law.age_confounding * part, law.resources_confounding * law.resources_sd]) * law.school_sd
    )
    return np.diag([within * (m - 1.0), 0.0]), between, cross


def _solve(within: Floats, between: Floats, cross: Floats, m: float, s2: float, lam: float) -> Floats:
    return np.asarray(np.linalg.solve(within / s2 + m * between / lam, m * cross / lam), dtype=np.float64)


def _mixed(law: RandomIntercept, within: Floats, between: Floats, cross: Floats, m: float) -> Floats:
    bias = np.zeros(len(cross))
    for _ in range(500):
        s2 = law.residual_sd**2 + float(bias @ within @ bias) / max(m - 1.0, 1.0)
        shared = law.school_sd**2 - 2.0 * float(bias @ cross) + float(bias @ between @ bias)
        lam = m * shared + law.residual_sd**2
        bias = _solve(within, between, cross, m, s2, max(lam, s2))
    return bias

"""What is known before any fit: design effects, biases, and the behaviour of OLS tests.

Given X, an OLS test under Gaussian errors with known covariance has an exactly known size (`nestbench.sim.exact`), and
its standard error a known expectation under any errors (`nestbench.sim.expected`). X is random here, so values are
averaged over a fixed set of draws of X, made from a stream of their own. Each average stands beside its Monte Carlo
error; one with an error above `PRECISION` hangs on X so much that it isn't given.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nestbench.sim import exact
from nestbench.sim.batch import Batch, Floats
from nestbench.sim.bias import bias_of
from nestbench.sim.covariance import gaussian
from nestbench.sim.design import Design, design_of
from nestbench.sim.errors import InvalidInput
from nestbench.sim.expected import Expected, expected_of, mean_ratio
from nestbench.sim.layout import Layout
from nestbench.sim.left_out import InModel, columns_used, in_model, reshapes
from nestbench.sim.model import Model
from nestbench.sim.second_moments import of_errors
from nestbench.sim.size_moments import size_ratio
from nestbench.sim.standardised import Standardised, standardised
from nestbench.sim.streams import StreamSource

if TYPE_CHECKING:
    from nestbench.sim.random_intercept import RandomIntercept

TESTS = {
    "ols": ("iid", "t"),
    "ols-cr0-z": ("cr0", "z"),
    "ols-cr1s-z": ("cr1s", "z"),
    "ols-cr1s-t": ("cr1s", "t"),
    "ols-cr2-satt": ("cr2", "satt"),
    "ols-cr3-t": ("cr3", "t"),
}
"""Estimators whose tests are exactly known: kind of variance and reference distribution."""

X_SEED = 19220101
"""Seed of the draws of X, apart from any experiment's."""

BUDGET = 480
"""Draws of X times schools for coverages: 48 draws of 10 schools; with many schools one X is much like another."""

MORE = 10
"""Standard errors, which cost little, are averaged over that many times as many draws, up to `ROWS` students (but
not where formulaic has to make each X)."""

ROWS = 200_000

PRECISION = {"coverage": 0.005, "se_ratio": 0.01}
"""Largest Monte Carlo error of a value over draws of X (of a ratio: relative); a value beyond isn't given."""


def theory_of(law: RandomIntercept, layout: Layout, model: Model | None = None) -> dict[str, Any]:
    """Return what is known of a law under a layout; what isn't known is left out.

    Returns
    -------
    dict
        ``design_effect`` : float, 1 + (E m^2 / E m - 1) rho for schools of m students (Moulton 1986), rho the
        correlation of two errors of one school, effects that the model leaves out among them: the factor on the
        variance of the OLS coefficient of a school-constant column. ``naive_se_ratio`` and ``naive_coverage`` : term
        -> expected standard error of pooled OLS over the true SD, and coverage of its t interval, for the
        school-constant terms. ``se_ratio`` and ``coverage`` : estimator -> term -> the same for every term and every
        OLS method in `TESTS`, for the coefficients that the law's mean has in the model, in the same way in every
        data set (``coefficients`` : term -> value); ``se_ratio_mcse`` and ``coverage_mcse`` : their Monte Carlo
        errors over draws of X. ``bias`` : estimator -> term -> bias in the limit of many schools (`bias_of`).
    """
    key = repr((law, layout, model, X_SEED))
    if key not in _KNOWN:
        if len(_KNOWN) > 500:
            _KNOWN.clear()
        _KNOWN[key] = _theory_of(law, layout, model or default_model(layout))
    return dict(_KNOWN[key])


_KNOWN: dict[str, dict[str, Any]] = {}


def default_model(layout: Layout) -> Model:
    """Return the model whose theory is given when none is named: both student-level columns, resources, treatment."""
    varies = 0.0 < layout.treated_part < 1.0
    return Model(formula="grade ~ age + gender + resources" + (" + treated" if varies else ""))


def design_effect(ratio: float, correlation: float) -> float:
    """Return 1 + (E m^2 / E m - 1) correlation, Moulton's factor for a school-constant regressor; `ratio` is
    E m^2 / E m."""
    return 1.0 + (ratio - 1.0) * correlation


def _theory_of(law: RandomIntercept, layout: Layout, model: Model) -> dict[str, Any]:
    few, many = _draws(layout)
    streams = StreamSource(X_SEED, "theory")
    try:
        design = law.draw(layout, streams, range(1)).once(design_of, model)
        drawn = law.mean_of(layout, streams, range(few if design.rhs_products is None else many))
        x = standardised(design, drawn.batch)
    except InvalidInput:  # a formula that can't be had in every data set: nothing is known, the run says why
        return {}
    mean = in_model(drawn.effects, x, design)
    if not explains(design, "grade") or reshapes(mean, design):
        return {}
    known = _design_effect(law, layout, mean)
    bias = bias_of(law, layout, model, mean, design.terms) if x.full_rank else {}
    return known | ({"bias": bias} if bias else _ols_tests(law, layout, model, drawn.batch, x, mean, few))


def _draws(layout: Layout) -> tuple[int, int]:
    """Return how many draws of X coverages and standard errors are averaged over."""
    few = int(np.clip(BUDGET // layout.schools, 4, 60))
    rows = max(1.0, layout.schools * layout.mean_size)
    return few, max(few, min(MORE * few, int(ROWS / rows)))


def explains(design: Design, outcome: str) -> bool:
    """Whether a model's outcome is the column `outcome` as it is, and its terms don't use it."""
    return design.response == outcome and outcome not in columns_used(design)


def _design_effect(law: RandomIntercept, layout: Layout, mean: InModel) -> dict[str, Any]:
    """``design_effect``, where sizes and errors don't depend on each other and it is the same for every column."""
    related = law.age_confounding or law.resources_confounding or law.size_correlation
    arms = law.treatment_sd or law.treated_variance_ratio != 1.0 or law.treated_school_variance_ratio != 1.0
    uneven = law.missing or law.school_sd_resources or law.slope_sd_resources
    if related or arms or uneven or ("treated" in mean.terms_left_out and layout.assignment == "students"):
        return {}
    classes = law.class_icc or "teacher" in mean.terms_left_out
    errors = None if classes and not layout.balanced else of_errors(law, layout, mean.left_out)
    if errors is None:
        return {}
    return {"design_effect": design_effect(size_ratio(layout), float(errors.shared / errors.total))}


def _ols_tests(
    law: RandomIntercept, layout: Layout, model: Model, batch: Batch, x: Standardised, mean: InModel, few: int
) -> dict[str, Any]:
    """Return what is known of the OLS tests.

    Nothing where the errors' covariance isn't known, the model leaves out an effect that matters, the design is rank
    deficient in some draw, or fewer than three schools leave nothing to compare. ``coverage`` needs normal errors.
    """
    extra = _left_out(law, layout, batch, mean)
    covariance = law.covariance(layout, batch, slice(0, batch.rows))
    if extra is None or covariance is None:
        return {}
    # the columns and the errors don't depend on the effects that the model holds: neither do the tests
    errors = replace(law, effects={effect.term: effect.value for effect in mean.left_out})
    key = repr((errors, layout, model, X_SEED))
    if key not in _AVERAGED:
        if len(_AVERAGED) > 500:
            _AVERAGED.clear()
        whole = np.concatenate([covariance[0], extra]), covariance[1]
        _AVERAGED[key] = averages(batch, x, whole, model, few * gaussian(law))
    return tables(_AVERAGED[key], mean)


Averages = dict[str, dict[str, dict[str, tuple[float, float]]]]
"""``se_ratio``, ``coverage``, and the same under ``naive_`` -> estimator -> term -> average over draws of X and its
Monte Carlo error."""

_AVERAGED: dict[str, Averages] = {}


def averages(
    batch: Batch, x: Standardised, covariance: tuple[Floats, Floats], model: Model, few: int
) -> Averages:
    """Return averages for OLS over draws of X, given the errors' covariance B' [q, N], D [N]; coverages are over the
    first `few` draws (0: not known)."""
    if np.diff(batch.replication_offsets).min() < 3 or not x.full_rank:
        return {}
    terms = batch.once(design_of, model).terms
    found = {"se_ratio": _se_ratios(expected_of(batch, x, *covariance), terms)}
    if few:
        tests = [_tests_of_draw(batch, r, x, *covariance, model.level) for r in range(few)]
        found["coverage"] = _coverages(tests, terms)
    constant = [t for t, row in zip(terms, x.rows, strict=True) if _constant_in_schools(row, batch)]
    for key, of in list(found.items()):
        found[f"naive_{key}"] = {"ols": {t: v for t, v in of.get("ols", {}).items() if t in constant}}
    return found


def tables(found: Averages, mean: InModel) -> dict[str, Any]:
    """Return the tables of `theory_of`: what is precise, for coefficients that are the same in every data set."""
    if not found:
        return {}
    known: dict[str, Any] = {"coefficients": dict(mean.coefficients)}
    for key, values in found.items():
        scaled = key.endswith("se_ratio")
        kept = {
            name: {t: v for t, v in of.items() if t in mean.coefficients and _precise(scaled, *v)}
            for name, of in values.items()
        }
        table = {name: {t: v[0] for t, v in of.items()} for name, of in kept.items() if of}
        if key.startswith("naive_"):
            known[key] = table.get("ols", {})
        else:
            known[key] = table
            known[f"{key}_mcse"] = {name: {t: v[1] for t, v in of.items()} for name, of in kept.items() if of}
    return known


def _se_ratios(expected: Expected, names: tuple[str, ...]) -> dict[str, dict[str, tuple[float, float]]]:
    return {
        name: {
            t: mean_ratio(expected.estimates[kind][:, j], expected.variance[:, j])
            for j, t in enumerate(names)
        }
        for name, (kind, _) in TESTS.items()
        if kind in expected.estimates
    }


def _coverages(
    draws: list[dict[str, list[exact.Exact]]], names: tuple[str, ...]
) -> dict[str, dict[str, tuple[float, float]]]:
    found = {}
    for name in [n for n in TESTS if all(n in draw for draw in draws)]:
        sizes = np.array([[test.size for test in draw[name]] for draw in draws])
        spread = sizes.std(axis=0, ddof=1) / np.sqrt(len(sizes)) if len(sizes) > 1 else np.zeros(len(names))
        means = 1.0 - sizes.mean(axis=0)
        found[name] = {t: (float(means[j]), float(spread[j])) for j, t in enumerate(names)}
    return found


def _precise(relative: bool, value: float, error: float) -> bool:
    """Whether a value is finite and its Monte Carlo error within `PRECISION`."""
    allowed = PRECISION["se_ratio"] * value if relative else PRECISION["coverage"]
    return bool(np.isfinite(value)) and error <= allowed


def _tests_of_draw(
    batch: Batch, r: int, x: Standardised, factors: Floats, variance: Floats, level: float
) -> dict[str, list[exact.Exact]]:
    """Return what is known of every test in `TESTS` for each term, given data set r and its X."""
    rows = batch.replication(r).rows
    first, last = batch.replication_offsets[r : r + 2]
    offsets = batch.school_offsets[first : last + 1] - rows.start
    errors = exact.errors_of(x.rows[:, rows], factors[:, rows], variance[rows], offsets)
    naive = exact.naive_tests(errors, level, x.contrasts)
    cr3 = exact.has_cr3(errors)
    robust = {n: test for n, test in TESTS.items() if test[0] != "iid" and (cr3 or test[0] != "cr3")}
    tests = exact.robust_tests(errors, list(robust.values()), level, x.contrasts)
    found = dict(zip(robust, tests, strict=True))
    return found if naive is None else found | {"ols": naive}


def _left_out(law: RandomIntercept, layout: Layout, batch: Batch, mean: InModel) -> Floats | None:
    """Return what effects outside the model add to the errors, as further rows of B' [.., N]; None if not known.

    Resources left out are one more normal school effect, unless who is treated, who drops out or how much schools
    vary depends on them; any other effect left out makes errors that aren't normal, or that depend on X.
    """
    if not mean.left_out:
        return np.zeros((0, batch.rows))
    plain = law.resources_shape == "normal" and layout.assignment != "pairs"
    apart = not (law.missing_resources or law.school_sd_resources or law.slope_sd_resources)
    if mean.terms_left_out != {"resources"} or not plain or not apart:
        return None
    return np.full((1, batch.rows), law.effect("resources") * law.resources_sd)


def _constant_in_schools(values: Floats, batch: Batch) -> bool:
    starts = batch.school_offsets[:-1]
    low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    return bool((low == high).all())

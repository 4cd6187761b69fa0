"""What is known before any fit: design effects, biases, and the exact behaviour of OLS tests.

Given X, an OLS test under Gaussian errors with known covariance has an exactly known size (`nestbench.sim.exact`).
X is random here, so its values are averaged over a fixed set of draws of X, made from a stream of their own: the
average moves by less than .002 with another set for balanced schools (tests/sim/test_theory.py). Where single
schools dominate, X decides so much that a few draws say little: such a coverage isn't given (`PRECISION`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nestbench.sim import exact
from nestbench.sim.batch import Batch, Category, Floats
from nestbench.sim.bias import bias_of
from nestbench.sim.covariance import gaussian
from nestbench.sim.design import design_of
from nestbench.sim.layout import Layout
from nestbench.sim.model import Model
from nestbench.sim.sizes import draw_sizes
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
"""Draws of X times schools: 48 draws of 10 schools; with many schools one X is much like another."""


PRECISION = 0.005
"""Largest standard error of a coverage over draws of X: a value that depends more on X than that isn't given."""


def theory_of(law: RandomIntercept, layout: Layout, model: Model | None = None) -> dict[str, Any]:
    """Return what is known of a law under a layout; what isn't known is left out.

    Returns
    -------
    dict
        ``design_effect`` : float, 1 + (Var(m)/mean(m) + mean(m) - 1) icc for schools of sizes m (Moulton 1986): the
        factor on the variance of a school-constant coefficient. ``naive_se_ratio`` and ``naive_coverage`` : term ->
        expected standard error of pooled OLS over the true SD, and coverage of its t interval, for the
        school-constant terms. ``se_ratio`` and ``coverage`` : estimator -> term -> the same for every term and every
        OLS method in `TESTS`. ``bias`` : estimator -> term -> bias in the limit of many schools (`bias_of`).
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


def design_effect(sizes: Any, icc: float) -> float:
    """Return 1 + (Var(m)/mean(m) + mean(m) - 1) icc, Moulton's factor for a school-constant regressor."""
    mean = float(np.mean(sizes))
    return 1.0 + (float(np.var(sizes)) / mean + mean - 1.0) * icc


def _theory_of(law: RandomIntercept, layout: Layout, model: Model) -> dict[str, Any]:
    sizes, _ = draw_sizes(layout, StreamSource(X_SEED, "sizes"), range(400 if layout.random_sizes else 1))
    known: dict[str, Any] = {"design_effect": design_effect(sizes, law.icc)}
    draws = int(np.clip(BUDGET // layout.schools, 3, 60))
    batch = law.draw(layout, StreamSource(X_SEED, "theory"), range(draws))
    bias = bias_of(law, layout, model, batch.once(design_of, model).terms)
    if bias:
        return known | {"bias": bias}
    return known | with_naive(ols_tests(law, layout, batch, model))


def with_naive(tests: dict[str, Any]) -> dict[str, Any]:
    """Return the tables of `tables_of` with those of naive OLS for the school-constant terms beside them."""
    shared = tests.get("school_constant", [])
    tables = {name: tests[name] for name in ("se_ratio", "coverage") if name in tests}
    return tables | {f"naive_{name}": _naive(table, shared) for name, table in tables.items()}


def _naive(table: Mapping[str, Mapping[str, float]], shared: list[str]) -> dict[str, float]:
    return {term: table["ols"][term] for term in shared if term in table.get("ols", {})}


def ols_tests(law: RandomIntercept, layout: Layout, batch: Batch, model: Model) -> dict[str, Any]:
    """Return ``coverage`` and ``se_ratio`` by estimator and term, and the ``school_constant`` terms.

    Empty where the errors' covariance isn't known, the model leaves out an effect that matters, the design is rank
    deficient in some draw, or fewer than three schools leave nothing to compare. ``coverage`` needs normal errors.
    """
    x = batch.once(design_of, model).fixed(batch)
    results = []
    for r in range(batch.size):
        found = _tests_of_draw(law, layout, batch, x, r, model.level)
        if not found:
            return {}
        results.append(found)
    return tables_of(results, batch, model, gaussian(law))


def tables_of(
    results: list[dict[str, list[exact.Exact]]], batch: Batch, model: Model, normal: bool
) -> dict[str, Any]:
    """Return ``se_ratio``, with normal errors ``coverage``, and ``school_constant``, averaged over draws of X."""
    design = batch.once(design_of, model)
    x = design.fixed(batch)
    names = [name for name in TESTS if all(name in result for result in results)]
    tables = {"se_ratio": {n: _by_term(design.terms, [r[n] for r in results], _se_ratio) for n in names}}
    if normal:
        tables["coverage"] = {n: _by_term(design.terms, [r[n] for r in results], _coverage) for n in names}
    tables = {key: {n: _known(values) for n, values in table.items()} for key, table in tables.items()}
    tables = {key: {n: values for n, values in table.items() if values} for key, table in tables.items()}
    constant = [t for j, t in enumerate(design.terms) if _constant_in_schools(x[j], batch)]
    return {**tables, "school_constant": constant}


def _tests_of_draw(
    law: RandomIntercept, layout: Layout, batch: Batch, x: Floats, r: int, level: float
) -> dict[str, list[exact.Exact]]:
    rows = batch.replication(r).rows
    covariance = law.covariance(layout, batch, rows)
    left_out = _left_out(law, batch, rows, x[:, rows])
    if covariance is None or left_out is None:
        return {}
    return exact_tests(batch, r, x, np.concatenate([covariance[0], left_out]), covariance[1], level)


def exact_tests(
    batch: Batch, r: int, x: Floats, factors: Floats, variance: Floats, level: float
) -> dict[str, list[exact.Exact]]:
    """Return what is known of every test in `TESTS` for each term, given data set r of a batch and its X [p, N]."""
    rows = batch.replication(r).rows
    first, last = batch.replication_offsets[r : r + 2]
    offsets = batch.school_offsets[first : last + 1] - rows.start
    if len(offsets) < 4 or np.linalg.matrix_rank(x[:, rows].T) < len(x):
        return {}
    errors = exact.errors_of(x[:, rows], factors, variance, offsets)
    naive = exact.naive_tests(errors, level)
    cr3 = exact.has_cr3(errors)
    robust = {n: test for n, test in TESTS.items() if test[0] != "iid" and (cr3 or test[0] != "cr3")}
    found = dict(zip(robust, exact.robust_tests(errors, list(robust.values()), level), strict=True))
    if naive is not None:
        found |= {name: naive for name, (kind, _) in TESTS.items() if kind == "iid"}
    return {name: found[name] for name in TESTS if name in found}


def _left_out(law: RandomIntercept, batch: Batch, rows: slice, x: Floats) -> Floats | None:
    """Return what effects outside the model add to the errors, as further rows of B' [.., n]; None if not known.

    Resources left out are one more normal school effect; any other effect left out makes the errors depend on X.
    """
    extra = np.zeros((0, x.shape[1]))
    for name in [n for n, effect in law.effects.items() if effect and n != "Intercept"]:
        column = _effect_column(batch, rows, name)
        if column is None:
            return None
        fitted = x.T @ np.linalg.lstsq(x.T, column, rcond=None)[0]
        if np.allclose(fitted, column, atol=1e-8 * (1.0 + np.abs(column).max())):
            continue
        if name != "resources" or law.resources_shape != "normal" or law.missing_resources:
            return None
        extra = np.full((1, x.shape[1]), law.effect(name) * law.resources_sd)
    return extra


def _effect_column(batch: Batch, rows: slice, name: str) -> Floats | None:
    """Return the column an effect acts on, or None for the school's mean age (unseen where students are missing)."""
    product = np.ones(rows.stop - rows.start)
    for part in name.split(":"):
        column = batch.columns.get(part)
        if column is None:
            return None
        product = product * (column.codes if isinstance(column, Category) else column)[rows]
    return product


def _by_term(terms: tuple[str, ...], draws: list[list[exact.Exact]], summary: Any) -> dict[str, float]:
    return {term: summary([each[j] for each in draws]) for j, term in enumerate(terms)}


def _known(values: Mapping[str, float]) -> dict[str, float]:
    return {term: value for term, value in values.items() if np.isfinite(value)}


def _coverage(draws: list[exact.Exact]) -> float:
    """The mean over draws of X, or NaN where their spread leaves it an error above `PRECISION`."""
    sizes = np.array([d.size for d in draws])
    if len(sizes) > 1 and sizes.std(ddof=1) / np.sqrt(len(sizes)) > PRECISION:
        return float("nan")
    return 1.0 - float(sizes.mean())


def _se_ratio(draws: list[exact.Exact]) -> float:
    expected = np.mean([d.expected_variance for d in draws])
    return float(np.sqrt(expected / np.mean([d.variance for d in draws])))


def _constant_in_schools(values: Floats, batch: Batch) -> bool:
    starts = batch.school_offsets[:-1]
    low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    return bool((low == high).all())

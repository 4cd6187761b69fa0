"""What is known before any fit: design effects, biases, and the exact behaviour of OLS tests.

Given X, an OLS test under Gaussian errors with known covariance has an exactly known size (`nestbench.sim.exact`). X is
random here, so its values are averaged over a fixed set of draws of X, made from a stream of their own: no error is
drawn, and the average moves by less than .001 with another set (tests/sim/test_theory.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nestbench.sim import exact
from nestbench.sim.batch import Batch, Floats
from nestbench.sim.design import design_of
from nestbench.sim.model import Model
from nestbench.sim.streams import StreamSource

if TYPE_CHECKING:
    from nestbench.sim.layout import Layout
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


def theory_of(law: RandomIntercept, layout: Layout, model: Model | None = None) -> dict[str, Any]:
    """Return what is known of a law under a layout.

    Returns
    -------
    dict
        ``design_effect`` : float, 1 + (Var(m)/mean(m) + mean(m) - 1) icc for schools of sizes m (Moulton 1986): the
        factor on the variance of a school-constant coefficient. ``naive_se_ratio`` and ``naive_coverage`` : term ->
        expected standard error of pooled OLS over the true SD, and coverage of its t interval, for the
        school-constant terms. ``se_ratio`` and ``coverage`` : estimator -> term -> the same for every term and every
        OLS method in `TESTS`. What isn't known is left out.
    """
    sizes = layout.sizes()
    known: dict[str, Any] = {"design_effect": design_effect(sizes, law.icc)}
    tests = ols_tests(law, layout, model or default_model(layout))
    if tests:
        shared = tests["school_constant"]
        known |= {
            "se_ratio": tests["se_ratio"],
            "coverage": tests["coverage"],
            "naive_se_ratio": {term: tests["se_ratio"]["ols"][term] for term in shared},
            "naive_coverage": {term: tests["coverage"]["ols"][term] for term in shared},
        }
    return known


def default_model(layout: Layout) -> Model:
    """Return the model whose theory is given when none is named: both student-level columns, resources, treatment."""
    varies = 0 < layout.treated_schools < layout.schools
    return Model(formula="grade ~ age + gender + resources" + (" + treated" if varies else ""))


def design_effect(sizes: Any, icc: float) -> float:
    """Return 1 + (Var(m)/mean(m) + mean(m) - 1) icc, Moulton's factor for a school-constant regressor."""
    mean = float(np.mean(sizes))
    return 1.0 + (float(np.var(sizes)) / mean + mean - 1.0) * icc


def ols_tests(law: RandomIntercept, layout: Layout, model: Model) -> dict[str, Any]:
    """Return ``coverage`` and ``se_ratio`` by estimator and term, and the ``school_constant`` terms.

    Empty where the design can't be drawn or is rank deficient, or where a single school leaves nothing to compare.
    """
    draws = int(np.clip(BUDGET // layout.schools, 3, 60))
    batch = law.draw(layout, StreamSource(X_SEED, "theory"), range(draws))
    design = batch.once(design_of, model)
    x = design.fixed(batch)
    if layout.schools < 3 or any(_deficient(x[:, batch.replication(r).rows]) for r in range(draws)):
        return {}
    results = [_tests_of_draw(law, batch, x, r, model.level) for r in range(draws)]
    names = [name for name in TESTS if all(name in result for result in results)]
    return {
        "coverage": {name: _by_term(design.terms, [r[name] for r in results], _coverage) for name in names},
        "se_ratio": {name: _by_term(design.terms, [r[name] for r in results], _se_ratio) for name in names},
        "school_constant": [t for j, t in enumerate(design.terms) if _constant_in_schools(x[j], batch)],
    }


def _tests_of_draw(
    law: RandomIntercept, batch: Batch, x: Floats, r: int, level: float
) -> dict[str, list[exact.Exact]]:
    rows = batch.replication(r).rows
    first, last = batch.replication_offsets[r : r + 2]
    offsets = batch.school_offsets[first : last + 1] - rows.start
    factors, variance = law.covariance(batch, rows)
    errors = exact.errors_of(x[:, rows], factors, variance, offsets)
    found: dict[str, list[exact.Exact]] = {}
    for name, (kind, reference) in TESTS.items():
        each = [_test(errors, j, kind, reference, level) for j in range(len(x))]
        if all(e is not None for e in each):
            found[name] = [e for e in each if e is not None]
    return found


def _test(errors: exact.Errors, term: int, kind: str, reference: str, level: float) -> exact.Exact | None:
    if kind == "iid":
        return exact.naive_test(errors, term, level)
    return exact.robust_test(errors, term, kind, reference, level)


def _by_term(terms: tuple[str, ...], draws: list[list[exact.Exact]], summary: Any) -> Mapping[str, float]:
    return {term: summary([each[j] for each in draws]) for j, term in enumerate(terms)}


def _coverage(draws: list[exact.Exact]) -> float:
    return 1.0 - float(np.mean([d.size for d in draws]))


def _se_ratio(draws: list[exact.Exact]) -> float:
    expected = np.mean([d.expected_variance for d in draws])
    return float(np.sqrt(expected / np.mean([d.variance for d in draws])))


def _deficient(x: Floats) -> bool:
    return bool(np.linalg.matrix_rank(x.T) < len(x))


def _constant_in_schools(values: Floats, batch: Batch) -> bool:
    starts = batch.school_offsets[:-1]
    low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    return bool((low == high).all())

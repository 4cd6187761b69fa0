"""Values against plain-Python definitions, MCSEs against closed forms and the jackknife."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.reports.measures.declared import MEASURES, measure_named
from nestbench.reports.measures.draws import Draws, draws_of
from nestbench.reports.measures.measure import FAILURES, Measure, evaluate
from nestbench.sim.errors import InvalidInput
from tests.oracles.measures import Row, oracle
from tests.reports.synthetic import estimates_of, simple_estimates

TH = 0.1
TRUTH = {"x0": TH, "x1": TH}
NAMES = [measure.name for measure in MEASURES]
SMOOTH = [m.name for m in MEASURES if m.influence is not None]
JACKKNIFED = [name for name in SMOOTH if name != "be_coverage"]
"""Bias-eliminated coverage jumps with the mean it compares with: the jackknife isn't consistent for it."""


def noisy(**options: Any) -> Estimates:
    return simple_estimates(truth=TH, **options)


def draws(
    estimates: Estimates, truth: dict[str, object] | None = None, measure: Measure | None = None
) -> Draws:
    columns = measure.columns if measure else frozenset()
    return next(iter(draws_of(estimates, TRUTH if truth is None else truth, 0.95, columns)))  # type: ignore[arg-type]


def rows_of(estimates: Estimates, term: int, truth: float) -> list[Row]:
    keep = np.flatnonzero(estimates.usable[:, term])
    return [
        {
            "t": estimates.estimate[i, term],
            "s": estimates.std_error[i, term],
            "l": estimates.lower[i, term],
            "u": estimates.upper[i, term],
            "p": estimates.p_value[i, term],
            "th": truth,
        }
        for i in keep
    ]


@pytest.fixture(scope="module")
def some_failed() -> Estimates:
    status = np.where(np.arange(200) % 9 == 4, FitStatus.NOT_CONVERGED, FitStatus.OK)
    return noisy(status=status)


def test_names_are_unique() -> None:
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_value_equals_the_plain_definition(name: str, some_failed: Estimates) -> None:
    measure = measure_named(name)
    value, _, n = evaluate(measure, draws(some_failed, measure=measure))
    for k in range(2):
        rows = rows_of(some_failed, k, TH)
        assert value[k] == pytest.approx(oracle(name, rows, 0.05, 200), rel=1e-12, abs=1e-14)
    whole = FAILURES in measure.needs or name == "usable_share"
    usable = len(rows_of(some_failed, 0, TH))
    assert usable == 178
    if name not in ("type_s", "exaggeration"):
        assert list(n) == [200 if whole else usable] * 2


@pytest.mark.parametrize("name", JACKKNIFED)
def test_mcse_agrees_with_the_jackknife_of_the_same_function(name: str) -> None:
    estimates = noisy(seed=3, reps=700)
    measure, whole = measure_named(name), draws(noisy(seed=3, reps=700))
    _, mcse, _ = evaluate(measure, whole)
    left_out = []
    for j in range(whole.n):
        keep = np.arange(whole.n) != j
        part = Draws(
            whole.terms,
            whole.replications[keep],
            whole.truth,
            whole.estimate[:, keep],
            whole.std_error[:, keep],
            whole.lower[:, keep],
            whole.upper[:, keep],
            whole.p_value[:, keep],
            whole.df[:, keep],
            level=whole.level,
            attempted=whole.attempted,
            null=whole.null,
        )
        left_out.append(evaluate(measure, part)[0])
    values, k = np.array(left_out), estimates.size
    jackknife = np.sqrt((k - 1) / k * ((values - values.mean(axis=0)) ** 2).sum(axis=0))
    np.testing.assert_allclose(mcse, jackknife, rtol=0.03)


@pytest.mark.parametrize("name", SMOOTH)
def test_influence_values_average_to_zero(name: str) -> None:
    measure = measure_named(name)
    assert measure.influence is not None
    found = measure.influence(draws(noisy()))
    scale = np.abs(found).max(axis=-1)
    np.testing.assert_allclose(found.mean(axis=-1) / np.where(scale > 0, scale, 1), 0, atol=1e-12)


def test_mcse_closed_forms() -> None:
    d = draws(noisy(seed=5, reps=300))
    k, t, v, error = d.n, d.estimate, d.std_error**2, d.estimate - TH
    mse, model = (error**2).mean(1), np.sqrt(v.mean(1))
    forms = {
        "bias": error.std(axis=1, ddof=1) / np.sqrt(k),
        "mse": np.sqrt(((error**2 - mse[:, None]) ** 2).sum(1) / (k * (k - 1))),
        "model_se": np.sqrt(v.var(axis=1, ddof=1) / (4 * k * model**2)),
        "interval_width": (d.upper - d.lower).std(axis=1, ddof=1) / np.sqrt(k),
    }
    for name, form in forms.items():
        np.testing.assert_allclose(evaluate(measure_named(name), d)[1], form, rtol=1e-12)
    for name in ("coverage", "rejection", "miss_below", "be_coverage"):
        share, mcse, _ = evaluate(measure_named(name), d)
        np.testing.assert_allclose(mcse, np.sqrt(share * (1 - share) / k), rtol=1e-12)
    assert t.shape == (2, 300)


def test_normal_theory_forms_hold_for_normal_estimates() -> None:
    rng = np.random.default_rng(11)
    reps = 20000
    found = estimates_of(rng.standard_normal((reps, 1)), np.sqrt(rng.chisquare(9, (reps, 1)) / 9), ["x0"])
    d = draws(found, {"x0": 0.0})
    s, v = d.estimate.std(ddof=1), d.std_error**2
    model = np.sqrt(v.mean())
    _, empirical, _ = evaluate(measure_named("empirical_se"), d)
    _, relative, _ = evaluate(measure_named("se_error"), d)
    expected = 100 * (model / s) * np.sqrt(v.var(ddof=1) / (4 * reps * model**4) + 1 / (2 * (reps - 1)))
    assert empirical[0] == pytest.approx(s / np.sqrt(2 * (reps - 1)), rel=0.03)
    assert relative[0] == pytest.approx(expected, rel=0.03)


def test_median_mcse_is_a_scaled_gap_of_order_statistics() -> None:
    """With 401 values: those 13 ranks beside the middle (1.3 SDs of 10.0), 26 apart."""
    rng = np.random.default_rng(2)
    reps = 401
    t = rng.standard_normal((reps, 1))
    d = draws(estimates_of(t, np.ones_like(t), ["x0"]), {"x0": 0.0})
    ordered = np.sort(t[:, 0])
    expected = (ordered[200 + 13] - ordered[200 - 13]) * np.sqrt(0.25 * 402 / (26 * 27))
    assert evaluate(measure_named("median_bias"), d)[1][0] == pytest.approx(expected, rel=1e-12)


@settings(max_examples=15, deadline=None)
@given(seed=some.integers(0, 10_000))
def test_order_of_replications_does_not_matter(seed: int) -> None:
    estimates = noisy(seed=seed, reps=60)
    order = np.random.default_rng(seed).permutation(60)
    shuffled = estimates_of(estimates.estimate[order], estimates.std_error[order], estimates.terms)
    for measure in MEASURES:
        one, other = draws(estimates, measure=measure), draws(shuffled, measure=measure)
        for a, b in zip(evaluate(measure, one)[:2], evaluate(measure, other)[:2], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_each_measure_has_its_own_n() -> None:
    estimates = noisy(reps=100)
    estimates.p_value[:40, 1] = np.nan
    estimates.lower[:10, 1] = np.nan
    counts = {}
    for measure in MEASURES:
        for d in draws_of(estimates, TRUTH, 0.95, measure.columns):
            if "x1" in d.terms:
                counts[measure.name] = int(evaluate(measure, d)[2][d.terms.index("x1")])
    assert counts["bias"] == 100
    assert counts["coverage"] == 90
    assert counts["rejection"] == 60


def test_infinite_intervals_cover_and_have_no_mean_width() -> None:
    estimates = noisy(reps=50)
    estimates.lower[:3], estimates.upper[:3] = -np.inf, np.inf
    d = draws(estimates)
    assert np.isinf(evaluate(measure_named("interval_width"), d)[0]).all()
    assert np.isfinite(evaluate(measure_named("median_width"), d)[0]).all()
    before = evaluate(measure_named("coverage"), draws(noisy(reps=50)))[0]
    assert (evaluate(measure_named("coverage"), d)[0] >= before).all()


def test_one_replication_has_values_but_no_mcse() -> None:
    d = draws(noisy(reps=1))
    value, mcse, n = evaluate(measure_named("bias"), d)
    assert np.isfinite(value).all()
    assert np.isnan(mcse).all()
    assert list(n) == [1, 1]
    assert np.isnan(evaluate(measure_named("empirical_se"), d)[0]).all()


def test_unknown_measure_suggests() -> None:
    with pytest.raises(InvalidInput, match="Did you mean 'coverage'"):
        measure_named("coverge")

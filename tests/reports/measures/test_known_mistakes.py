"""Mistakes found in published tools, each as a test that it isn't made here."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nestbench.estimators.estimates import FitStatus
from nestbench.reports.comparing.grades import Grade, grade
from nestbench.reports.measures.declared import measure_named
from nestbench.reports.measures.draws import draws_of
from nestbench.reports.measures.measure import evaluate
from nestbench.reports.measures.performance import performance_of_cell
from nestbench.sim.observed.model import Model
from tests.reports.synthetic import estimates_of, simple_estimates

MODEL = Model("y ~ x0 + x1")


def measured(estimates, truth, name, term="x0"):  # type: ignore[no-untyped-def]
    table = performance_of_cell({"m": estimates}, truth, MODEL)
    row = table[(table["measure"] == name) & (table["term"] == term)]
    return row.iloc[0] if len(row) else None


def test_rmse_mcse_is_right_at_zero_bias() -> None:
    """A jackknife with K in one place and K - 1 in the other is 21 % too large here."""
    rng = np.random.default_rng(1)
    studies, reps = 4000, 50
    t = rng.standard_normal((studies, reps))
    values = np.sqrt((t**2).mean(axis=1))
    found = estimates_of(t.T, np.ones_like(t.T), [f"x{i}" for i in range(studies)])
    d = next(iter(draws_of(found, {f"x{i}": 0.0 for i in range(studies)}, 0.95)))
    _, mcse, _ = evaluate(measure_named("rmse"), d)
    assert mcse.mean() / values.std(ddof=1) == pytest.approx(1.0, abs=0.06)


def test_relative_bias_mcse_is_never_negative() -> None:
    estimates = simple_estimates(truth=-0.5)
    row = measured(estimates, {"x0": -0.5, "x1": -0.5}, "relative_bias")
    assert row.mcse > 0
    assert row.value == pytest.approx(float((estimates.estimate[:, 0] / -0.5 - 1).mean()))


@pytest.mark.parametrize("side", ["lower", "upper", "fixed"])
def test_bias_eliminated_coverage_with_one_sided_or_fixed_limits(side: str) -> None:
    """The limits themselves are compared with the mean; no symmetric half-width is assumed."""
    estimates = simple_estimates()
    if side == "lower":
        estimates.upper[:] = np.inf
    elif side == "upper":
        estimates.lower[:] = -np.inf
    else:
        estimates.lower[:], estimates.upper[:] = 0.4, 0.45
    mean = estimates.estimate[:, 0].mean()
    expected = ((estimates.lower[:, 0] <= mean) & (mean <= estimates.upper[:, 0])).mean()
    assert measured(estimates, {"x0": 0.5}, "be_coverage").value == expected


def test_bias_mcse_uses_errors_when_the_truth_varies() -> None:
    """With th_i of SD 3 and an exact estimator, sd(t) would give an MCSE 30 times too large."""
    rng = np.random.default_rng(4)
    truth = rng.normal(0, 3, 500)
    t = truth[:, None] + rng.normal(0, 0.1, (500, 1))
    estimates = estimates_of(t, np.full_like(t, 0.1), ["x0"])
    row = measured(estimates, {"x0": truth}, "bias")
    assert row.mcse == pytest.approx((t[:, 0] - truth).std(ddof=1) / np.sqrt(500))
    assert row.value == pytest.approx((t[:, 0] - truth).mean())


def test_a_truth_array_is_indexed_by_replication_number() -> None:
    truth = np.arange(10.0)
    t = truth[[7, 2, 5]][:, None] + 0.25
    estimates = estimates_of(t, np.ones_like(t), ["x0"], replications=np.array([7, 2, 5]))
    assert measured(estimates, {"x0": truth}, "bias").value == pytest.approx(0.25)


def test_bias_is_signed_not_a_mean_absolute_error() -> None:
    t = np.array([[1.0], [-1.0], [1.0], [-1.0]])
    assert measured(estimates_of(t, np.ones_like(t), ["x0"]), {"x0": 0.0}, "bias").value == 0.0


def test_failures_stay_in_view() -> None:
    """A failed fit leaves neither the attempts nor the statuses, and counts as a miss in the bound."""
    status = np.where(np.arange(200) < 50, FitStatus.FAILED, FitStatus.OK)
    estimates, truth = simple_estimates(status=status), {"x0": 0.5, "x1": 0.5}
    over_usable, bound = (
        measured(estimates, truth, "coverage"),
        measured(estimates, truth, "coverage_bound"),
    )
    assert (over_usable.n, over_usable.n_attempted) == (150, 200)
    assert bound.n == 200
    assert bound.value == pytest.approx(over_usable.value * 150 / 200)
    rejection = measured(estimates, truth, "rejection")
    assert measured(estimates, truth, "rejection_bound").value == pytest.approx(rejection.value * 0.75)
    assert measured(estimates, truth, "share_failed", "(fit)").value == 0.25
    assert measured(estimates, truth, "usable_share").value == 0.75


def test_no_bounds_where_nothing_failed() -> None:
    table = performance_of_cell({"m": simple_estimates()}, {"x0": 0.5, "x1": 0.5}, MODEL)
    assert not table["measure"].str.endswith("_bound").any()


def test_numbers_of_unusable_fits_never_enter() -> None:
    status = np.where(np.arange(200) % 2 == 0, FitStatus.NOT_CONVERGED, FitStatus.OK)
    estimates = simple_estimates(status=status)
    estimates.estimate[::2] = 1e9
    assert abs(measured(estimates, {"x0": 0.5}, "bias").value) < 1


def test_a_rejection_rate_of_60_percent_is_not_robust() -> None:
    """A verdict by p(|z|) of the rate called .60 at alpha .05 robust."""
    for n in (20, 100, 1000, 100_000):
        assert grade(1 - 0.60, n, 0.95) is Grade.FAILS
    assert grade(0.95, 10_000, 0.95) is Grade.HOLDS


def test_the_rate_and_not_its_significance_is_judged() -> None:
    """With 10^6 replications 94.5 % differs from 95 % beyond any doubt, and is in order all the same."""
    n = 1_000_000
    assert stats.binomtest(int(0.945 * n), n, 0.95).pvalue < 1e-50
    assert grade(0.945, n, 0.95) is Grade.HOLDS

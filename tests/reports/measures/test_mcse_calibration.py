"""MCSEs against the spread of the measures over many repeated small studies: slow, and the only proof that counts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nestbench.reports.measures.declared import MEASURES, measure_named
from nestbench.reports.measures.draws import Draws, draws_of
from nestbench.reports.measures.measure import evaluate
from nestbench.reports.measures.statistics import order_statistic_mcse
from tests.reports.synthetic import estimates_of

STUDIES, REPS, TH = 3000, 300, 0.3
SKIPPED = {"coverage_bound", "rejection_bound", "usable_share", "type_s"}
"""Binomial over all attempts: without failures they are constant or equal to another measure. Type S needs a small
effect (wrong signs are too rare here): it has a test of its own."""


def repeated(law: str, studies: int = STUDIES, reps: int = REPS, truth: float = TH) -> Draws:
    """Studies as the terms of one: normal or t6 estimates, chi-squared variances."""
    rng = np.random.default_rng(2026)
    shape = (reps, studies)
    noise = rng.standard_normal(shape) if law == "normal" else rng.standard_t(6, shape) / np.sqrt(1.5)
    t = truth + 0.05 + 0.25 * noise
    s = 0.25 * np.sqrt(rng.chisquare(8, shape) / 8)
    found = estimates_of(t, s, [f"x{i}" for i in range(studies)], df=8)
    return next(iter(draws_of(found, {f"x{i}": truth for i in range(studies)}, 0.95)))


def ratio_of(name: str, draws: Draws) -> float:
    """Mean MCSE over the true SD of a measure."""
    value, mcse, _ = evaluate(measure_named(name), draws)
    return float(np.nanmean(mcse) / np.nanstd(value, ddof=1))


@pytest.mark.slow
@pytest.mark.parametrize("law", ["normal", "t6"])
def test_mcse_is_the_sd_of_the_measure(law: str) -> None:
    """Mean MCSE over true SD, per measure; its own error is 1.3 % at 3 000 studies, so 6 sigma plus 4 % of bias."""
    draws = repeated(law)
    ratios = {m.name: ratio_of(m.name, draws) for m in MEASURES if m.name not in SKIPPED}
    for name, ratio in ratios.items():
        assert ratio == pytest.approx(1.0, abs=0.09), (name, ratio)


@pytest.mark.slow
@pytest.mark.parametrize("law", ["normal", "t6"])
@pytest.mark.parametrize(("reps", "most"), [(20, 0.08), (21, 0.08), (100, 0.03), (1000, 0.02)])
def test_errors_of_medians_for_few_replications(law: str, reps: int, most: float) -> None:
    """Root mean square MCSE over the SD of the median: at most 3 % too large from 100 replications on, 8 % at 20.

    The SD of 20 000 studies is known to .5 %, the mean square likewise: 5.5 sigma (1e-7) on top of the bias allowed.
    """
    draws = repeated(law, studies=20_000 if reps < 1000 else 4000, reps=reps)
    sure = 5.5 * np.sqrt(1 / (2 * len(draws.terms)))
    for name in ("median_bias", "median_width"):
        value, mcse, _ = evaluate(measure_named(name), draws)
        ratio = np.sqrt(np.mean(mcse**2)) / value.std(ddof=1)
        assert 1 - sure - 0.01 <= ratio <= 1 + most + sure, (name, ratio)


def test_errors_of_medians_for_uniform_values_are_exact() -> None:
    """E[MCSE^2] = Var(median) for odd n and uniform values: 1 / (4 (n + 2)), to 6 sigma of 40 000 draws."""
    rng = np.random.default_rng(11)
    for n in (7, 21, 101):
        squares = order_statistic_mcse(rng.random((40_000, n))) ** 2
        error = squares.std() / 200
        assert abs(squares.mean() - 1 / (4 * (n + 2))) <= 6 * error


@pytest.mark.slow
@pytest.mark.parametrize("law", ["normal", "t6"])
def test_type_s_is_binomial_on_the_significant(law: str) -> None:
    """A small effect, some sixty significant of 1 000: the SD of 3 000 studies is known to 1.3 %, 6 sigma."""
    draws = repeated(law, reps=1000, truth=0.05)
    value, mcse, n = evaluate(measure_named("type_s"), draws)
    assert 0.02 < value.mean() < 0.3
    assert np.allclose(mcse, np.sqrt(value * (1 - value) / n))
    assert ratio_of("type_s", draws) == pytest.approx(1.0, abs=0.09)


@pytest.mark.slow
def test_wilson_intervals_hold_their_level() -> None:
    from nestbench.reports.measures.proportions import clopper_pearson, wilson

    rng = np.random.default_rng(1)
    for p in (0.5, 0.95, 0.99):
        x = rng.binomial(200, p, 20000)
        low, high = wilson(x / 200, 200)
        exact_low, exact_high = clopper_pearson(x, 200)
        assert ((low <= p) & (p <= high)).mean() == pytest.approx(0.95, abs=0.03)
        assert ((exact_low <= p) & (p <= exact_high)).mean() > 0.95 - 5 * np.sqrt(0.05 * 0.95 / 20000)


def test_a_quick_look_at_coverage_and_bias() -> None:
    """The same with 400 studies, for the default suite: 5 measures, false-alarm rate below 1e-6 at 5 sigma."""
    rng = np.random.default_rng(3)
    t = 0.25 * rng.standard_normal((200, 400))
    found = estimates_of(t, np.full_like(t, 0.25), [f"x{i}" for i in range(400)])
    draws = next(iter(draws_of(found, {f"x{i}": 0.0 for i in range(400)}, 0.95)))
    sigma = 1 / np.sqrt(2 * 399)
    for name in ("bias", "empirical_se", "rmse", "coverage", "rejection"):
        value, mcse, _ = evaluate(measure_named(name), draws)
        assert mcse.mean() / value.std(ddof=1) == pytest.approx(1.0, abs=5 * sigma + 0.02), name
    assert stats.norm.sf(5) * 2 < 1e-6

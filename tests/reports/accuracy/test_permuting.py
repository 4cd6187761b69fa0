"""The permutation test of the gate: against all permutations written out, its rate on any law, and its power."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy import stats

from nestbench.reports.accuracy.permuting import (
    Family,
    Panel,
    adjusted_p,
    can_show,
    family_of,
    least_replications,
    permutations,
)
from nestbench.sim.errors import InvalidInput

NOTHING: tuple[np.ndarray, ...] = ()


def two_samples(left: np.ndarray, right: np.ndarray, shares: list[bool], paired: bool = False) -> Panel:
    values = np.concatenate([left, right]).astype(float)
    after = np.arange(len(values)) >= len(left)
    return Panel(values, np.array(shares), after, (np.arange(len(values)),), paired)


def written_out(panel: Panel) -> np.ndarray:
    """Largest statistic of every assignment of the labels, by textbook formulas."""
    n, m = len(panel.values), int(panel.after.sum())
    found = []
    for chosen in itertools.combinations(range(n), m):
        marks = np.zeros(n, bool)
        marks[list(chosen)] = True
        found.append(max(textbook(panel.values[:, j], marks, s) for j, s in enumerate(panel.shares)))
    return np.array(found)


def textbook(x: np.ndarray, after: np.ndarray, share: bool) -> float:
    known = np.isfinite(x)
    one, zero = x[after & known], x[~after & known]
    if not len(one) or not len(zero):
        return 0.0
    if share:
        table = [[one.sum(), len(one) - one.sum()], [zero.sum(), len(zero) - zero.sum()]]
        if 0 in np.sum(table, axis=0):
            return 0.0
        return float(np.sqrt(stats.chi2_contingency(table, correction=False, lambda_="log-likelihood")[0]))
    if np.ptp(x[known]) == 0:
        return 0.0
    return float(abs(stats.ttest_ind(one, zero).statistic))


@pytest.mark.parametrize("seed", range(2))
def test_against_every_permutation_written_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    left, right = (
        np.column_stack([rng.lognormal(0, 2, n), rng.integers(0, 2, n), rng.normal(size=n)]) for n in (4, 5)
    )
    right[0, 2] = np.nan
    panel = two_samples(left, right, [False, True, False])
    family = family_of([panel], NOTHING)
    observed = family.observed()
    for j, share in enumerate(panel.shares):
        assert observed[j] == pytest.approx(textbook(panel.values[:, j], panel.after, share))
    exact = np.array([(written_out(panel) >= t * (1 - 1e-9)).mean() for t in observed])
    found = adjusted_p(family, observed, np.ones(3, bool), 0.999)
    # 1999 permutations: within 5 binomial standard errors, each with probability 6e-7.
    assert np.all(np.abs(found - exact) < 5 * np.sqrt(exact * (1 - exact) / 1999) + 1 / 1999)


def test_swaps_within_data_sets_are_the_sign_flips() -> None:
    before = np.random.default_rng(5).normal(size=(7, 1))
    gains = np.array([0.1, 0.3, 0.2, 0.25, 0.15, 0.05, 0.2])[:, None]
    family = family_of([two_samples(before, before + gains, [False], paired=True)], NOTHING)
    found = adjusted_p(family, family.observed(), np.ones(1, bool), 0.999)[0]
    # All seven moved the same way: only the two constant swaps are as far apart.
    assert found == pytest.approx(2 / 2**7, abs=5 * math.sqrt(2 / 2**7 / 1999))


def test_the_mean_over_cells_shows_what_no_cell_shows() -> None:
    rng = np.random.default_rng(8)
    panels = [
        two_samples(rng.normal(size=(60, 1)), rng.normal(0.45, 1.0, (60, 1)), [False]) for _ in range(8)
    ]
    family = family_of(panels, [np.arange(8)])
    observed = family.observed()
    found = adjusted_p(family, observed, np.ones(9, bool), 1e-3)
    assert found[8] <= 1e-3
    assert (found[:8] > 1e-3).all()
    gaps = [p.values[p.after].mean() - p.values[~p.after].mean() for p in panels]
    errors = [stats.ttest_ind(p.values[p.after][:, 0], p.values[~p.after][:, 0]).statistic for p in panels]
    assert np.sign(gaps).sum() == 8
    assert observed[:8] == pytest.approx(np.abs(errors))


@settings(max_examples=30, deadline=None)
@given(
    sizes=some.tuples(some.integers(2, 9), some.integers(2, 9)),
    seed=some.integers(0, 10**6),
    infinite=some.booleans(),
)
def test_any_numbers_give_p_values(sizes: tuple[int, int], seed: int, infinite: bool) -> None:
    rng = np.random.default_rng(seed)
    left, right = (
        np.column_stack([rng.standard_cauchy(n), np.full(n, 3.0), rng.integers(0, 2, n)]) for n in sizes
    )
    if infinite:
        left[:, 0] = np.nan
    family = family_of([two_samples(left, right, [False, False, True])], [np.array([0, 1])])
    found = adjusted_p(family, family.observed(), np.ones(4, bool), 0.05)
    assert np.all((found > 0) & (found <= 1))
    assert found[1] == 1.0, "two equal constants differ in nothing"


def clean(law: str, n: int, rng: np.random.Generator) -> Family:
    draw = {"normal": rng.standard_normal, "t(2.5)": lambda s: rng.standard_t(2.5, s),
            "lognormal(2)": lambda s: rng.lognormal(0.0, 2.0, s)}[law]  # fmt: skip
    left, right = (np.column_stack([x, np.abs(x), x > 1]) for x in (draw(n), draw(n)))
    return family_of([two_samples(left, right, [False, False, True])], NOTHING)


@pytest.mark.parametrize("law", ["normal", "t(2.5)", "lognormal(2)"])
@pytest.mark.parametrize("n", [5, 20])
def test_false_alarms_are_as_rare_as_stated(law: str, n: int) -> None:
    rng = np.random.default_rng(len(law) * 100 + n)
    alarms = 0
    for _ in range(150):
        family = clean(law, n, rng)
        alarms += bool((adjusted_p(family, family.observed(), np.ones(3, bool), 0.05) <= 0.05).any())
    # At most 5 %: more than this with probability 1e-6.
    assert alarms <= stats.binom.isf(1e-6, 150, 0.05)


def test_too_few_replications_show_nothing() -> None:
    for alpha in (0.05, 1e-3, 1e-4):
        n = least_replications(alpha)
        assert 2 / math.comb(2 * n, n) <= alpha < 2 / math.comb(2 * n - 2, n - 1)
        assert can_show(n, n, alpha)
        assert not can_show(n - 1, n - 1, alpha)
    assert least_replications(1e-4) == 9
    assert can_show(5, 1000, 1e-4)


def test_rates_that_permutations_can_show() -> None:
    assert permutations(0.05) == permutations(1e-3) == 1999
    assert permutations(1e-4) == 9999
    for alpha in (0.0, 1e-6, 1.0):
        with pytest.raises(InvalidInput, match="false-alarm rate from 1e-05"):
            permutations(alpha)

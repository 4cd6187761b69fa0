"""Methods on equal data against brute force: which data sets, which methods, what a single interval can do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.reports.comparing import shared as module
from nestbench.reports.comparing.ranking import ranking
from nestbench.reports.comparing.shared import Shared, shared_of_rows, usual_width
from nestbench.reports.measures.cell_rows import CellRows
from tests.reports.synthetic import estimates_of

TRUTH = {"x0": 0.5}


def method(seed: int, reps: int = 400, width: float = 1.0, fails: tuple[int, ...] = ()) -> Estimates:
    rng = np.random.default_rng(8)  # the same data sets for all; the seed is the method's own
    error = rng.normal(0, 1, (reps, 1)) + 0.1 * np.random.default_rng(seed).normal(0, 1, (reps, 1))
    status = np.where(np.isin(np.arange(reps), fails), FitStatus.FAILED, FitStatus.OK)
    return estimates_of(0.5 + error, np.full_like(error, width), ["x0"], status=status)


def one(estimates: dict[str, Estimates]) -> Shared:
    (found,) = shared_of_rows(CellRows(estimates, TRUTH, 0.95))
    return found


def scores(found: Estimates, keep: np.ndarray, cap: float = np.inf) -> np.ndarray:
    low, high = found.lower[keep, 0], found.upper[keep, 0]
    score = high - low + 40.0 * (np.maximum(low - 0.5, 0) + np.maximum(0.5 - high, 0))
    return np.minimum(score, cap)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sets(st.integers(0, 119), max_size=5), min_size=2, max_size=4))
def test_means_are_those_of_the_data_sets_all_methods_answer(failing: list[set[int]]) -> None:
    estimates = {f"m{i}": method(i, 120, 1.0 + i, tuple(bad)) for i, bad in enumerate(failing)}
    keep = np.setdiff1d(np.arange(120), sorted(set().union(*failing)))
    found = one(estimates)
    assert found.n == len(keep)
    for m, label in enumerate(found.labels):
        own = estimates[label]
        assert found.scores[:, m].sum() / found.n == pytest.approx(scores(own, keep, found.cap).mean())
        covers = (own.lower[keep, 0] <= 0.5) & (own.upper[keep, 0] >= 0.5)
        assert found.hits[:, m].sum() == covers.sum()
        assert found.spread[m] == pytest.approx(own.estimate[keep, 0].std(ddof=1))


def test_twelve_data_sets_are_not_compared_with_four_hundred() -> None:
    """The method with 12 data sets would be first: its few scores are lucky."""
    few = method(1, 12, 1.0)
    lucky = replace(
        few, estimate=few.estimate * 0 + 0.5, lower=few.estimate * 0 + 0.4, upper=few.estimate * 0 + 0.6
    )
    found = one({"few": lucky, "a": method(2), "b": method(3, width=1.2)})
    assert found.labels == ("a", "b")
    assert found.left_out == {"few": (12, 400)}
    assert found.n == 400
    assert "few" not in set(ranking(found)["estimator"])


def test_one_interval_of_ten_thousand_does_not_decide() -> None:
    good, worse = method(1), method(2, width=2.0)
    good.lower[7], good.upper[7] = -10_000.0, 10_000.0
    table = ranking(one({"good": good, "worse": worse})).set_index("estimator")
    assert table.loc["good", "mean"] > 3 * table.loc["worse", "mean"]
    assert table.loc["good", "rank"] == 1
    assert table.loc["worse", "ratio"] > 1.1


def test_endless_intervals_count_and_are_far_behind() -> None:
    endless = method(1)
    endless.lower[:], endless.upper[:] = -np.inf, np.inf
    found = one({"endless": endless, "a": method(2), "b": method(3)})
    row = ranking(found).set_index("estimator").loc["endless"]
    assert row["ratio"] > 5
    assert np.isinf(row["mean"])
    assert not row["best"]
    assert found.endless[found.labels.index("endless")] == 1.0


def test_the_cap_is_set_by_the_method_in_the_middle() -> None:
    assert usual_width([0.0, 1.0, 2.0, np.inf]) == 2.0
    assert usual_width([1e-12, 1.0, 1e9]) == 1.0
    assert usual_width([np.inf, np.nan]) == 1.0
    found = one({"a": method(1), "b": method(2, width=2.0), "c": method(3, width=3.0)})
    assert found.cap == pytest.approx(21 * 2 * 1.959964 * 2.0)


def test_paired_errors_are_those_of_brute_force() -> None:
    estimates = {"a": method(1), "b": method(2, width=1.3)}
    table = ranking(one(estimates)).set_index("estimator")
    assert list(table["rank"]) == [1, 2]
    first, second = table.index
    gap = scores(estimates[second], np.arange(400)) - scores(estimates[first], np.arange(400))
    assert table.loc[second, "behind"] == pytest.approx(gap.mean())
    assert table.loc[second, "behind_mcse"] == pytest.approx(gap.std(ddof=1) / 20.0)
    assert 1.0 < table.loc[second, "ratio"] < table.loc[second, "ratio_high"]


def test_lots_do_not_change_means_and_hardly_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    estimates = {"a": method(1, 4000), "b": method(2, 4000, width=1.3)}
    whole = ranking(one(estimates))
    monkeypatch.setattr(module, "LOTS", 4000)
    single = ranking(one(estimates))
    np.testing.assert_allclose(whole["value"], single["value"], rtol=1e-12)
    # relative SD of an SD from 500 lots is 3 %; 6 sigma
    assert whole["behind_mcse"][1] == pytest.approx(single["behind_mcse"][1], rel=0.2)

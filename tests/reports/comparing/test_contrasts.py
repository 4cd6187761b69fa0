"""Paired contrasts and rankings against brute force."""

from __future__ import annotations

import numpy as np
import pytest

from nestbench.estimators.estimates import FitStatus
from nestbench.reports.comparing.contrasts import contrast_table, contrasts_of_cell
from nestbench.sim.errors import InvalidInput
from tests.reports.synthetic import estimates_of, school_study

TRUTH = {"x0": 0.5}


@pytest.fixture(scope="module")
def pair():  # type: ignore[no-untyped-def]
    """Two methods on the same 500 data sets, correlated 0.9, each failing on replications of its own."""
    rng = np.random.default_rng(8)
    a = 0.5 + rng.normal(0, 1, (500, 1))
    b = 0.5 + 0.9 * (a - 0.5) + np.sqrt(1 - 0.81) * rng.normal(0, 1, (500, 1)) + 0.1
    fails = [
        np.where(np.isin(np.arange(500), bad), FitStatus.FAILED, FitStatus.OK) for bad in ((1, 2), (2, 3, 4))
    ]
    return {
        "a": estimates_of(a, np.full_like(a, 0.8), ["x0"], status=fails[0]),
        "b": estimates_of(b, np.full_like(b, 1.0), ["x0"], status=fails[1]),
    }


def found(pair, name):  # type: ignore[no-untyped-def]
    table = contrasts_of_cell(pair, "a", TRUTH, 0.95)
    return table[table["contrast"] == name].iloc[0]


def both(pair):  # type: ignore[no-untyped-def]
    keep = np.setdiff1d(np.arange(500), [1, 2, 3, 4])
    return pair["a"].estimate[keep, 0], pair["b"].estimate[keep, 0], keep


def test_bias_difference_is_paired(pair) -> None:  # type: ignore[no-untyped-def]
    a, b, keep = both(pair)
    row = found(pair, "bias_difference")
    assert row.n == len(keep) == 496
    assert row.value == pytest.approx((b - a).mean())
    assert row.mcse == pytest.approx((b - a).std(ddof=1) / np.sqrt(496))
    unpaired = np.sqrt(a.var(ddof=1) / 496 + b.var(ddof=1) / 496)
    assert row.mcse < 0.5 * unpaired


def test_coverage_difference_has_mcnemars_variance(pair) -> None:  # type: ignore[no-untyped-def]
    _, _, keep = both(pair)
    c = {k: ((v.lower <= 0.5) & (v.upper >= 0.5))[keep, 0] for k, v in pair.items()}
    only_a, only_b = (c["a"] & ~c["b"]).sum(), (~c["a"] & c["b"]).sum()
    row = found(pair, "coverage_difference")
    n = len(keep)
    assert row.value == pytest.approx((only_b - only_a) / n)
    mcnemar = np.sqrt((only_a + only_b - (only_b - only_a) ** 2 / n) / n / (n - 1))
    assert row.mcse == pytest.approx(mcnemar)


def test_relative_precision_has_the_normal_closed_form(pair) -> None:  # type: ignore[no-untyped-def]
    a, b, keep = both(pair)
    row = found(pair, "relative_precision")
    ratio = a.var(ddof=1) / b.var(ddof=1)
    rho = np.corrcoef(a, b)[0, 1]
    assert row.value == pytest.approx(100 * (ratio - 1))
    assert row.mcse == pytest.approx(200 * ratio * np.sqrt((1 - rho**2) / (len(keep) - 1)), rel=0.15)


def test_relative_efficiency(pair) -> None:  # type: ignore[no-untyped-def]
    a, b, _ = both(pair)
    assert found(pair, "relative_efficiency").value == pytest.approx(
        ((a - 0.5) ** 2).mean() / ((b - 0.5) ** 2).mean()
    )


def test_outcomes_name_the_better_side() -> None:
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 1, (400, 1))
    pair = {
        "rough": estimates_of(0.5 + 2 * noise, np.full_like(noise, 2.0), ["x0"]),
        "fine": estimates_of(0.5 + noise, np.full_like(noise, 1.0), ["x0"]),
        "same": estimates_of(0.5 + 2 * noise, np.full_like(noise, 2.0), ["x0"]),
    }
    table = contrasts_of_cell(pair, "rough", TRUTH, 0.95).set_index(["estimator", "contrast"])
    assert table.loc[("fine", "mse_difference"), "outcome"] == "win"
    assert table.loc[("fine", "relative_efficiency"), "outcome"] == "win"
    assert (table.loc["same", "outcome"] == "tie").all()
    backwards = contrasts_of_cell(pair, "fine", TRUTH, 0.95).set_index(["estimator", "contrast"])
    assert backwards.loc[("rough", "score_difference"), "outcome"] == "loss"


def test_terms_only_one_method_answers_are_left_out() -> None:
    study = school_study(reps=60)
    table = contrast_table(study, "ols")
    dummies = table[table["estimator"] == "dummies-cr1s-z"]
    assert set(dummies["term"]) == {"age", "gender[T.male]"}
    assert list(table.columns[:3]) == ["cell", "layout.schools", "population.icc"]


def test_an_unknown_reference_suggests() -> None:
    with pytest.raises(InvalidInput, match="Did you mean 'ols'"):
        contrast_table(school_study(reps=5), "olz")

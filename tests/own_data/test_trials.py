"""Data of many schools: what takes too long is left out with a word, what is named runs, and each step is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nestbench.estimators.estimates import Estimates
from nestbench.estimators.estimator import Estimator, Options
from nestbench.estimators.methods.ols import OLS_IID
from nestbench.estimators.methods.registry import get
from nestbench.own_data import trials
from nestbench.own_data.bar import shown
from nestbench.own_data.fit import terms_of
from nestbench.own_data.side_by_side import fit_all
from nestbench.own_data.user_data import prepare
from nestbench.sim.observed.batch import Batch
from nestbench.sim.observed.model import Model

MODEL = Model("y ~ x", group="g")


def table(schools: int) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(schools), rng.integers(1, 4, schools))
    return pd.DataFrame({"y": rng.normal(size=len(g)), "x": rng.normal(size=len(g)), "g": g})


class Clock:
    """Time that passes as a method says: seconds = `rate` * schools ^ `power`."""

    def __init__(self, rate: float, power: float) -> None:
        self.now, self.rate, self.power = 0.0, rate, power
        self.fitted: list[int] = []

    def perf_counter(self) -> float:
        return self.now

    def engine(self, batch: Batch, model: Model, options: Options) -> Estimates:
        schools = len(batch.school_offsets) - 1
        self.fitted.append(schools)
        self.now += self.rate * schools**self.power
        return OLS_IID.fit(batch, model)


@pytest.mark.parametrize(
    ("rate", "power", "out"),
    [(1e-3, 1.0, False), (1e-2, 1.0, True), (1e-6, 2.0, True), (1e-7, 2.0, False), (1e-12, 3.0, False)],
    ids=str,
)
def test_trials_predict_what_the_whole_takes(
    rate: float, power: float, out: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On 20 000 schools: 20, 200, 400, 40 and 8 seconds."""
    clock = Clock(rate, power)
    monkeypatch.setattr(trials, "time", clock)
    batch = prepare(table(20_000), MODEL).batch
    method = Estimator("slow", 1, OLS_IID.info, reference=clock.engine)
    said = trials.too_long(batch, method, MODEL, "auto")
    assert bool(said) == out
    assert max(clock.fitted) < 20_000
    assert clock.now < 0.6 * rate * 20_000**power + 10.0, "trials cost less than the fit"


def test_what_is_expensive_is_left_out_and_named_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(1.0, 1.0)
    monkeypatch.setattr(trials, "time", clock)
    slow = Estimator("slow", 1, OLS_IID.info, reference=clock.engine)
    monkeypatch.setattr(
        "nestbench.own_data.side_by_side.registry.runnable", lambda: {"ols": OLS_IID, "slow": slow}
    )
    monkeypatch.setattr(
        "nestbench.own_data.side_by_side.chosen_estimator",
        lambda name, _: slow if name == "slow" else OLS_IID,
    )
    steps: list[Any] = []
    found = fit_all(table(6_000), MODEL, step=lambda *args: steps.append(args))
    assert steps == [(0, 2, "ols"), (1, 2, "slow")]
    assert found.left_out["slow"].startswith(
        "expected to take about 2 hours on 6000 groups (200.0 s on 200 of"
    )
    assert [fit.estimator for fit in found.fits] == ["ols"]
    clock.fitted.clear()
    named = fit_all(table(6_000), MODEL, ["slow"])
    assert clock.fitted == [6_000]
    assert not named.left_out


def test_some_schools_are_those_schools() -> None:
    batch = prepare(table(50), MODEL).batch
    part = trials.some_schools(batch, 5)
    whole = batch.replication(0).frame()
    labels = np.asarray(batch.replication(0).labels)[np.linspace(0, 49, 5).astype(int)]
    expected = whole[whole["g"].isin(labels)].reset_index(drop=True)
    pd.testing.assert_frame_equal(part.replication(0).frame()[["y", "x"]], expected[["y", "x"]])
    assert np.diff(part.school_offsets).sum() == len(expected)


def test_lines_only_where_it_takes_long(capsys: pytest.CaptureFixture[str]) -> None:
    for rows in (100, 1_000_000):
        with shown(rows) as step:
            step(0, 2, "ols")
    assert capsys.readouterr().err == "1 of 2: ols\n"


def test_nothing_is_divided_by_zero_numbers() -> None:
    """Estimate 0 with a standard error of 0 or none at all: a table, no error."""
    frame = table(40).assign(y=0.0)
    found = fit_all(frame, MODEL, ["ols", "ols-cr1s-t", "dummies"])
    for fit in found.fits:
        assert not fit.usable or np.isnan(fit.terms["p_value"]).all()
    assert "y ~ x" in repr(found)
    zero = get("ols").fit(prepare(table(40), MODEL).batch, MODEL)
    nothing = replace(zero, estimate=np.zeros_like(zero.estimate), std_error=np.zeros_like(zero.std_error))
    assert np.isnan(terms_of(nothing, MODEL)["statistic"]).all()

"""`nestbench check --budget` week by week, with fits that cost nothing: as rarely red as it states, and red for a slip.

Runs are what `spend` makes of them; what stands in for a fit is a function of seed and replication, and the clock is
drawn. Margins are left out where false alarms are counted. Bounds on counts are exceeded with probability 1e-6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from nestbench.estimators.estimates import Estimates
from nestbench.experiments.experiment import Experiment
from nestbench.gate import budget
from nestbench.gate.budget import Spent, spend
from nestbench.reports.accuracy.baseline import baseline_of
from nestbench.reports.accuracy.changes import MARGINS
from nestbench.reports.accuracy.check import Check, check
from tests.reports.accuracy.gate_studies import DEFECTS, Memory, drawn, gate_study, scaled_se

NO_MARGINS = dict.fromkeys(MARGINS, 0.0)
MOST = 500
Slip = Callable[[Estimates], Estimates]


@dataclass
class Runs:
    """Stands in for stores on a disk and for what fills them."""

    slip: Slip | None = None
    stores: dict[Path, Any] = field(default_factory=dict)

    def run(self, experiment: Experiment, place: Path, *_: Any) -> Any:
        fits = [
            _fitted(experiment.seed, cell).take(slice(experiment.replications))
            for cell in range(len(experiment.cells))
        ]
        cells = [{"mine": self.slip(one) if self.slip else one} for one in fits]
        done = Memory(experiment, cells)
        rounds = [SimpleNamespace(replications=(experiment.replications,))]
        self.stores[place] = _Store(done.experiment, done.cells, folder=place, rounds=rounds)
        return self.stores[place]

    def earlier(self, folder: Path) -> Iterator[tuple[Path, Any]]:
        yield from self.stores.items()


@dataclass
class _Store(Memory):
    folder: Path = Path()
    rounds: list[Any] = field(default_factory=list)


def _fitted(seed: int, cell: int) -> Estimates:
    """The fits of as many data sets as there may be: a run has the first of them."""
    return drawn(np.random.default_rng([seed, cell]), MOST)


def weeks(monkeypatch: pytest.MonkeyPatch, seed: int, calls: int, slip: Slip | None = None) -> list[Spent]:
    """Return what some calls with one folder bought; how long a replication takes varies from round to round."""
    runs, rng = Runs(slip), np.random.default_rng([seed, 5])
    monkeypatch.setattr(budget, "run_experiment", runs.run)
    monkeypatch.setattr(budget, "_earlier", runs.earlier)
    monkeypatch.setattr(budget.secrets, "randbelow", lambda most: int(rng.integers(most)))
    experiment = replace(gate_study(2, cells=2, methods=("mine",)).experiment, replications=30)

    def clock() -> Iterator[float]:
        now = 0.0
        while True:
            yield now
            now += float(rng.uniform(1.0, 9.0))

    ticks = clock()
    return [spend(experiment, Path("weekly"), 20.0, MOST, clock=lambda: next(ticks)) for _ in range(calls)]


def looks(monkeypatch: pytest.MonkeyPatch, seed: int, calls: int, alpha: float) -> list[Check]:
    before = baseline_of(gate_study(100, 70_000 + seed, cells=2, methods=("mine",)))
    return [check(before, spent.store, NO_MARGINS, alpha) for spent in weeks(monkeypatch, seed, calls)]


def test_what_a_budget_buys_depends_on_the_clock_alone_and_a_slip_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = baseline_of(gate_study(1000, 3, cells=2, methods=("mine",)))
    right = weeks(monkeypatch, 1, 4)
    wrong = weeks(monkeypatch, 1, 4, DEFECTS["df wrong by one"])
    assert [(w.new, w.reached) for w in wrong] == [(r.new, r.reached) for r in right]
    assert [r.new == r.reached for r in right] == [True, False, True, False], "pooled until a run is full"
    assert not any(check(before, spent.store).failing() for spent in right)
    assert all(check(before, spent.store).failing() for spent in wrong)


@pytest.mark.slow
def test_weekly_looks_are_red_as_rarely_as_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at its rate, the four of a loop by the union bound: 80 loops of other baselines and clocks."""
    alpha, loops, calls = 0.05, 80, 4
    red = np.array(
        [[bool(one.changes) for one in looks(monkeypatch, seed, calls, alpha)] for seed in range(loops)]
    )
    assert red.sum(axis=0).max() <= stats.binom.isf(1e-6, loops, alpha)
    assert red.any(axis=1).sum() <= stats.binom.isf(1e-6, loops, calls * alpha)


@pytest.mark.slow
@pytest.mark.parametrize(
    "slip",
    [DEFECTS["90 % intervals for 95 %"], scaled_se(1.1)],
    ids=["90 % intervals for 95 %", "SE x 1.1"],
)
def test_a_slip_is_red_within_a_few_weeks(monkeypatch: pytest.MonkeyPatch, slip: Slip) -> None:
    """In nine of ten loops, if not at the first look; in fewer of 10 than the bound with probability 1e-6."""
    before = baseline_of(gate_study(1000, 3, cells=2, methods=("mine",)))
    seen = [
        any(check(before, one.store).failing() for one in weeks(monkeypatch, seed, 4, slip))
        for seed in range(10)
    ]
    assert sum(seen) >= stats.binom.ppf(1e-6, 10, 0.9)

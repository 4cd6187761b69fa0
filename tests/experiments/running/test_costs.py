"""How far a run is, and when it promises a time: against runs whose every cost is known."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nestbench.estimators.estimator import Agreement, Estimator
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.plan import FIRST_CUTS, Task, plan
from nestbench.experiments.running.costs import DRAWING, Costs, Standing
from nestbench.experiments.running.costs import _taken as costs_of
from nestbench.experiments.running.progress import Lines, alive
from nestbench.experiments.storing.outcome import Outcome
from nestbench.experiments.toml.reading import experiment_from
from tests.experiments.conftest import TABLES
from tests.experiments.test_plan import INFO, engine

PLUGIN = Estimator("plugin", 1, INFO, reference=engine)


def other_engine(*_: Any) -> Any:
    raise AssertionError("a plan fits nothing")


QUICK = Estimator("quick", 1, INFO, reference=engine, batched=other_engine, agreement=Agreement.DIRECT)
TABLE = {**TABLES, "factors": {"population.icc": [0.0, 0.1, 0.2]}}
STUDY = replace(
    experiment_from(TABLE), estimators=(QUICK, PLUGIN), replications=40_000, reference_replications=150
)
WARM = 3.0
"""Seconds that the first task of a worker takes longer."""


def heard(
    study: Experiment, seconds: dict[int, float], audit: float, workers: int
) -> list[tuple[Standing, float]]:
    """Go through a run whose fits take these seconds: how far it says it is, and what is truly left, task by task."""
    tasks = plan(study)

    def outcome(task: Task, first: bool) -> Outcome:
        n = task.stop - task.start
        warm = WARM if first else 0.0
        if task.audit:
            return Outcome(task, (), 0, 0, n * audit + warm)
        spent = tuple(n * seconds[i] for i in task.estimators)
        return Outcome(task, (), task.fits, 0, sum(spent) + warm, (spent[0] + warm, *spent[1:]))

    outcomes = [outcome(task, i < workers) for i, task in enumerate(tasks)]
    costs = Costs(study, workers)
    costs.expect((), tasks)
    rest = sum(o.seconds for o in outcomes)
    found = []
    for one in outcomes:
        rest -= one.seconds
        found.append((costs.hear(one), rest))
    return found


COST = st.floats(-5.0, 0.5).map(lambda power: 10.0**power)


@given(quick=COST, plugin=COST, workers=st.integers(1, 4))
@settings(max_examples=40)
def test_a_time_is_told_once_costs_are_known_and_then_holds(
    quick: float, plugin: float, workers: int
) -> None:
    """Whatever the methods cost: none from the first tasks, within a tenth from then on, and shares that never fall."""
    found = heard(replace(STUDY, audit=0), {0: quick, 1: plugin}, 0.0, workers)
    shares = [standing.share for standing, _ in found]
    assert shares == sorted(shares)
    assert [standing.finished for standing, _ in found] == [False] * (len(found) - 1) + [True]
    assert all(standing.left is None for standing, _ in found[:workers])
    for standing, rest in found[workers:-workers]:
        assert standing.left is not None
        assert standing.left * workers == pytest.approx(rest, rel=0.1)
        assert standing.share == pytest.approx(1 - rest / found[workers - 1][1], abs=0.1)


def test_no_time_while_most_of_what_is_left_is_a_guess() -> None:
    """Audits are an engine nobody has heard of: where they are most of the work, no time until the first came."""
    study = replace(STUDY, replications=150, audit=100)
    found = heard(study, {0: 1e-5, 1: 1e-3}, 0.05, 1)
    kinds = [task.audit for task in plan(study)]
    first = kinds.index(True)
    assert all(standing.left is None for standing, _ in found[:first])
    for standing, rest in found[first:-1]:
        assert standing.left == pytest.approx(rest, rel=0.1)
    assert len(found) - first > 6


@given(
    spent=st.lists(st.floats(0.0, 5.0), min_size=2, max_size=2),
    seconds=st.floats(1e-3, 5.0),
    guess=st.lists(st.floats(1e-5, 1.0), min_size=3, max_size=3),
)
def test_parts_add_up_to_what_a_task_took(spent: list[float], seconds: float, guess: list[float]) -> None:
    """Whatever methods claim: nothing (not timed), less than the task took, or more (what they share, each in full)."""
    outcome = Outcome(Task(0, 0, 5, (0, 1)), (), 10, 0, seconds, tuple(spent))
    found = costs_of(outcome, dict(zip((0, 1, DRAWING), guess, strict=True)))
    assert sum(found.values()) == pytest.approx(seconds)
    assert min(found.values()) >= 0.0


def test_the_first_slow_tasks_are_small_and_the_others_as_large() -> None:
    sizes = [task.stop - task.start for task in plan(STUDY) if task.cell == 0 and 1 in task.estimators]
    later = [task.stop - task.start for task in plan(STUDY) if task.cell == 1 and 1 in task.estimators]
    assert sizes[:3] == [1, 1, 3]
    assert sizes[-1] == later[0]
    assert [sum(sizes[:i]) for i in range(1, 5)] == list(FIRST_CUTS[:4])


def test_lines_tell_what_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(every=0.0)
    lines.begin("study", Standing(0.0, 0, 300, 0, 0.0, 0.0, None))
    lines.advance(Standing(0.0012, 1, 300, 0, 2.0, 1.0, None))
    lines.advance(Standing(0.1234, 3, 300, 0, 2.0, 1.5, None))
    lines.advance(Standing(0.9999, 150, 300, 2, 20.4, 7.0, 83.0))
    lines.advance(Standing(1.0, 300, 300, 2, 20.4, 15.0, 0.0))
    assert capsys.readouterr().err.splitlines() == [
        "study: starting",
        "under 1 %, 1 of 300 fits (2.0/s), 0 unusable",
        "12 %, 3 of 300 fits (2.0/s), 0 unusable",
        "99 %, 150 of 300 fits (20/s), 2 unusable, 1:23 left",
        "100 %, 300 of 300 fits (20/s), 2 unusable, took 0:15",
    ]


def test_a_silent_minute_has_signs_of_life(capsys: pytest.CaptureFixture[str]) -> None:
    done, heard = iter(range(9)), threading.Event()

    class Waiting(Lines):
        def doing(self, text: str) -> None:
            super().doing(text)
            if text.startswith("compiling, 2"):
                heard.set()

    with alive(Waiting(), lambda: f"compiling, {next(done)} of 9 parts done", every=0.001):
        assert heard.wait(60)
    said = capsys.readouterr().err.splitlines()
    assert said[:3] == [f"compiling, {i} of 9 parts done, 0:00 so far" for i in range(3)]
    assert not [thread for thread in threading.enumerate() if thread.name == "alive"]


def test_costs_count_the_fits_that_are_wanted() -> None:
    tasks = plan(STUDY)
    wanted = Costs(STUDY, 2).expect(tasks[:1], tasks[1:]).wanted
    assert wanted == sum(task.fits for task in tasks[1:] if not task.audit)

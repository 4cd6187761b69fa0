"""The plan: every fit once, whatever the block size and however often a run is extended."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings

from nestbench.estimators.estimator import Agreement, Estimator, Info
from nestbench.experiments.plan import Round, Task, held, how_drawn, plan
from nestbench.experiments.toml.reading import experiment_from
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept
from tests.experiments.conftest import TABLES

INFO = Info("l", "s", "a", "d", "s")


def engine(*_: Any) -> Any:
    raise AssertionError("a plan fits nothing")


SLOW = Estimator("slow", 1, INFO, reference=engine)
BOTH = Estimator("both", 1, INFO, reference=engine, batched=engine, agreement=Agreement.DIRECT)
BASE = replace(experiment_from(TABLES), estimators=(SLOW, BOTH))


def fits(tasks: tuple[Task, ...], audit: bool) -> Counter[tuple[int, int, int]]:
    return Counter(
        (task.cell, e, r)
        for task in tasks
        if task.audit == audit
        for e in task.estimators
        for r in range(task.start, task.stop)
    )


@settings(deadline=None, max_examples=60)
@given(
    reach=st.lists(
        st.tuples(st.integers(1, 60), st.integers(1, 40), st.integers(0, 10)), min_size=1, max_size=3
    ),
    block=st.integers(1, 25),
)
def test_every_fit_is_planned_once(reach: list[tuple[int, int, int]], block: int) -> None:
    rounds, last = [], Round.nothing(BASE)
    for replications, reference, audit in reach:
        last = last.joined(Round((replications,) * len(BASE.cells), reference, audit))
        rounds.append(last)
    found = fits(plan(BASE, rounds, block), audit=False)
    n, bound = last.replications[0], last.reference
    cells = range(len(BASE.cells))
    expected = {(c, 0, r) for c in cells for r in range(min(n, bound))} | {
        (c, 1, r) for c in cells for r in range(n)
    }
    assert set(found) == expected
    assert set(found.values()) == {1}
    audits = fits(plan(BASE, rounds, block), audit=True)
    assert set(audits) == {(c, 1, r) for c in cells for r in range(min(n, last.audit))}
    assert set(audits.values()) <= {1}


def test_keys_are_distinct_and_stable() -> None:
    tasks = plan(BASE, [Round.of(BASE)], 5)
    assert len({task.key for task in tasks}) == len(tasks)
    assert tasks[0].key == "fits/c00000/000000000-000000005"


def test_engine_policies() -> None:
    reference = replace(BASE, engine="reference", reference_replications=3)
    assert {task.audit for task in plan(reference)} == {False}
    assert max(task.stop for task in plan(reference) if 0 in task.estimators) == BASE.replications


def test_extending_keeps_finished_tasks() -> None:
    first = Round((10,) * 4, 5, 2)
    more = Round((35,) * 4, 8, 4)
    before, after = plan(BASE, [first], 7), plan(BASE, [first, more], 7)
    assert after[: len(before)] == before


def test_tasks_take_about_two_seconds() -> None:
    many = replace(BASE, replications=100_000)
    sizes = Counter(task.stop - task.start for task in plan(many) if task.estimators == (1,))
    assert 5_000 <= max(sizes) <= 50_000
    with_slow = [task for task in plan(many) if 0 in task.estimators]
    assert max(task.stop - task.start for task in with_slow) <= 200


def test_data_drawn_by_statistics_are_counted_by_strata() -> None:
    """Who reads students, and a formula that needs them, make data as large as their students, and the plan says so."""
    layout = Layout(schools=10, students=30_000, treated_share=0.5, assignment="students")
    plain, squared = Model("grade ~ age + gender"), Model("grade ~ I(age ** 2)")
    both = replace(BOTH, batched=lambda *_: engine())
    reads = replace(both, name="reads", reads_rows=True)
    by = {v: Cell(RandomIntercept(version=v), layout, plain) for v in (1, 2)}
    assert held(by[2], [both], "auto") == 3 * 40
    assert held(by[1], [both], "auto") == 300_000
    for cell, methods, policy, words in (
        (by[2], [both, SLOW], "auto", "drawn by statistics, students completed for slow"),
        (by[2], [both, reads], "auto", "drawn by statistics, students completed for reads"),
        (by[2], [both], "reference", "drawn by statistics, students completed for both"),
        (
            replace(by[2], model=squared),
            [both],
            "auto",
            "drawn by statistics, students completed for the model",
        ),
        (
            replace(by[2], population=RandomIntercept(version=2, missing=0.1)),
            [both],
            "auto",
            "drawn student by student, as the population needs",
        ),
    ):
        assert held(cell, methods, policy) == 300_000
        assert how_drawn(cell, methods, policy) == words
    assert how_drawn(by[2], [both], "auto") == "drawn by statistics"
    assert how_drawn(by[1], [both], "auto") == ""

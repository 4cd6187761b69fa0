"""The plan: every fit once, whatever the block size and however often a run is extended."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
from hypothesis import given, settings

from nestbench.estimators.estimator import Agreement, Estimator, Info
from nestbench.experiments.drawing import held, how_drawn
from nestbench.experiments.plan import Round, Task, plan, rows_of, to_audit
from nestbench.experiments.running.work import BATCH_NUMBERS, batches
from nestbench.experiments.toml.reading import experiment_from
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.laws.fixed_design import FixedDesign
from nestbench.sim.observed.design import design_of
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


def test_how_data_are_drawn_is_said_and_counted() -> None:
    """Who reads students, and a formula that needs them, make data as large as their students; the plan says so."""
    layout = Layout(schools=10, students=30_000, treated_share=0.5, assignment="students")
    plain, squared = Model("grade ~ age + gender"), Model("grade ~ I(age ** 2)")
    both = replace(BOTH, batched=lambda *_: engine())
    reads = replace(both, name="reads", reads_rows=True)
    cell = Cell(RandomIntercept(), layout, plain)
    for changed, methods, policy, words in (
        (cell, [both, SLOW], "auto", "statistics of 10 schools drawn, students completed for slow"),
        (cell, [both, reads], "auto", "statistics of 10 schools drawn, students completed for reads"),
        (cell, [both], "reference", "statistics of 10 schools drawn, students completed for both"),
        (
            replace(cell, model=squared),
            [both],
            "auto",
            "statistics of 10 schools drawn, students completed for the model",
        ),
        (
            drawn_with(cell, residual_shape="t(5)"),
            [both],
            "auto",
            "student by student, because residuals are t(5)",
        ),
        (drawn_with(cell, version=1), [both], "auto", "student by student, because version = 1 asks for it"),
        (
            drawn_with(cell, residual_age=0.5),
            [both],
            "auto",
            "student by student, because the residual variance depends on age",
        ),
    ):
        assert held(changed, methods, policy) >= 5 * 300_000
        assert how_drawn(changed, methods, policy) == words
    assert how_drawn(cell, [both], "auto") == "statistics of 10 schools drawn"
    assert 20 * 40 <= held(cell, [both], "auto") <= 50 * 40


def test_nobody_is_completed_for_audits_of_huge_data_sets() -> None:
    """By statistics; students drawn one by one are there anyway."""
    tables = {**TABLES, "experiment": {**TABLES["experiment"], "audit": 3}, "layout": {"schools": 4}}
    tables["population"] = {}
    tables["factors"] = {"layout.students": [5, 100_000], "population.version": [1, 2]}
    study = experiment_from(tables)
    counted = Counter(task.cell for task in plan(study) if task.audit for _ in range(task.start, task.stop))
    assert counted == {0: 3, 1: 3, 2: 3}
    assert to_audit(study, Round.of(study)) == 9


def drawn_with(cell: Cell, **parameters: Any) -> Cell:
    return replace(cell, population=RandomIntercept(**parameters))


def test_a_fixed_design_is_as_large_as_its_file(tmp_path: Path) -> None:
    """Whatever the layout's defaults are; by statistics it holds what stands for its schools, not for its rows."""
    rng = np.random.default_rng(1)
    columns = {f"x{k}": rng.normal(size=5000) for k in range(8)}
    frame = pd.DataFrame({**columns, "school": np.arange(5000) // 100})
    frame.to_csv(tmp_path / "x.csv", index=False)
    both, model = replace(BOTH, batched=lambda *_: engine()), Model("grade ~ x0 + x1")
    cells = [
        Cell(FixedDesign(str(tmp_path / "x.csv"), "x0 + x1", version=v), Layout(), model) for v in (1, 2)
    ]
    assert [rows_of(cell) for cell in cells] == [5000, 5000]
    by_rows, by_statistics = (held(cell, [both], "auto") for cell in cells)
    assert by_rows >= 5000 * 9
    assert by_statistics <= 50 * 100
    assert how_drawn(cells[1], [both], "auto") == "statistics of 50 schools drawn"
    for cell, most in zip(cells, (by_rows, by_statistics), strict=True):
        batch = next(batches(cell, 1, range(100_000), most))
        batch.once(design_of, cell.model)
        assert batch.size * most <= BATCH_NUMBERS < (batch.size + 1) * most

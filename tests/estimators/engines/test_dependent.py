"""Data sets with dependent columns: what the fast engines make of them is what the textbook engines do, at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nestbench.estimators.engines import dependent, splice
from nestbench.estimators.equivalence.agreement import differences
from nestbench.estimators.estimates import FitStatus
from nestbench.estimators.estimator import Agreement
from nestbench.estimators.methods.registry import get
from nestbench.experiments.toml.reading import experiment_from
from nestbench.sim.cells.cell import Cell
from nestbench.sim.observed.batch import Batch

KINDS: dict[str, tuple[dict[str, Any], str]] = {
    "no school treated": ({"treated_share": 0.0}, "age + gender + treated"),
    "all schools treated": ({"treated_share": 1.0}, "age + treated + gender"),
    "no student treated": ({"treated_share": 0.0, "assignment": "students"}, "age + treated"),
    "products of nothing": ({"treated_share": 0.0}, "age * treated + gender * treated"),
    "products of a constant": ({"treated_share": 1.0}, "age * treated"),
    "without an intercept": ({"treated_share": 1.0}, "0 + treated + gender + age"),
    "a column twice": ({}, "age + gender + C(gender) + resources"),
    "one class a school": ({"classes": 1}, "age + teacher + gender + C(gender)"),
    "one student a school": ({"treated_share": 0.0, "students": 1, "schools": 12}, "age + treated"),
    "a column twice beside a treatment": ({"treated_share": 0.5}, "treated + gender + C(gender)"),
    "classes": ({"treated_share": 0.0, "classes": 2, "size_cv": 0.3}, "age + treated"),
    "unequal schools": ({"treated_share": 0.0, "size_cv": 0.6}, "age + resources + treated"),
}
SHARED = ["ols", "ols-cr1s-t", "ols-cr2-satt", "ols-cr3-t", "reml-satt", "reml-kr", "reml-bw", "reml-cr2"]
"""Methods of which the engines agree to rounding, from school cross-products alone."""
OTHERS = ["ols-hc1", "ols-hc3", "ols-wild", "pairs-bootstrap", "permutation", "gee-z", "gee-md-z", "gls"]
"""Methods that read rows, draw, or refuse some of these data."""
OF_CLASSES = ["nested-z", "nested-satt"]


def cell_of(kind: str, version: int) -> Cell:
    layout, formula = KINDS[kind]
    return experiment_from(
        {
            "experiment": {"name": "kinds", "replications": 6, "estimators": ["ols"]},
            "population": {"version": version},
            "layout": {"schools": 6, "students": 6, **layout},
            "model": {"formula": f"grade ~ {formula}"},
        }
    ).cells[0]


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many data sets each fit leaves to a textbook engine."""
    counts: list[int] = []
    leave = splice.leave_to

    def counted(careful: Any, estimates: Any, rows: Any, *rest: Any) -> Any:
        counts.append(len(rows))
        return leave(careful, estimates, rows, *rest)

    monkeypatch.setattr(splice, "leave_to", counted)
    return counts


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_engines_agree_and_no_data_set_is_left_over(kind: str, version: int, left: list[int]) -> None:
    cell = cell_of(kind, version)
    batch = cell.draw(1, range(6))
    for name in SHARED:
        estimator = get(name)
        assert estimator.agreement is Agreement.DIRECT
        fast, textbook = (estimator.fit(batch, cell.model, engine) for engine in ("batched", "reference"))
        assert (textbook.status >= FitStatus.SINGULAR).all()
        np.testing.assert_array_equal(fast.status, textbook.status, err_msg=name)
        assert fast.texts() == textbook.texts(), name
        assert differences(textbook, fast).max() <= 1e-9, name
        if (textbook.status == FitStatus.SINGULAR).all():
            assert left.pop() == 0, name


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, kind) for name in OTHERS for kind in KINDS),
        *((name, kind) for name in OF_CLASSES for kind in KINDS if "classes" in KINDS[kind][0]),
    ],
)
def test_other_methods_answer_and_refuse_as_their_references(name: str, kind: str, left: list[int]) -> None:
    """What is left is what the fast engine has no answer for on the columns that are kept either."""
    cell, estimator = cell_of(kind, 2), get(name)
    batch = cell.draw(1, range(6))
    model = replace(cell.model, subgroup="class" if name in OF_CLASSES else None)
    options = {"theta": 0.5} if name == "gls" else estimator.options
    fast, careful = (engine(batch, model, options) for engine in (estimator.batched, estimator.reference))
    np.testing.assert_array_equal(fast.status, careful.status)
    assert fast.texts() == careful.texts()
    assert differences(careful, fast).max() <= 1e-9
    usual = kind not in ("one student a school", "without an intercept")
    if usual and name != "permutation":
        assert left.pop() < 6


@pytest.mark.parametrize("kind", ["no school treated", "a column twice"])
def test_an_exact_maximum_is_that_of_the_columns_left(kind: str) -> None:
    cell = cell_of(kind, 2)
    batch = cell.draw(2, range(4))
    for name in ("reml-z", "ml-z"):
        fast, textbook = (get(name).fit(batch, cell.model, engine) for engine in ("batched", "reference"))
        np.testing.assert_array_equal(fast.status, textbook.status)
        np.testing.assert_allclose(fast.estimate, textbook.estimate, rtol=1e-5)
        ours, theirs = fast.quantities["(loglik)"], textbook.quantities["(loglik)"]
        assert (ours >= theirs - 1e-6).all()


def test_batches_may_be_cut_anywhere() -> None:
    """Whether `treated` varies differs between data sets: each is fitted as it would be alone."""
    cell = cell_of("unequal schools", 2)
    whole = cell.draw(1, range(6))
    some = {**dict(whole.columns), "treated": np.array(whole.columns["treated"])}
    some["treated"][whole.row_offsets[3] : whole.row_offsets[3] + 4] = 1.0
    batch = Batch(
        some, whole.group, whole.school_offsets, whole.replication_offsets, whole.replications, whole.streams
    )
    for name in ("ols-cr1s-t", "reml-satt"):
        together = get(name).fit(batch, cell.model, "batched")
        assert (together.status == FitStatus.SINGULAR).sum() == 5
        for r in range(6):
            alone = get(name).fit(batch.take([r]), cell.model, "batched")
            np.testing.assert_array_equal(together.estimate[r], alone.estimate[0])
            np.testing.assert_array_equal(together.df[r], alone.df[0])
            assert together.texts()[r] == alone.texts()[0]


def test_what_is_doubtful_is_left() -> None:
    """A column that is another but for 1e-9 of its spread: only the students themselves can tell."""
    cell = cell_of("unequal schools", 1)
    whole = cell.draw(1, range(3))
    age = np.asarray(whole.columns["age"])
    some = {**dict(whole.columns), "treated": age + 1e-9 * np.random.default_rng(1).normal(size=len(age))}
    batch = Batch(
        some, whole.group, whole.school_offsets, whole.replication_offsets, whole.replications, whole.streams
    )
    assert batch.once(dependent.parts_of, cell.model) == []

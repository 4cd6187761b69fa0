"""Reference and batched engines agree, for every method that has both: the contract of ARCHITECTURE.md, parametrised.

A new method is under test by being registered. `agreement.compare` is the function that audits and `nestbench verify`
use; that it can fail is tested first.
"""

from __future__ import annotations

import dataclasses
import gc
import weakref
from functools import cache

import numpy as np
import pytest

from nestbench.estimators.agreement import compare, differences
from nestbench.estimators.estimates import Estimates
from nestbench.estimators.estimator import Agreement, Estimator
from nestbench.estimators.registry import get
from nestbench.sim.batch import Batch, Category
from nestbench.sim.cell import Cell
from nestbench.sim.errors import InvalidInput
from nestbench.sim.layout import Layout
from nestbench.sim.model import Model
from nestbench.sim.random_intercept import RandomIntercept
from tests.estimators.declared import READY

MODEL = Model("grade ~ age + gender + resources", subgroup="klass")
LAYOUTS = {
    "balanced": (0.2, Layout(10, 8)),
    "boundary": (0.0, Layout(6, (2, 9, 4, 12, 7, 5))),
    "ragged": (0.3, Layout(14, (1, 1, 2, 3, 3, 5, 5, 8, 8, 8, 13, 21, 2, 1))),
}
BOTH = [e for e in READY if e.reference is not None and e.batched is not None]


@cache
def drawn(layout: str) -> Batch:
    icc, sizes = LAYOUTS[layout]
    batch = Cell(RandomIntercept(icc=icc), sizes, MODEL).draw(11, range(5))
    rows = np.concatenate([np.arange(size) for size in np.diff(batch.school_offsets)])
    klass = Category((rows % 2).astype(np.int32), ("a", "b"))
    return dataclasses.replace(batch, columns={**batch.columns, "klass": klass}, _memo={})


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("estimator", BOTH, ids=lambda e: e.name)
def test_engines_agree(estimator: Estimator, layout: str) -> None:
    record = compare(estimator, drawn(layout), MODEL)
    assert record["fits"] == 5
    assert record["disagreements"] == 0, record
    assert record["agreement"] == str(estimator.agreement)


def test_every_method_with_two_engines_says_how_they_agree() -> None:
    assert [e.name for e in BOTH if e.agreement is None] == []
    assert len(BOTH) >= 15


def shifted(estimator: Estimator, by: float) -> Estimator:
    """The method with a batched engine whose standard errors are wrong by a factor."""
    original = estimator.batched
    assert original is not None

    def wrong(batch: Batch, model: Model, options: object) -> Estimates:
        right = original(batch, model, estimator.options)
        return dataclasses.replace(right, std_error=right.std_error * (1.0 + by))

    return dataclasses.replace(estimator, batched=wrong)


@pytest.mark.parametrize("name", ["ols-cr1s-t", "reml-satt"])
def test_a_small_error_is_a_disagreement(name: str) -> None:
    record = compare(shifted(get(name), 1e-8), drawn("balanced"), MODEL)
    assert record["disagreements"] == 5
    assert record["worst"] == pytest.approx(1e-8, rel=0.1)


def test_an_optimum_that_is_missed_is_a_disagreement() -> None:
    right = get("reml-z")
    assert right.batched is not None
    original = right.batched

    def lower(batch: Batch, model: Model, options: object) -> Estimates:
        found = original(batch, model, right.options)
        worse = {**found.quantities, "(loglik)": found.quantities["(loglik)"] - 0.01}
        return dataclasses.replace(found, quantities=worse)

    def moving(batch: Batch, model: Model, options: object) -> Estimates:
        found = original(batch, model, right.options)
        return dataclasses.replace(
            found, quantities={**found.quantities, "(score)": np.full(found.size, 0.1)}
        )

    for wrong in (lower, moving):
        record = compare(dataclasses.replace(right, batched=wrong), drawn("balanced"), MODEL)
        assert record["disagreements"] == 5


def test_a_reference_that_stops_short_is_counted_not_blamed() -> None:
    right = get("reml-z")
    assert right.reference is not None
    original = right.reference

    def short(batch: Batch, model: Model, options: object) -> Estimates:
        found = original(batch, model, right.options)
        worse = {**found.quantities, "(loglik)": found.quantities["(loglik)"] - 0.5}
        return dataclasses.replace(found, quantities=worse)

    record = compare(dataclasses.replace(right, reference=short), drawn("balanced"), MODEL)
    assert record["stopped_short"] == 5
    assert record["worst_shortfall"] == pytest.approx(0.5, abs=1e-6)


def test_a_number_missing_on_one_side_is_infinitely_different() -> None:
    found = get("ols").fit(drawn("balanced"), MODEL, "batched")
    holes = found.std_error.copy()
    holes[2, 1] = np.nan
    assert differences(found, dataclasses.replace(found, std_error=holes)).tolist() == [0, 0, np.inf, 0, 0]


def test_one_engine_is_nothing_to_compare() -> None:
    with pytest.raises(InvalidInput, match="two engines"):
        compare(dataclasses.replace(get("ols"), batched=None), drawn("balanced"), MODEL)


@pytest.mark.parametrize("estimator", BOTH, ids=lambda e: e.name)
def test_a_fitted_batch_is_freed_at_once(estimator: Estimator) -> None:
    """A cycle between a batch and what it remembers would hold its data until Python's collector runs."""
    batch = drawn("balanced").take([0, 1])
    gone = weakref.ref(batch)
    gc.disable()
    try:
        estimator.fit(batch, MODEL, "batched")
        del batch
        assert gone() is None
    finally:
        gc.enable()


def test_agreement_classes_are_used() -> None:
    assert {e.agreement for e in BOTH} >= {Agreement.DIRECT, Agreement.IMPLICIT}

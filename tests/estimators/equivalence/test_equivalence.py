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

from nestbench.estimators.engines.at_theta import relative_covariance
from nestbench.estimators.engines.mixed_fit import fit_given
from nestbench.estimators.engines.mixed_textbook import factor_of, fit_at, textbook_of
from nestbench.estimators.engines.reference import matrices_of
from nestbench.estimators.equivalence.agreement import (
    FORMULAS,
    audited,
    compare,
    differences,
)
from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.estimators.estimator import Agreement, Estimator
from nestbench.estimators.methods.registry import get
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Batch, Category
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept
from tests.estimators.declared import OWN
from tests.golden.reference import golden

MODEL = Model("grade ~ age + gender + resources", subgroup="klass")
LAYOUTS = {
    "balanced": (0.2, Layout(10, 8)),
    "boundary": (0.0, Layout(6, (2, 9, 4, 12, 7, 5))),
    "ragged": (0.3, Layout(14, (1, 1, 2, 3, 3, 5, 5, 8, 8, 8, 13, 21, 2, 1))),
}
BOTH = [e for e in OWN if e.reference is not None and e.batched is not None]


@cache
def drawn(layout: str) -> Batch:
    icc, sizes = LAYOUTS[layout]
    batch = Cell(RandomIntercept(icc=icc), sizes, MODEL).draw(11, range(5))
    rows = np.concatenate([np.arange(size) for size in np.diff(batch.school_offsets)])
    klass = Category((rows % 2).astype(np.int32), ("a", "b"))
    return dataclasses.replace(batch, columns={**batch.columns, "klass": klass}, _memo={})


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("estimator", BOTH, ids=lambda e: e.label)
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


SLOPES = {"slope25": "1 + age", "unbal8": "1 + age", "boundary12": "0 + age"}


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
@pytest.mark.parametrize("name", ["reml-z", "ml-z"])
@pytest.mark.parametrize(("data", "random"), SLOPES.items())
def test_random_slopes_are_the_same_function_at_the_theta_of_the_reference(
    data: str, random: str, name: str, covariance: str
) -> None:
    case = golden(data, "m1")
    record = compare(get({"name": name, "covariance": covariance}), case.batch(), case.spec(random=random))
    assert record["disagreements"] == 0, record
    assert record["worst"] < FORMULAS


@pytest.mark.parametrize("layout", LAYOUTS)
def test_mundlak_is_the_same_function_at_the_theta_of_the_reference(layout: str) -> None:
    """The widened formulas at its theta give its numbers; a standard error off by 1e-6 is noticed."""
    record = compare(get("mundlak-z"), drawn(layout), MODEL)
    assert record["disagreements"] == 0, record
    assert record["worst"] < FORMULAS
    right = get("mundlak-z")
    assert right.reference is not None
    original = right.reference

    def wrong(batch: Batch, model: Model, options: object) -> Estimates:
        found = original(batch, model, right.options)
        return dataclasses.replace(found, std_error=found.std_error * (1.0 + 1e-6))

    assert compare(dataclasses.replace(right, reference=wrong), drawn(layout), MODEL)["disagreements"] == 5


def test_formulas_are_evaluated_away_from_the_optimum() -> None:
    """Half the covariance of the optimum: another likelihood, and the reference's formulas give the same one."""
    case = golden("slope25", "m1")
    batch, model = case.batch(), case.spec(random="1 + age")
    found = get("reml-z").fit(batch, model, "batched")
    psi = 0.5 * relative_covariance(("Intercept", "age"), found.quantities)
    there = fit_given(batch, model, True, psi)
    relative = relative_covariance(("Intercept", "age"), there.quantities)
    np.testing.assert_allclose(relative, psi, rtol=1e-10)
    data = matrices_of(batch, model).of(batch.replication(0), {})
    written = textbook_of(data, factor_of(2, False), True)
    root = np.linalg.cholesky(psi[0])
    dense = fit_at(written, root[np.array([0, 1, 1]), np.array([0, 0, 1])])
    assert there.quantities["(loglik)"][0] == pytest.approx(-0.5 * dense.criterion, rel=1e-10)
    assert there.quantities["(loglik)"][0] < found.quantities["(loglik)"][0] - 0.1
    np.testing.assert_allclose(there.estimate[0], dense.estimate, rtol=1e-9)


def test_a_wrong_number_at_a_random_slope_is_a_disagreement() -> None:
    case, right = golden("slope25", "m1"), get("reml-z")
    assert right.reference is not None
    original = right.reference

    def wrong(batch: Batch, model: Model, options: object) -> Estimates:
        found = original(batch, model, right.options)
        return dataclasses.replace(found, std_error=found.std_error * (1.0 + 1e-6))

    model = case.spec(random="1 + age")
    assert compare(dataclasses.replace(right, reference=wrong), case.batch(), model)["disagreements"] == 1


def test_a_subject_is_compared_with_the_maximum_and_not_blamed() -> None:
    record = compare(get("mixedlm"), drawn("boundary"), MODEL)
    assert record["agreement"] == Agreement.UNDER_STUDY
    assert (record["fits"], record["disagreements"]) == (5, 0)
    assert record["stopped_short"] >= 1
    assert 0 < record["worst_shortfall"] < 50


@pytest.mark.parametrize(("by", "short", "off"), [(0.7, 5, 0), (-0.7, 0, 5), (np.nan, 5, 0)])
def test_a_subject_below_above_and_without_a_likelihood(by: float, short: int, off: int) -> None:
    def moved(batch: Batch, model: Model, options: object) -> Estimates:
        found = get("reml-z").fit(batch, model, "batched")
        return dataclasses.replace(found, quantities={"(loglik)": found.quantities["(loglik)"] - by})

    record = compare(dataclasses.replace(get("mixedlm"), reference=moved), drawn("balanced"), MODEL)
    assert (record["stopped_short"], record["disagreements"]) == (short, off)
    assert record["worst_shortfall"] == pytest.approx(max(np.nan_to_num(by), 0.0), abs=1e-9)


def test_what_an_audit_compares() -> None:
    assert audited(get("ols"))
    assert audited(get("mixedlm"))
    assert not audited(get("pyfixest-crv1"))


@pytest.mark.parametrize("name", ["reml-z", "ml-z", "reml-satt", "reml-kr", "reml-bw"])
def test_no_freedom_within_schools_is_refused_by_both_engines(name: str) -> None:
    """One school of two students and a student-level term: any outcome is fitted exactly within schools."""
    model = Model("grade ~ age + resources")
    batch = Cell(RandomIntercept(), Layout(9, (1,) * 8 + (2,)), model).draw(5, range(4))
    assert compare(get(name), batch, model)["disagreements"] == 0
    got = get(name).fit(batch, model, "batched")
    assert set(got.status) == {FitStatus.FAILED}
    assert "fitted exactly within schools" in got.messages[got.message[0]]


def test_one_engine_is_nothing_to_compare() -> None:
    with pytest.raises(InvalidInput, match="two engines"):
        compare(dataclasses.replace(get("ols"), batched=None), drawn("balanced"), MODEL)


@pytest.mark.parametrize("estimator", BOTH, ids=lambda e: e.label)
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


def test_what_a_method_is_does_not_hang_on_its_name() -> None:
    subject, wide = (
        dataclasses.replace(get("mixedlm"), name="mine"),
        dataclasses.replace(get("mundlak-z"), name="mine-too"),
    )
    batch = drawn("balanced").take([0, 1])
    assert compare(subject, batch, MODEL) == compare(get("mixedlm"), batch, MODEL)
    assert compare(wide, batch, MODEL)["disagreements"] == 0
    named = {e.name for e in BOTH if e.at_theta is not None}
    assert named == {"reml-z", "ml-z", "mundlak-z"}


def test_agreement_classes_are_used() -> None:
    assert {e.agreement for e in BOTH} >= {Agreement.DIRECT, Agreement.IMPLICIT}

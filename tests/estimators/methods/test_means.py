"""School means: one row a school, written out densely; HC2 beside Welch; what can't be."""

from __future__ import annotations

import numpy as np
import pytest

from nestbench.estimators.engines import ols_batched
from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.estimators.estimator import Estimator
from nestbench.estimators.methods.means import hc2
from nestbench.estimators.methods.registry import get
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Batch
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept
from tests.golden.reference import Golden, golden

engines = pytest.mark.parametrize("engine", ["reference", "batched"])


def means(**options: str) -> Estimator:
    return get({"name": "means", **options})


def one_row_a_school(case: Golden, term: str, weights: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(y, X, w) of the school means, straight from the frame."""
    grouped = case.frame().groupby(case.group)
    rows = grouped[["grade", term]].mean()
    x = np.column_stack([np.ones(len(rows)), rows[term]])
    w = grouped.size().to_numpy(float) if weights == "size" else np.ones(len(rows))
    return rows["grade"].to_numpy(), x, w


@engines
@pytest.mark.parametrize("variance", ["pooled", "hc2"])
@pytest.mark.parametrize("weights", ["none", "size"])
@pytest.mark.parametrize(
    ("data", "term"), [("unbal8-m2", "funding"), ("bal10-m2", "treat"), ("treat30-m2", "treat")]
)
def test_is_the_regression_written_out(
    data: str, term: str, weights: str, variance: str, engine: str
) -> None:
    case = golden(*data.split("-"))
    got = means(weights=weights, variance=variance).fit(case.batch(), case.spec(), engine)
    y, x, w = one_row_a_school(case, term, weights)
    bread = np.linalg.inv(x.T @ np.diag(w) @ x)
    beta = bread @ x.T @ (w * y)
    e, h = y - x @ beta, np.diag(np.diag(w) @ x @ bread @ x.T)
    df = len(y) - 2
    covariance = {
        "pooled": (w @ e**2) / df * bread,
        "hc2": bread @ (x.T @ np.diag(w**2 * e**2 / (1.0 - h)) @ x) @ bread,
    }[variance]
    own = [got.terms.index("Intercept"), got.terms.index(term)]
    np.testing.assert_allclose(got.estimate[0][own], beta, rtol=1e-10)
    np.testing.assert_allclose(got.std_error[0][own], np.sqrt(np.diag(covariance)), rtol=1e-10)
    assert got.df[0][own].tolist() == [df, df]
    others = [j for j in range(len(got.terms)) if j not in own]
    assert np.isnan(got.estimate[0][others]).all()
    assert "left out of the school means" in got.texts()[0]


def trial(schools: int, treated: int, replications: int = 6) -> tuple[Batch, Model]:
    model = Model("grade ~ treated")
    layout = Layout(schools=schools, students=7, treated_schools=treated)
    return Cell(RandomIntercept(icc=0.3), layout, model).draw(3, range(replications)), model


@engines
def test_hc2_of_two_arms_is_the_unpooled_difference_of_means(engine: str) -> None:
    """``s1^2 / G1 + s0^2 / G0`` of the school means, as in Welch's test."""
    batch, model = trial(9, 3)
    got = means(variance="hc2").fit(batch, model, engine)
    schools = np.add.reduceat(np.asarray(batch.columns["grade"]), batch.school_offsets[:-1]) / 7
    treated, control = schools.reshape(-1, 9)[:, :3], schools.reshape(-1, 9)[:, 3:]
    welch = treated.var(axis=1, ddof=1) / 3 + control.var(axis=1, ddof=1) / 6
    np.testing.assert_allclose(got.std_error[:, 1] ** 2, welch, rtol=1e-10)
    assert (got.df == 7).all()


def test_hc2_and_pooled_are_the_same_for_equal_arms_and_sizes() -> None:
    batch, model = trial(8, 4)
    hc2, pooled = (means(variance=v).fit(batch, model).std_error[:, 1] for v in ("hc2", "pooled"))
    np.testing.assert_allclose(hc2, pooled, rtol=1e-12)


@engines
def test_one_treated_school_has_no_hc2(engine: str) -> None:
    batch, model = trial(6, 1)
    got = means(variance="hc2").fit(batch, model, engine)
    assert set(got.status) == {FitStatus.FAILED}
    assert set(got.texts()) == {"HC2 is not defined: a school has leverage 1"}
    assert means().fit(batch, model, engine).usable.all()


def test_the_fast_engine_leaves_no_regular_fit_to_the_other() -> None:
    def refuse(*_: object) -> Estimates:
        raise AssertionError("left to the reference engine")

    batch, model = trial(9, 3)
    got = ols_batched.between_engine(hc2, refuse)(batch, model, means().options)
    assert got.usable.all()


@engines
@pytest.mark.parametrize(
    ("option", "value", "meant"), [("weights", "sizes", "size"), ("variance", "hc1", "hc2")]
)
def test_an_unknown_choice_is_refused(option: str, value: str, meant: str, engine: str) -> None:
    batch, model = trial(6, 3)
    with pytest.raises(InvalidInput, match=rf"means\.{option} to be one of .* Did you mean '{meant}'"):
        means(**{option: value}).fit(batch, model, engine)

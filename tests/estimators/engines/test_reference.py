"""The reference loop: what it does around a method, whatever the method does."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest

from nestbench.estimators.engines.estimable import estimable
from nestbench.estimators.engines.reference import Answer, CannotFit, DataSet, FitOne, reference_engine
from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept

MODEL = Model(formula="grade ~ age + resources")


def run(fit_one: FitOne, replications: int = 3, quantities: tuple[str, ...] = ()) -> Estimates:
    batch = Cell(RandomIntercept(), Layout(schools=4, students=5), MODEL).draw(1, range(replications))
    return reference_engine(fit_one, quantities=quantities)(batch, MODEL, {})


def zeros(data: DataSet) -> Answer:
    return Answer(np.zeros(data.x.shape[1]), np.ones(data.x.shape[1]))


def test_warnings_are_data_with_their_numbers_taken_out() -> None:
    def fit(data: DataSet) -> Answer:
        warnings.warn(f"|grad| = {float(data.y[0]):f}\n  too large", RuntimeWarning, stacklevel=1)
        warnings.warn("twice", RuntimeWarning, stacklevel=1)
        warnings.warn("twice", RuntimeWarning, stacklevel=1)
        return zeros(data)

    got = run(fit)
    assert got.texts() == ["|grad| = # too large; twice"] * 3
    assert (got.status == FitStatus.OK).all()


@pytest.mark.parametrize(
    "error", [ValueError("a"), ZeroDivisionError("a"), np.linalg.LinAlgError("a"), OverflowError("a")]
)
def test_a_statistical_exception_is_a_row(error: Exception) -> None:
    def fit(data: DataSet) -> Answer:
        if data.sample.number == 1:
            raise error
        return zeros(data)

    got = run(fit)
    assert got.status.tolist() == [FitStatus.OK, FitStatus.FAILED, FitStatus.OK]
    assert got.texts()[1] == f"{type(error).__name__}: a"
    assert np.isnan(got.estimate[1]).all()
    assert np.isfinite(got.estimate[[0, 2]]).all()


@pytest.mark.parametrize("error", [TypeError, AttributeError, KeyError, InvalidInput, MemoryError])
def test_a_defect_or_a_wrong_option_is_not_hidden(error: type[Exception]) -> None:
    def fit(data: DataSet) -> Answer:
        raise error("no such thing")

    with pytest.raises(error):
        run(fit)


def test_a_methods_own_reason_is_its_message() -> None:
    def fit(data: DataSet) -> Answer:
        raise CannotFit("too few schools")

    assert run(fit).texts() == ["too few schools"] * 3


def test_ok_needs_finite_estimates() -> None:
    def fit(data: DataSet) -> Answer:
        return Answer(np.array([1.0, np.inf, 0.0]), np.ones(3))

    got = run(fit)
    assert (got.status == FitStatus.FAILED).all()
    assert set(got.texts()) == {"an estimate is not finite"}


def test_quantities_are_there_even_when_the_fit_is_not() -> None:
    def fit(data: DataSet) -> Answer:
        raise CannotFit("no")

    got = run(fit, quantities=("(icc)",))
    assert np.isnan(got.quantities["(icc)"]).all()


def test_own_intervals_and_p_values_replace_the_t_test() -> None:
    def fit(data: DataSet) -> Answer:
        k = data.x.shape[1]
        if data.sample.number == 0:
            return zeros(data)
        return Answer(
            np.zeros(k),
            np.ones(k),
            np.nan,
            interval=(np.full(k, -7.0), np.full(k, 8.0)),
            p_value=np.full(k, 0.3),
        )

    got = run(fit, 2)
    assert got.lower[0] == pytest.approx([-1.959963984540054] * 3)
    assert got.p_value[0] == pytest.approx([1.0] * 3)
    assert got.lower[1].tolist() == [-7.0] * 3
    assert got.upper[1].tolist() == [8.0] * 3
    assert got.p_value[1].tolist() == [0.3] * 3


def test_rows_are_given_in_the_order_of_schools_with_their_numbers() -> None:
    seen = []

    def fit(data: DataSet) -> Answer:
        seen.append((data.sample.number, data.groups.tolist(), data.sizes.tolist(), data.schools))
        return zeros(data)

    run(fit, 2)
    groups = np.repeat(np.arange(4), 5).tolist()
    assert seen == [(0, groups, [5] * 4, 4), (1, groups, [5] * 4, 4)]


class TestEstimable:
    """Estimable: the unit vector is in the row space. Checked against the definition with exact integer data."""

    @staticmethod
    def by_definition(x: np.ndarray) -> list[bool]:
        rank = np.linalg.matrix_rank(x)
        return [
            np.linalg.matrix_rank(np.vstack([x, np.eye(x.shape[1])[j]])) == rank for j in range(x.shape[1])
        ]

    @pytest.mark.parametrize("seed", range(30))
    def test_agrees_with_the_definition(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        free = rng.integers(-3, 4, size=(12, 3)).astype(float)
        mixed = free @ rng.integers(-1, 2, size=(3, 5))
        x = np.column_stack([np.ones(12), mixed, rng.integers(0, 2, size=12)])[:, rng.permutation(7)]
        intercept = int(np.flatnonzero((x == 1).all(axis=0))[0])
        answer, kept = estimable(x, intercept)
        assert answer.tolist() == self.by_definition(x)
        assert np.linalg.matrix_rank(x[:, kept]) == len(kept) == np.linalg.matrix_rank(x)
        assert set(np.flatnonzero(answer)) <= set(kept.tolist())

    @pytest.mark.parametrize("seed", range(10))
    def test_without_an_intercept(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        free = rng.integers(-3, 4, size=(9, 2)).astype(float)
        x = np.column_stack([free, free[:, 0] + free[:, 1] * (seed % 2), rng.integers(0, 5, size=9)])
        answer, kept = estimable(x, None)
        assert answer.tolist() == self.by_definition(x)
        assert np.linalg.matrix_rank(x[:, kept]) == len(kept)

    @pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
    @pytest.mark.parametrize("shift", [0.0, 1e6])
    def test_units_and_shifts_neither_hide_nor_feign_a_dependence(self, unit: float, shift: float) -> None:
        rng = np.random.default_rng(4)
        a, b = rng.standard_normal((2, 40))
        one = np.ones(40)
        independent = np.column_stack([one, (a + shift) * unit, b])
        dependent = np.column_stack([one, (a + shift) * unit, b, (a + shift) * unit * 3.0 + 1.0 * unit])
        assert estimable(independent, 0)[0].all()
        assert estimable(dependent, 0)[0].tolist() == [False, False, True, False]

    def test_fewer_rows_than_columns(self) -> None:
        x = np.array([[1.0, 2.0, 3.0], [1.0, 4.0, 5.0]])
        assert estimable(x, 0)[0].tolist() == self.by_definition(x)

    def test_no_matrix_of_rows_by_rows_is_made(self) -> None:
        one, column = np.ones(4000), np.arange(4000.0)
        tracemalloc.start()
        try:
            assert estimable(np.column_stack([one, column, 2 * column]), 0)[0].tolist() == [
                True,
                False,
                False,
            ]
            assert tracemalloc.get_traced_memory()[1] < 100 * 8 * 4000
        finally:
            tracemalloc.stop()

"""School moments against their definition, and the numbers that come out of hard data."""

from __future__ import annotations

import dataclasses
import itertools
import tracemalloc

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nestbench.estimators.engines.estimable import estimable, plainly_estimable
from nestbench.estimators.moments.school_moments import SchoolMoments, moments_of, raw_moments
from nestbench.sim.observed.batch import Batch, Category, offsets_of
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model
from nestbench.sim.streams import StreamSource
from tests.oracles.moments import columns_of, cross_products

RAGGED = ([3, 1, 4, 20], [2, 2, 9], [5, 1, 1, 2, 2, 31])


def ragged_batch(seed: int = 1, sizes: tuple[list[int], ...] = RAGGED, mean: float = 15.0) -> Batch:
    rng = np.random.default_rng(seed)
    n = sum(map(sum, sizes))
    numbers = {f"x{k}": rng.normal(mean, 1.0, n) for k in range(9)}
    return Batch(
        columns={
            "grade": mean + 0.3 * (numbers["x0"] - mean) + rng.normal(size=n),
            "gender": Category(rng.integers(0, 2, n).astype(np.int32), ("female", "male")),
            **numbers,
        },
        group="school",
        school_offsets=offsets_of([size for one in sizes for size in one]),
        replication_offsets=offsets_of([len(one) for one in sizes]),
        replications=np.arange(len(sizes)),
        streams=StreamSource(1, "test"),
    )


def with_columns(batch: Batch, **columns: np.ndarray) -> Batch:
    return dataclasses.replace(batch, columns={**batch.columns, **columns}, _memo={})


def coefficients(moments: SchoolMoments, r: int) -> np.ndarray:
    first, last = moments.replication_offsets[r : r + 2]
    total = moments.cross[first:last].sum(axis=0)
    x = moments.x
    beta = np.linalg.solve(total[np.ix_(x, x)], total[x, -1])
    return np.asarray(moments.contrasts[r] @ beta + moments.shift[r])


def exact_coefficients(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Least squares in 60 digits."""
    with mpmath.workdps(60):
        m = mpmath.matrix(x.T.tolist())
        solution = mpmath.lu_solve(m.T * m, m.T * mpmath.matrix(y.tolist()))
        return np.array([float(value) for value in solution])


FORMULAS = [f"grade ~ {' + '.join(['1', *[f'x{k}' for k in range(p)]])}" for p in range(10)]


@pytest.mark.parametrize(
    "formula",
    [
        *FORMULAS,
        "grade ~ 0 + x0",
        "grade ~ gender*x1 + group_mean(x0)",
        "grade ~ group_centred(x0) + I(x1**2)",
    ],
)
@pytest.mark.parametrize("random", ["1", "1 + x8"])
def test_cross_products_are_those_of_the_columns(formula: str, random: str) -> None:
    batch, model = ragged_batch(), Model(formula, random=random)
    moments = moments_of(batch, model)
    expected = cross_products(batch, model, moments)
    np.testing.assert_allclose(moments.cross, expected, rtol=1e-10, atol=1e-11)
    np.testing.assert_array_equal(moments.cross[:, 0, 0], np.diff(batch.school_offsets))
    np.testing.assert_array_equal(moments.scale, 2.0 ** np.round(np.log2(moments.scale)))
    assert moments.regular.tolist() == [n > len(moments.x) for n in np.diff(batch.row_offsets)]


@pytest.mark.parametrize("formula", ["grade ~ x0 + gender", "grade ~ 0 + x0 + gender"])
@pytest.mark.parametrize("mean", [0.0, 15.0, 1e6])
def test_contrasts_and_shift_give_the_coefficients(formula: str, mean: float) -> None:
    batch, model = ragged_batch(mean=mean), Model(formula)
    moments, w = moments_of(batch, model), columns_of(batch, model)
    for r in range(batch.size):
        rows = batch.replication(r).rows
        x = np.vstack([w[j, rows] for j in moments.x])
        expected = exact_coefficients(x, w[-1, rows])
        np.testing.assert_allclose(coefficients(moments, r), expected, rtol=1e-9 if mean < 1e6 else 1e-8)


@pytest.mark.parametrize("formula", ["grade ~ x0 + gender", "grade ~ 0 + x0 + gender"])
def test_raw_moments_are_those_of_the_columns(formula: str) -> None:
    batch, model = ragged_batch(), Model(formula, random="1 + x1")
    raw, pivoted, w = raw_moments(batch, model), moments_of(batch, model), columns_of(batch, model)
    for s, (a, b) in enumerate(itertools.pairwise(batch.school_offsets)):
        np.testing.assert_allclose(raw.cross[s], w[:, a:b] @ w[:, a:b].T, rtol=1e-14)
    for field in dataclasses.fields(SchoolMoments):
        one, other = getattr(raw, field.name), getattr(pivoted, field.name)
        assert (one.shape, one.dtype) == (other.shape, other.dtype), field.name
    for r in range(batch.size):
        np.testing.assert_allclose(coefficients(raw, r), coefficients(pivoted, r), rtol=1e-9)


@pytest.mark.parametrize("spread", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("random", ["1", "1 + x0"])
def test_nearly_collinear_columns_keep_their_digits(spread: float, random: str) -> None:
    batch = ragged_batch()
    near = 12.0 * batch.columns["x0"] + spread * batch.columns["x1"]
    batch, model = with_columns(batch, near=near), Model("grade ~ x0 + near + gender", random=random)
    moments, w = moments_of(batch, model), columns_of(batch, model)
    assert moments.regular.all()
    for r in range(batch.size):
        rows = batch.replication(r).rows
        expected = exact_coefficients(np.vstack([w[j, rows] for j in moments.x]), w[-1, rows])
        # near carries rounding errors of 1e-14, hence 1e-14 / spread in any computation from its doubles: none here
        np.testing.assert_allclose(coefficients(moments, r), expected, rtol=1e-13 / spread + 1e-11)


def test_random_columns_are_never_mixed() -> None:
    batch = ragged_batch()
    batch = with_columns(batch, near=12.0 * batch.columns["x0"] + 1e-5 * batch.columns["x1"])
    plain, model = Model("grade ~ x0", random="1 + x0"), Model("grade ~ near + x0", random="1 + x0")
    moments, alone = moments_of(batch, model), moments_of(batch, plain)
    z, z_alone = moments.z, alone.z
    np.testing.assert_allclose(
        moments.cross[:, z[:, None], z], alone.cross[:, z_alone[:, None], z_alone], rtol=1e-12, atol=1e-12
    )


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from([1e-12, 1e-8, 1.0, 1e8, 1e12]),
    st.sampled_from([1e-12, 1e-8, 1.0, 1e8, 1e12]),
    st.integers(0, 10**6),
)
def test_units_do_not_matter(x_unit: float, y_unit: float, seed: int) -> None:
    batch, model = ragged_batch(seed), Model("grade ~ x0 + x1")
    scaled = with_columns(
        batch,
        x0=batch.columns["x0"] * x_unit,
        x1=batch.columns["x1"] / x_unit,
        grade=batch.columns["grade"] * y_unit,
    )
    plain, moments = moments_of(batch, model), moments_of(scaled, model)
    assert moments.regular.all()
    unit = y_unit * np.array([1.0, 1.0 / x_unit, x_unit])
    for r in range(batch.size):
        np.testing.assert_allclose(
            coefficients(moments, r) / unit, coefficients(plain, r), rtol=1e-8, atol=1e-12
        )


def test_a_replication_is_the_same_in_any_batch() -> None:
    batch, model = ragged_batch(), Model("grade ~ x0 + gender + x1 + x2 + x3 + group_mean(x0)")
    whole = moments_of(batch, model)
    for r in range(batch.size):
        one = moments_of(batch.take([r]), model)
        first, last = batch.replication_offsets[r : r + 2]
        assert one.cross.tobytes() == whole.cross[first:last].tobytes()
        assert one.contrasts[0].tobytes() == whole.contrasts[r].tobytes()
        assert one.shift[0].tobytes() == whole.shift[r].tobytes()


@pytest.mark.parametrize("column", ["grade", "x0"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_cannot_be_summed_are_marked(column: str, value: float) -> None:
    batch = ragged_batch()
    values = batch.columns[column].copy()
    values[batch.row_offsets[1]] = value
    moments = moments_of(with_columns(batch, **{column: values}), Model("grade ~ x0 + gender"))
    assert moments.regular.tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("grade ~ x0 + twice", [True, False, False]),
        ("grade ~ constant + x0", [False, False, True]),
        ("grade ~ x0 + x1 + sum", [True, False, False, False]),
        ("grade ~ 0 + constant + x0", [True, True]),
        ("grade ~ x1 + x0 + twice", [True, True, False, False]),
        ("grade ~ x0 + zero", [True, True, False]),
    ],
)
def test_a_term_is_estimable_if_the_data_identify_it(formula: str, expected: list[bool]) -> None:
    batch = ragged_batch()
    x0, x1 = batch.columns["x0"], batch.columns["x1"]
    made = {"twice": 2 * x0, "constant": np.full(batch.rows, 0.1), "sum": x0 + x1, "zero": 0 * x0}
    batch, model = with_columns(batch, **made), Model(formula)
    assert moments_of(batch, model).regular.tolist() == [all(expected)] * batch.size
    design = batch.once(design_of, model)
    intercept = 0 if design.intercept else None
    for r in range(batch.size):
        x = design.fixed(batch)[:, batch.replication(r).rows].T
        plainly = plainly_estimable(x, intercept)
        assert plainly is not None
        for answer, columns in (plainly, estimable(x, intercept)):
            assert answer.tolist() == expected
            assert np.linalg.matrix_rank(x[:, columns]) == len(columns) == np.linalg.matrix_rank(x)


def test_fewer_rows_than_columns_leave_only_what_they_identify() -> None:
    batch = ragged_batch(sizes=([3, 1],))
    design = batch.once(design_of, Model("grade ~ 0 + x0 + x1 + x2 + x3 + x4 + x5"))
    assert not estimable(design.fixed(batch).T, None)[0].any()


def test_what_is_estimable_is_told_without_a_matrix_of_rows_by_rows() -> None:
    batch = ragged_batch(sizes=([500] * 8,))
    design = batch.once(design_of, Model("grade ~ x0 + x1"))
    x = design.fixed(batch).T
    tracemalloc.start()
    try:
        assert estimable(x, 0)[0].all()
        assert tracemalloc.get_traced_memory()[1] < 100 * 8 * batch.rows
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("value", [0.0, 0.1, 1e12])
def test_a_constant_or_exactly_fitted_outcome_is_not_regular(value: float) -> None:
    batch = ragged_batch()
    constant = with_columns(batch, grade=np.full(batch.rows, value))
    fitted = with_columns(batch, grade=1.0 + value * batch.columns["x0"])
    for odd in (constant, fitted):
        assert not moments_of(odd, Model("grade ~ x0")).regular.any()

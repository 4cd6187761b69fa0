"""The batched least-squares family against reference values, its references on hard data, and its own limits."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nestbench.estimators.engines import ols_batched
from nestbench.estimators.equivalence.agreement import judge
from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.estimators.methods.registry import get
from nestbench.sim.observed.batch import Batch, Category, offsets_of
from nestbench.sim.observed.model import Model
from nestbench.sim.streams import StreamSource
from tests.golden.reference import Golden, models_with

SANDWICHES = {
    "CR0": ols_batched.cr0(),
    "CR1": ols_batched.cr0("CR1"),
    "CR1S": ols_batched.cr0("CR1S"),
    "CR2": ols_batched.cr2,
    "CR3": ols_batched.leave_one_out(centred=False),
    "CRV3J": ols_batched.leave_one_out(centred=True),
}
FAMILY = (
    "ols",
    "ols-cr0-z",
    "ols-cr0-t",
    "ols-cr1-t",
    "ols-cr1s-t",
    "ols-cr2-satt",
    "ols-cr3-t",
    "ols-jackknife-t",
    "dummies",
    "dummies-cr1s-z",
    "dummies-cr2-satt",
    "means",
)


def refuse(*_: object) -> Estimates:
    raise AssertionError("left to the reference engine")


def se_tolerance(case: Golden) -> float:
    return 1e-5 if (case.dataset, case.model) == ("collinear15", "m2") else 1e-9


@pytest.mark.parametrize("case", models_with(), ids=str)
@pytest.mark.parametrize("kind", SANDWICHES)
def test_pooled_reference_values(case: Golden, kind: str) -> None:
    got = ols_batched.pooled_engine(SANDWICHES[kind], refuse)(case.batch(), case.spec(), {})
    expected = case.values("exact", "cr", kind, "se")
    for j, term in enumerate(got.terms):
        assert got.estimate[0, j] == pytest.approx(case.values("exact", "coef")[term], rel=1e-9)
        assert got.std_error[0, j] == pytest.approx(expected[term], rel=se_tolerance(case))
        if kind == "CR2":
            df = case.values("exact", "cr", kind, "satterthwaite", "df")[term]
            assert got.df[0, j] == pytest.approx(df, rel=se_tolerance(case))
            p = case.values("exact", "cr", kind, "satterthwaite", "p")[term]
            assert got.p_value[0, j] == pytest.approx(p, rel=100 * se_tolerance(case))


@pytest.mark.parametrize("case", models_with("fe"), ids=str)
@pytest.mark.parametrize("engine", ["reference", "batched"])
def test_school_dummies_reference_values(case: Golden, engine: str) -> None:
    values = {
        "dummies": ("se",),
        "dummies-cr1s-z": ("cr", "CR1S", "se"),
        "dummies-cr2-satt": ("cr", "CR2", "se"),
    }
    for name, path in values.items():
        got = get(name).fit(case.batch(), case.spec(), engine)
        expected = case.values("fe", "exact", *path)
        df = case.values("fe", "exact", "cr", "CR2", "satterthwaite", "df")
        for j, term in enumerate(got.terms):
            if term in expected:
                assert got.std_error[0, j] == pytest.approx(expected[term], rel=se_tolerance(case))
                if name == "dummies-cr2-satt":
                    assert got.df[0, j] == pytest.approx(df[term], rel=se_tolerance(case))


def batch_of(seed: int, sizes: list[int], **columns: np.ndarray) -> Batch:
    rng = np.random.default_rng(seed)
    n, g = sum(sizes), len(sizes)
    school = np.repeat(rng.normal(size=g), sizes)
    drawn = {
        "age": rng.normal(15.0, 1.0, n),
        "gender": Category(rng.integers(0, 2, n).astype(np.int32), ("female", "male")),
        "resources": np.repeat(rng.normal(size=g), sizes),
        "treated": np.repeat((np.arange(g) < 1).astype(float), sizes),
    }
    drawn["grade"] = 50.0 + 0.5 * drawn["age"] + school + rng.normal(size=n)
    return Batch(
        columns={**drawn, **columns},
        group="school",
        school_offsets=offsets_of(sizes),
        replication_offsets=np.array([0, g]),
        replications=np.zeros(1, dtype=np.int64),
        streams=StreamSource(1, "test"),
    )


def assert_agree(batch: Batch, model: Model) -> None:
    for name in FAMILY:
        verdict = judge(get(name), batch, model)
        assert not verdict.disagrees.any(), (name, verdict)


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.integers(1, 12), min_size=2, max_size=9),
    st.sampled_from(
        ["grade ~ age + gender + resources", "grade ~ age + treated", "grade ~ 0 + age", "grade ~ 1"]
    ),
    st.integers(0, 10**6),
)
def test_any_sizes_and_terms(sizes: list[int], formula: str, seed: int) -> None:
    assert_agree(batch_of(seed, sizes), Model(formula))


@pytest.mark.parametrize("unit", [1e-12, 1e-8, 1e8, 1e12])
@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_units_and_origins_do_not_matter(unit: float, shift: float) -> None:
    sizes = [3, 7, 5, 9, 4, 6]
    plain = batch_of(4, sizes)
    moved = batch_of(4, sizes, grade=unit * plain.columns["grade"], age=plain.columns["age"] + shift)
    model = Model("grade ~ age + gender + resources")
    for name in FAMILY:
        a, b = get(name).fit(plain, model, "batched"), get(name).fit(moved, model, "batched")
        slopes = slice(1, None)
        np.testing.assert_allclose(b.std_error[0, slopes] / unit, a.std_error[0, slopes], rtol=1e-8)
        np.testing.assert_allclose(b.df[0, slopes], a.df[0, slopes], rtol=1e-8)
        np.testing.assert_allclose(b.p_value[0, slopes], a.p_value[0, slopes], rtol=1e-6)


def test_one_student_a_school_is_heteroskedasticity_robust() -> None:
    batch, model = batch_of(6, [1] * 30), Model("grade ~ age + gender")
    cr2, hc2 = get("ols-cr2-satt").fit(batch, model, "batched"), get("ols-hc2").fit(batch, model)
    cr3, hc3 = get("ols-cr3-t").fit(batch, model, "batched"), get("ols-hc3").fit(batch, model)
    np.testing.assert_allclose(cr2.std_error, hc2.std_error, rtol=1e-10)
    np.testing.assert_allclose(cr3.std_error, hc3.std_error, rtol=1e-10)


def test_equal_arms_have_the_exact_degrees_of_freedom() -> None:
    """A treatment of half of equal schools: CR2's df is G - 2, its SE that of the difference of school means."""
    g, m = 8, 5
    treated = np.repeat((np.arange(g) < g // 2).astype(float), m)
    batch = batch_of(7, [m] * g, treated=treated)
    got = get("ols-cr2-satt").fit(batch, Model("grade ~ treated"), "batched")
    means = batch.columns["grade"].reshape(g, m).mean(axis=1)
    arms = means[: g // 2], means[g // 2 :]
    se = np.sqrt(sum(arm.var(ddof=1) / len(arm) for arm in arms))
    assert got.df[0, 1] == pytest.approx(g - 2, rel=1e-10)
    assert got.std_error[0, 1] == pytest.approx(se, rel=1e-10)


@pytest.mark.parametrize("name", ["ols-cr3-t", "ols-jackknife-t"])
@pytest.mark.parametrize("unit", [1.0, 1e-9, 1e9])
def test_a_term_that_needs_one_school_has_no_leave_one_out_error(name: str, unit: float) -> None:
    """One treated school: every data set is flagged; the other terms keep the moves of brute-force deletion."""
    sizes = [4, 7, 3, 9, 5, 6, 2, 8]
    model = Model("grade ~ age + treated")
    for seed in range(20):
        plain = batch_of(seed, sizes)
        batch = batch_of(seed, sizes, treated=unit * plain.columns["treated"])
        x = np.column_stack([np.ones(batch.rows), plain.columns["age"], plain.columns["treated"]])
        y, group = batch.columns["grade"], np.repeat(np.arange(8), sizes)
        whole = np.linalg.lstsq(x, y, rcond=None)[0]
        left = [np.linalg.lstsq(x[group != g], y[group != g], rcond=None)[0] for g in range(8)]
        moves = np.array(left)[:, :2] - whole[:2]
        if name == "ols-jackknife-t":
            moves = np.sqrt(7 / 8) * (moves - moves.mean(axis=0))
        for engine in ("batched", "reference"):
            got = get(name).fit(batch, model, engine)
            assert got.status[0] == FitStatus.SINGULAR
            assert "not estimable without one of the schools: treated" in got.messages[got.message[0]]
            np.testing.assert_allclose(got.estimate[0], whole / [1.0, 1.0, unit], rtol=1e-9)
            np.testing.assert_allclose(got.std_error[0, :2], np.sqrt((moves**2).sum(axis=0)), rtol=1e-7)
            assert np.isnan(got.std_error[0, 2])
            assert np.isnan(got.p_value[0, 2])


def test_cr2_keeps_its_generalised_inverse_with_one_treated_school() -> None:
    """One treated school of G equal ones: its df is G - 2, and its standard error that of the others' mean."""
    g, m = 12, 4
    treated = np.repeat((np.arange(g) < 1).astype(float), m)
    batch = batch_of(7, [m] * g, treated=treated)
    got = get("ols-cr2-satt").fit(batch, Model("grade ~ treated"), "batched")
    means = batch.columns["grade"].reshape(g, m).mean(axis=1)[1:]
    assert got.status[0] == FitStatus.OK
    assert got.df[0, 1] == pytest.approx(g - 2, rel=1e-10)
    assert got.std_error[0, 1] == pytest.approx(means.std(ddof=1) / np.sqrt(g - 1), rel=1e-10)


def test_cr2_is_unbiased_under_iid_errors() -> None:
    """Exact: the variance of every term is a quadratic form in y; its trace is the true variance."""
    sizes = [2, 9, 4, 1, 6]
    plain, model = batch_of(8, sizes), Model("grade ~ age + resources")
    n = plain.rows
    basis = np.zeros(3)
    for i in range(n):
        unit = dataclasses.replace(plain, columns={**plain.columns, "grade": np.eye(n)[i]}, _memo={})
        fit = ols_batched.pooled(unit, model)
        variance, _, _ = ols_batched.cr2(fit)
        basis += variance[0]
    np.testing.assert_allclose(
        basis, ols_batched.pooled(plain, model).unscaled[0] * scale_of(plain, model), rtol=1e-9
    )


def scale_of(batch: Batch, model: Model) -> float:
    """Undo the scaling of y in `unscaled`."""
    return float(ols_batched.pooled(batch, model).moments.scale[0, -1] ** 2)


@pytest.mark.parametrize(
    ("column", "value", "status"),
    [
        ("grade", np.nan, FitStatus.FAILED),
        ("age", np.inf, FitStatus.FAILED),
        ("age", 1.0, FitStatus.SINGULAR),
    ],
)
def test_hard_replications_leave_the_others_alone(column: str, value: float, status: FitStatus) -> None:
    from nestbench.sim.cells.cell import Cell
    from nestbench.sim.cells.layout import Layout
    from nestbench.sim.random_intercept import RandomIntercept

    model = Model("grade ~ age + gender")
    batch = Cell(RandomIntercept(version=1), Layout(6, 9), model).draw(1, range(4))
    values = batch.columns[column].copy()
    values[batch.row_offsets[2] : batch.row_offsets[3]] = value
    hard = dataclasses.replace(batch, columns={**batch.columns, column: values}, _memo={})
    for name in FAMILY[:6]:
        got, plain = get(name).fit(hard, model), get(name).fit(batch, model)
        assert got.status.tolist() == [0, 0, int(status), 0]
        assert got.texts()[2] != ""
        others = [0, 1, 3]
        assert got.std_error[others].tobytes() == plain.std_error[others].tobytes()

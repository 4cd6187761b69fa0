"""Classes in schools: stored reference values, the textbook, limits, hard data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.estimators.methods.registry import get
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Batch, offsets_of
from nestbench.sim.observed.model import Model
from nestbench.sim.streams import StreamSource
from tests.golden.reference import Golden, models_with

MODEL = Model("grade ~ age + teacher", subgroup="class")


def close(got: Estimates, field: str, expected: dict[str, float]) -> None:
    values = dict(zip(got.terms, getattr(got, field)[0], strict=True))
    assert values == pytest.approx({term: expected[term] for term in values}, rel=1e-9)


@pytest.mark.parametrize("case", models_with("lmm", "nest"), ids=str)
def test_estimates_are_the_reference_values(case: Golden) -> None:
    got = get("nested-satt").fit(case.batch(), case.spec(subgroup="class"), "batched")
    close(got, "estimate", case.values("lmm", "nest", "REML", "fixef"))
    close(got, "std_error", case.values("lmm", "nest", "REML", "se"))
    close(got, "df", case.values("lmm", "nest", "REML", "satterthwaite", "df"))
    stored = case.at("lmm", "nest", "REML", "covariance_components")
    assert got.quantities["(class_sd)"][0] ** 2 == pytest.approx(stored["var class:school"], rel=1e-9)
    assert got.quantities["(school_sd)"][0] ** 2 == pytest.approx(stored["var school"], rel=1e-9)
    assert got.quantities["(loglik)"][0] == pytest.approx(case.at("lmm", "nest", "REML", "loglik"), rel=1e-12)


def drawn(replications: int = 8, schools: int = 7) -> Batch:
    """Schools of one to four unequal classes whose labels are the same everywhere; effects from none to strong."""
    rng = np.random.default_rng(8)
    grade, age, teacher, klass, sizes = [], [], [], [], []
    for r in range(replications):
        for _ in range(schools):
            effect, size = rng.normal() * (r % 3), 0
            for c in range(int(rng.integers(1, 5))):
                n, years, extra = int(rng.integers(1, 8)), rng.normal(), rng.normal() * (r % 2)
                a = rng.normal(15, 1, n)
                grade.append(50 + a + 0.5 * years + effect + extra + rng.normal(size=n))
                age.append(a)
                teacher.append(np.full(n, years))
                klass.append(np.full(n, float(c)))
                size += n
            sizes.append(size)
    columns = {"grade": grade, "age": age, "teacher": teacher, "class": klass}
    return Batch(
        columns={name: np.concatenate(parts) for name, parts in columns.items()},
        group="school",
        school_offsets=offsets_of(sizes),
        replication_offsets=offsets_of(np.full(replications, schools)),
        replications=np.arange(replications),
        streams=StreamSource(1, "nested"),
    )


def test_engines_agree_on_regular_and_singular_fits() -> None:
    batch = drawn()
    got, expected = (get("nested-satt").fit(batch, MODEL, engine) for engine in ("batched", "reference"))
    assert set(got.status) == {FitStatus.OK, FitStatus.BOUNDARY}
    np.testing.assert_array_equal(got.status, expected.status)
    for field in ("estimate", "std_error", "df"):
        np.testing.assert_allclose(getattr(got, field), getattr(expected, field), rtol=1e-7, err_msg=field)
    for name in ("(class_sd)", "(school_sd)", "(loglik)"):
        np.testing.assert_allclose(got.quantities[name], expected.quantities[name], rtol=1e-7, atol=1e-9)
    assert np.abs(got.quantities["(score)"]).max() < 1e-7


def test_without_class_variance_it_is_the_random_intercept() -> None:
    batch = drawn(24)
    got = get("nested-satt").fit(batch, MODEL, "batched")
    simple = get("reml-satt").fit(batch, replace(MODEL, subgroup=None), "batched")
    none = (got.quantities["(class_sd)"] == 0) & (got.quantities["(school_sd)"] > 0)
    assert none.sum() >= 3
    np.testing.assert_allclose(got.std_error[none], simple.std_error[none], rtol=1e-8)
    np.testing.assert_allclose(got.df[none], simple.df[none], rtol=1e-6)
    assert (got.quantities["(loglik)"] >= simple.quantities["(loglik)"] - 1e-9).all()


def test_one_class_per_school_is_not_three_levels() -> None:
    batch = drawn(1)
    same = replace(batch, columns={**batch.columns, "class": np.zeros(batch.rows)}, _memo={})
    alone = replace(batch, columns={**batch.columns, "class": np.arange(batch.rows) * 1.0}, _memo={})
    for data in (same, alone):
        for engine in ("batched", "reference"):
            got = get("nested-z").fit(data, MODEL, engine)
            assert got.status[0] == FitStatus.FAILED
            assert "class variance" in got.texts()[0]


def test_a_model_without_classes_is_an_error() -> None:
    with pytest.raises(InvalidInput, match="subgroup"):
        get("nested-z").fit(drawn(1), replace(MODEL, subgroup=None))
    with pytest.raises(InvalidInput, match="Did you mean 'class'"):
        get("nested-z").fit(drawn(1), replace(MODEL, subgroup="clas"))

"""Random slopes: stored reference values, the textbook on singular fits, what does not depend on the origin of age."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.estimators.methods.registry import get
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Batch, offsets_of
from nestbench.sim.observed.model import Model
from nestbench.sim.streams import StreamSource
from tests.golden.reference import Golden, golden, models_with

CASES = [(case, entry) for entry in ("rs", "rs0") for case in models_with("lmm", entry)]
cases = pytest.mark.parametrize(("case", "entry"), CASES, ids=[f"{case}-{entry}" for case, entry in CASES])


def fitted(case: Golden, entry: str, name: str) -> Estimates:
    slope = case.at("lmm", entry, "REML", "theta_names")[-1]
    covariance = "diagonal" if entry == "rs0" else "full"
    chosen = get({"name": name, "covariance": covariance})
    return chosen.fit(case.batch(), case.spec(random=f"1 + {slope}"), "batched")


def close(got: Estimates, field: str, expected: dict[str, float], rtol: float = 1e-9) -> None:
    values = dict(zip(got.terms, getattr(got, field)[0], strict=True))
    assert values == pytest.approx({term: expected[term] for term in values}, rel=rtol)


@cases
@pytest.mark.parametrize(("name", "criterion"), [("reml-z", "REML"), ("ml-z", "ML")])
def test_estimates_are_the_reference_values(case: Golden, entry: str, name: str, criterion: str) -> None:
    got = fitted(case, entry, name)
    close(got, "estimate", case.values("lmm", entry, criterion, "fixef"))
    close(got, "std_error", case.values("lmm", entry, criterion, "se"))
    stored = list(case.at("lmm", entry, criterion, "covariance_components").values())
    value = {key: values[0] for key, values in got.quantities.items()}
    slope = next(key for key in value if key.startswith("(slope_sd"))
    assert value["(school_sd)"] ** 2 == pytest.approx(stored[0], rel=1e-9)
    assert value[slope] ** 2 == pytest.approx(stored[-1], rel=1e-9)
    if entry == "rs":
        correlation = next(key for key in value if key.startswith("(corr"))
        product = value["(school_sd)"] * value[slope]
        assert value[correlation] == pytest.approx(stored[1] / product, rel=1e-9)
    assert value["(residual_sd)"] == pytest.approx(case.at("lmm", entry, criterion, "sigma"), rel=1e-9)
    assert value["(loglik)"] == pytest.approx(case.at("lmm", entry, criterion, "loglik"), rel=1e-12)
    assert abs(value["(score)"]) < 1e-8


@cases
def test_degrees_of_freedom_are_the_reference_values(case: Golden, entry: str) -> None:
    close(fitted(case, entry, "reml-satt"), "df", case.values("lmm", entry, "REML", "satterthwaite", "df"))
    adjusted = fitted(case, entry, "reml-kr")
    close(adjusted, "df", case.values("lmm", entry, "REML", "kenward_roger", "df"))
    close(adjusted, "std_error", case.values("lmm", entry, "REML", "kenward_roger", "se_adj"))


SLOPES = Model("grade ~ age + resources", random="1 + age")


@cache
def drawn(replications: int = 40, schools: int = 8) -> Batch:
    """Unequal schools, slopes from none to strong: many singular fits."""
    rng = np.random.default_rng(5)
    sizes = rng.integers(2, 12, size=(replications, schools))
    rows, school = int(sizes.sum()), np.repeat(np.arange(sizes.size), sizes.ravel())
    strength = np.repeat(np.linspace(0.0, 1.0, replications), sizes.sum(axis=1))
    age = rng.normal(15.0, 1.0, rows)
    resources = rng.normal(size=sizes.size)[school]
    effects = rng.normal(size=(2, sizes.size))[:, school]
    grade = 50 + 2 * age + strength * (effects[0] + effects[1] * (age - 15)) + rng.normal(size=rows)
    return Batch(
        columns={"grade": grade, "age": age, "resources": resources},
        group="school",
        school_offsets=offsets_of(sizes.ravel()),
        replication_offsets=offsets_of(np.full(replications, schools)),
        replications=np.arange(replications),
        streams=StreamSource(1, "slopes"),
    )


@cache
def picked() -> Batch:
    """Three of them, so that the reference engines share their slow fits."""
    return drawn().take([0, 20, 39])


@pytest.mark.parametrize("name", ["reml-satt", "reml-kr", "reml-cr2"])
def test_singular_and_regular_fits_are_those_of_the_textbook(name: str) -> None:
    batch = picked()
    got, expected = (get(name).fit(batch, SLOPES, engine) for engine in ("batched", "reference"))
    np.testing.assert_array_equal(got.status, expected.status)
    for field in ("estimate", "std_error", "df"):
        np.testing.assert_allclose(getattr(got, field), getattr(expected, field), rtol=1e-7, err_msg=field)
    np.testing.assert_allclose(got.quantities["(loglik)"], expected.quantities["(loglik)"], rtol=1e-11)


def test_every_fit_converges_and_beats_the_random_intercept() -> None:
    got = get("reml-satt").fit(drawn(), SLOPES, "batched")
    simple = get("reml-satt").fit(drawn(), replace(SLOPES, random="1"), "batched")
    assert set(got.status) == {FitStatus.OK, FitStatus.BOUNDARY}
    assert (got.quantities["(loglik)"] >= simple.quantities["(loglik)"] - 1e-9).all()
    assert np.abs(got.quantities["(score)"]).max() < 1e-7
    assert np.isfinite(got.df).all()


def test_the_origin_and_unit_of_age_do_not_matter() -> None:
    batch = drawn()
    moved = replace(batch, columns={**batch.columns, "age": 1e3 * (batch.columns["age"] + 40)}, _memo={})
    for name in ("reml-satt", "reml-kr"):
        got, expected = (get(name).fit(b, SLOPES, "batched") for b in (moved, batch))
        age = expected.terms.index("age")
        np.testing.assert_allclose(1e3 * got.std_error[:, age], expected.std_error[:, age], rtol=1e-7)
        np.testing.assert_allclose(got.df[:, age], expected.df[:, age], rtol=1e-6)
        slope = "(slope_sd[age])"
        np.testing.assert_allclose(
            1e3 * got.quantities[slope], expected.quantities[slope], rtol=1e-6, atol=1e-9
        )


@pytest.mark.parametrize("name", ["reml-satt", "reml-kr", "reml-cr2", "reml-z"])
def test_a_slope_far_from_its_origin_is_fitted_alike_by_both_engines(name: str) -> None:
    """Years 2000 .. 2020: intercept and slope correlate by all but 1e-5, and no direction may be lost for it."""
    sizes = np.full(3 * 12, 8)
    rng, school = np.random.default_rng(3), np.repeat(np.arange(len(sizes)), sizes)
    year = rng.integers(2000, 2021, len(school)).astype(float)
    level, slope = rng.normal(size=(2, len(sizes)))[:, school]
    income = 300 * level + (10 + 100 * slope) * (year - 2010) + 1000 * rng.normal(size=len(school))
    batch = Batch(
        columns={"income": income, "year": year},
        group="school",
        school_offsets=offsets_of(sizes),
        replication_offsets=offsets_of(np.full(3, 12)),
        replications=np.arange(3),
        streams=StreamSource(1, "years"),
    )
    centred = replace(batch, columns={"income": income, "year": year - 2010}, _memo={})
    model = Model("income ~ year", random="1 + year")
    got, expected = (get(name).fit(batch, model, engine) for engine in ("batched", "reference"))
    rtol = 1e-4 if name == "reml-z" else 1e-7
    assert FitStatus.OK in got.status
    np.testing.assert_array_equal(got.status, expected.status)
    for field in ("estimate", "std_error", "df"):
        np.testing.assert_allclose(getattr(expected, field), getattr(got, field), rtol=rtol, err_msg=field)
    near = get(name).fit(centred, model, "reference")
    np.testing.assert_allclose(expected.df[:, 1], near.df[:, 1], rtol=rtol)


def test_three_random_effects_and_one_without_intercept() -> None:
    batch = drawn().take([30, 39])
    extra = replace(batch, columns={**batch.columns, "hours": np.sin(7.0 * batch.columns["age"])}, _memo={})
    for random in ("1 + age + hours", "0 + age"):
        model = replace(SLOPES, random=random)
        got, expected = (get("reml-satt").fit(extra, model, engine) for engine in ("batched", "reference"))
        np.testing.assert_allclose(got.std_error, expected.std_error, rtol=1e-6)
        np.testing.assert_allclose(got.quantities["(loglik)"], expected.quantities["(loglik)"], rtol=1e-9)


def test_a_covariance_is_full_or_diagonal() -> None:
    case = golden("slope25", "m1c")
    with pytest.raises(InvalidInput, match="diagonal"):
        get({"name": "reml-z", "covariance": "diag"}).fit(case.batch(), case.spec(random="1 + agec"))


def test_schools_smaller_than_their_effects_fail() -> None:
    batch = drawn().take([0])
    sizes = np.full(batch.rows // 2, 2)
    rows = 2 * len(sizes)
    pairs = Batch(
        columns={name: np.asarray(column)[:rows].copy() for name, column in batch.columns.items()},
        group="school",
        school_offsets=offsets_of(sizes),
        replication_offsets=offsets_of([len(sizes)]),
        replications=np.arange(1),
        streams=StreamSource(1, "pairs"),
    )
    got = get("reml-satt").fit(pairs, SLOPES, "batched")
    assert got.status[0] == FitStatus.FAILED
    assert np.isnan(got.std_error).all()

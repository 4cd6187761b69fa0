"""Mundlak's device: student-level slopes are the within-school ones, whatever is fitted around them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nestbench.estimators.estimates import FitStatus
from nestbench.estimators.methods.registry import known
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.batch import Batch, Category
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept

MODEL = Model(formula="grade ~ age + gender + resources")
METHODS = [one for name, one in known().items() if name.startswith("mundlak-")]
both = pytest.mark.parametrize(
    ("method", "engine"),
    [
        pytest.param(one, e, id=f"{one.name}-{e}")
        for one in METHODS
        for e in ("reference", "batched")
        if getattr(one, e)
    ],
)


def batch() -> Batch:
    layout = Layout(schools=8, students=(4, 9, 6, 12, 5, 7, 3, 8))
    return Cell(RandomIntercept(icc=0.4, version=1), layout, MODEL).draw(3, range(4))


def one_gender_in_each_school(data: Batch, replication: int) -> Batch:
    """The same batch, but gender does not vary within the schools of one replication."""
    gender = data.columns["gender"]
    assert isinstance(gender, Category)
    codes = gender.codes.copy()
    rows, groups = data.replication(replication).rows, data.replication(replication).groups
    codes[rows] = groups % 2
    return replace(data, columns={**data.columns, "gender": Category(codes, gender.levels)}, _memo={})


@both
def test_slopes_within_schools_are_those_of_school_dummies(method: object, engine: str) -> None:
    data = batch()
    within = known()["dummies"].fit(data, MODEL, "reference")
    got = method.fit(data, MODEL, engine)  # type: ignore[attr-defined]
    assert got.terms == within.terms
    tolerance = 1e-9 if "cr" in method.name else 2e-5  # type: ignore[attr-defined]
    for term in ("age", "gender[T.male]"):
        j = got.terms.index(term)
        np.testing.assert_allclose(got.estimate[:, j], within.estimate[:, j], rtol=tolerance)
    assert np.isfinite(got.estimate).all()


@both
def test_is_the_method_on_a_formula_with_group_means(method: object, engine: str) -> None:
    data, names = batch(), dict(known())
    inner = names[{"mundlak-z": "reml-z", "mundlak-cr1s-t": "ols-cr1s-t"}.get(method.name, "reml-satt")]  # type: ignore[attr-defined]
    if method.name not in ("mundlak-z", "mundlak-cr1s-t", "mundlak-satt"):  # type: ignore[attr-defined]
        pytest.skip("the same construction on another method")
    male = np.asarray(data.columns["gender"].codes == 1, dtype=float)  # type: ignore[union-attr]
    numeric = replace(data, columns={**data.columns, "male": male}, _memo={})
    wide = replace(MODEL, formula="grade ~ age + male + resources + group_mean(age) + group_mean(male)")
    by_hand = inner.fit(numeric, wide, engine)
    got = method.fit(data, MODEL, engine)  # type: ignore[attr-defined]
    pairs = {"Intercept": "Intercept", "age": "age", "gender[T.male]": "male", "resources": "resources"}
    for mine, theirs in pairs.items():
        for name in ("estimate", "std_error", "p_value"):
            np.testing.assert_allclose(
                getattr(got, name)[:, got.terms.index(mine)],
                getattr(by_hand, name)[:, by_hand.terms.index(theirs)],
                rtol=1e-6,
                atol=1e-12,
            )


@both
def test_a_column_that_does_not_vary_here_is_school_level_here_alone(method: object, engine: str) -> None:
    mixed = one_gender_in_each_school(batch(), 2)
    together = method.fit(mixed, MODEL, engine)  # type: ignore[attr-defined]
    for r in range(mixed.size):
        alone = method.fit(mixed.take([r]), MODEL, engine)  # type: ignore[attr-defined]
        assert alone.replications[0] == together.replications[r]
        assert alone.texts()[0] == together.texts()[r]
        for name in ("estimate", "std_error", "df", "p_value", "lower", "upper", "status"):
            assert getattr(alone, name)[0].tobytes() == getattr(together, name)[r].tobytes()
        for name, values in together.quantities.items():
            assert alone.quantities[name][0].tobytes() == values[r].tobytes()
    assert (together.status <= FitStatus.BOUNDARY).all()

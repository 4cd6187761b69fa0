"""Compiled designs against formulaic's own matrices, and the messages for formulas that can't be used."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nestbench.sim import design as design_module
from nestbench.sim.batch import Batch, Category, batch_of_frame, offsets_of
from nestbench.sim.design import Design, design_of
from nestbench.sim.errors import InvalidInput
from nestbench.sim.formula import matrix_of
from nestbench.sim.model import Model
from nestbench.sim.streams import StreamSource

SIZES = ([3, 1, 4], [2, 2], [5, 1, 1, 2])


@pytest.fixture
def batch() -> Batch:
    """Three ragged replications; one level of `track` never occurs in the second."""
    rng = np.random.default_rng(5)
    n = sum(map(sum, SIZES))
    track = rng.integers(0, 3, n)
    track[8:12] %= 2
    return Batch(
        columns={
            "grade": rng.normal(size=n),
            "age": rng.normal(15.0, 1.0, n),
            "gender": Category(rng.integers(0, 2, n).astype(np.int32), ("female", "male")),
            "track": Category(track.astype(np.int32), ("a:b", "x[1]", "z")),
            "my score": rng.normal(size=n),
        },
        group="school",
        school_offsets=offsets_of([size for sizes in SIZES for size in sizes]),
        replication_offsets=offsets_of([len(sizes) for sizes in SIZES]),
        replications=np.array([4, 7, 9]),
        streams=StreamSource(1, "test"),
    )


COMPILED = (
    "grade ~ 1",
    "grade ~ age + gender",
    "grade ~ 0 + age + gender",
    "grade ~ age * gender",
    "grade ~ age + gender:track",
    "grade ~ (age + gender + track)**3",
    "grade ~ C(track):age + C(gender)",
    "grade ~ `my score`:age - 1",
    "grade ~ group_mean(age) + group_centred(age)",
    "age ~ group_mean(age):gender",
)
INTERPRETED = (
    "grade ~ log(age)",
    "log(age) ~ gender",
    "grade ~ poly(age, 2)",
    "grade ~ I(age**2) + gender",
    "grade ~ center(age)",
    "grade ~ group_mean(log(age))",
    "grade ~ C(track, contr.sum)",
)


@pytest.mark.parametrize("formula", [*COMPILED, *INTERPRETED])
def test_every_formula_gives_formulaics_matrix_in_every_replication(batch: Batch, formula: str) -> None:
    design = design_of(batch, Model(formula))
    x, y = design.fixed(batch), design.outcome(batch)
    assert (design.rhs_products is not None and design.lhs_products is not None) == (formula in COMPILED)
    for r in range(batch.size):
        rows = batch.replication(r).rows
        names, expected = matrix_of(formula, "rhs", batch, r)
        assert names == design.terms
        np.testing.assert_allclose(x[:, rows], expected, rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(y[rows], matrix_of(formula, "lhs", batch, r)[1][0], rtol=1e-13)


def test_terms_are_named_as_formulaic_names_them(batch: Batch) -> None:
    design = design_of(batch, Model("grade ~ age*gender", random="1 + age"))
    assert design.terms == ("Intercept", "age", "gender[T.male]", "age:gender[T.male]")
    assert design.random_terms == ("Intercept", "age")
    assert design.response == "grade"
    assert design.intercept


def test_group_means_are_of_the_school_in_the_replication() -> None:
    frame = pd.DataFrame({"y": [1.0, 2, 3, 4], "x": [1.0, 3, 5, 9], "g": ["a", "a", "b", "b"]})
    batch = batch_of_frame(frame, "g")
    design = design_of(batch, Model("y ~ group_mean(x) + group_centred(x)", group="g"))
    np.testing.assert_array_equal(design.fixed(batch)[1:], [[2, 2, 7, 7], [-1, 1, -2, 2]])


def test_a_formula_is_compiled_once_for_all_batches(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    design_of(batch, Model("grade ~ age + age:track"))

    def never(*_: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(design_module, "matrix_of", never)
    again: Design = design_of(batch.take([1, 2]), Model("grade ~ age + age:track"))
    assert again.fixed(batch).shape == (4, batch.rows)


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("grade ~ agee", "Did you mean 'age'"),
        ("garde ~ age", "Did you mean 'grade'"),
        ("grade ~ age +", "formula over the columns"),
        ("grade ~ (age", "formula over the columns"),
        ("grade ~ group_man(age)", "Did you mean 'group_mean'"),
        ("grade ~ school", "estimators with school dummies"),
        ("grade ~ age | gender", "without '|'"),
        ("~ age", "outcome before '~'"),
        ("gender ~ age", "one numeric outcome"),
        ("grade + age ~ gender", "one numeric outcome"),
        ("grade ~ 0", "at least one term"),
        ("grade ~ group_mean(gender)", "formula over the columns"),
        ("grade ~ 1/0", "formula over the columns"),
    ],
)
def test_unusable_formulas_say_what_to_do(batch: Batch, formula: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words.replace("(", r"\(").replace("|", r"\|")) as caught:
        design_of(batch, Model(formula))
    assert "\x1b" not in str(caught.value)


def test_undefined_values_stay_as_nan(batch: Batch) -> None:
    columns = dict(batch.columns) | {"age": np.where(np.arange(batch.rows) == 3, 0.0, 1.0)}
    odd = Batch(
        columns, "school", batch.school_offsets, batch.replication_offsets, batch.replications, batch.streams
    )
    x = design_of(odd, Model("grade ~ I(0/age)")).fixed(odd)
    assert np.isnan(x[1]).sum() == 1
